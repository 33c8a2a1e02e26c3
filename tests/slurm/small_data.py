"""Files and settings with which all stages of a curriculum together take about a minute of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recipes.data import tiny_code, tiny_math, tiny_tokenizer
from recipes.data.jsonl import demonstration_row, problem_row, write_jsonl
from recipes.settings.overrides import literal

STAGES = ("sft", "math1", "math2", "math3", "code1", "code2", "math4")


def write_data(folder: Path) -> None:
    """So few and simple problems that SFT learns some of them by heart: an update without signal moves nothing."""
    tiny_tokenizer.save(folder / "tokenizer")
    exact: dict[str, Any] = {"slip_fraction": 0.0, "checked_fraction": 0.0, "responses_per_problem": 1}
    math = tiny_math.demonstrations(1, "train", 16, (1,), ("add",), **exact)
    code = tiny_code.demonstrations(1, "train", 16, (1,), **exact)
    both = [demonstration_row(row) for row in (*math, *code)]
    write_jsonl(folder / "sft_train.jsonl", both)
    write_jsonl(folder / "sft_validation.jsonl", both[::2])  # a micro-batch of them
    for stage in STAGES[1:]:
        write_jsonl(folder / f"{stage}.jsonl", [problem_row(d.problem) for d in (math if "math" in stage else code)])
    write_jsonl(folder / "heldout.jsonl", [problem_row(row.problem) for row in math[:4]])
    write_jsonl(folder / "heldout_code.jsonl", [problem_row(row.problem) for row in code[:4]])


def words(data: Path, *, steps: int) -> list[str]:
    """Of any command: the tiny model on CPU ranks, ``steps`` steps for a GRPO stage."""
    keys: dict[str, Any] = {
        "sft.epochs": 24,
        "sft.global_batch_size": 16,
        "sft.micro_batch_size": 16,
        "grpo.max_steps": steps,
        "grpo.prompts_per_step": 4,
        "grpo.rollouts_per_prompt": 4,
        "grpo.micro_batch_size": 4,
        "grpo.max_response_length": 64,
        "checkpoint.save_every_steps": 100,  # more than there are: a checkpoint is one that a signal asked for
        "evaluation.n": 1,
        "evaluation.max_response_length": 64,
    }
    paths = [literal("data.directory", data), literal("model.tokenizer", data / "tokenizer")]
    return ["cluster=cpu", "model=tiny", *paths, *(f"{key}={value}" for key, value in keys.items())]
