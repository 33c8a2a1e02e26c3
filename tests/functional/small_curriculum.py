"""A curriculum of two stages that is over in a minute, and what of it must not depend on interruptions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recipes.backends.aligner.torch_dist import WeightsReader
from recipes.checkpoints.nemo_archive import WEIGHTS_NAME, unpacked
from recipes.data import tiny_code, tiny_math, tiny_tokenizer
from recipes.data.jsonl import demonstration_row, problem_row, write_jsonl

STAGES = ("sft", "code1")
STEPS = {"sft": 48, "code1": 4}
BENCHMARKS = ("tiny_math", "tiny_code")
_TIMES = ("seconds", "_time", "tokens_per_second", "time_")
"""Marks in the names of what a clock measured."""


def write_data(folder: Path) -> None:
    """So few and simple problems that SFT learns some of them by heart: an update without signal moves nothing."""
    tiny_tokenizer.save(folder / "tokenizer")
    exact: dict[str, Any] = {"responses_per_problem": 1, "slip_fraction": 0.0, "checked_fraction": 0.0}
    math = tiny_math.demonstrations(1, "train", 16, (1,), ("add",), **exact)
    code = tiny_code.demonstrations(1, "train", 16, (1,), **exact)
    both = [demonstration_row(row) for row in (*math, *code)]
    write_jsonl(folder / "sft_train.jsonl", both)
    write_jsonl(folder / "sft_validation.jsonl", both[::2])  # a micro-batch of them
    for name, rows in (("code1", code), ("heldout", math[:8]), ("heldout_code", code[:8])):
        write_jsonl(folder / f"{name}.jsonl", [problem_row(row.problem) for row in rows])


def words(data: Path) -> list[str]:
    """Of ``python -m recipes.run_curriculum``, all but ``run.directory``; SFT starts from random weights."""
    keys: dict[str, Any] = {
        "curriculum.stages": f"[{','.join(STAGES)}]",
        "data.directory": data,
        "model.tokenizer": data / "tokenizer",
        "cluster.devices_per_node": 1,
        "checkpoint.save_every_steps": 1,
        "sft.epochs": STEPS["sft"] // 2,
        "sft.global_batch_size": 16,
        "sft.micro_batch_size": 16,
        "grpo.max_steps": STEPS["code1"],
        "grpo.prompts_per_step": 4,
        "grpo.rollouts_per_prompt": 4,
        "grpo.micro_batch_size": 16,
        "grpo.max_response_length": 96,
        "evaluation.n": 1,
        "evaluation.max_response_length": 96,
    }
    return ["curriculum=demo", "cluster=cpu", "model=tiny", *(f"{key}={value}" for key, value in keys.items())]


def results(root: Path) -> dict[str, Any]:
    """Everything that a run ends in, without what a clock measured: equal for equal runs."""
    return {
        **{f"{stage}: weights": weights_digest(root / stage / "model.nemo") for stage in STAGES},
        **{f"{stage}: scores": timeless(read(root / stage / "evaluation" / "scores.json")) for stage in STAGES},
        **{f"{stage}: metrics": timeless(rows(root / stage / "metrics.jsonl")) for stage in STAGES},
        **{f"{stage}: rollouts": rollouts(root / stage) for stage in STAGES},
        **{f"{stage}: steps": read(root / stage / "manifest.json")["steps"] for stage in STAGES},
        "samples": [
            timeless(rows(root / stage / "evaluation" / name / "samples.jsonl"))
            for stage in STAGES
            for name in BENCHMARKS
        ],
        "exported": hashlib.sha256((root / "final" / "hf" / "model.safetensors").read_bytes()).hexdigest(),
    }


def weights_digest(nemo: Path) -> str:
    """SHA-256 over the names and values of a checkpoint's tensors."""
    digest = hashlib.sha256()
    with unpacked(nemo, WEIGHTS_NAME) as folder:
        reader = WeightsReader(folder / WEIGHTS_NAME)
        for key in sorted(reader.tensors):
            digest.update(key.encode())
            digest.update(reader.read(key, None).contiguous().numpy().tobytes())
    return digest.hexdigest()


def rollouts(stage: Path) -> dict[str, Any]:
    """File of the ledger -> its rows."""
    return {path.name: timeless(rows(path)) for path in sorted((stage / "rollouts").glob("step_*.jsonl"))}


def timeless(value: Any) -> Any:
    """Without the keys that a clock decides about."""
    if isinstance(value, Mapping):
        return {key: timeless(item) for key, item in value.items() if not any(mark in key for mark in _TIMES)}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def rows(path: Path) -> list[Any]:
    """Of a JSONL file; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Names of results that are not equal."""
    for name in expected:
        if expected[name] != found[name]:
            yield f"{name}: expected {str(expected[name])[:300]}, found {str(found[name])[:300]}"
