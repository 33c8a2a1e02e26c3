"""The frameworks' half of the test of ``rollouts.engine=trtllm``: GRPO on the stand-in of TensorRT-LLM.

    python -m tests.functional.trtllm_rollouts FOLDER

A short SFT gives weights that end their responses. Steps of GRPO from them sample greedily (a nucleus of one
token), with the Megatron engine and with TensorRT-LLM at every layout; one more run has an engine whose weights never
change. The rollouts of a group are then equal and give no gradient, so the weights move by decay and by the KL term.
The ranks are forks of a process that has imported the frameworks; ``tests/stand_ins`` must be on its path.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.functional import kill_and_resume as commands
from tests.functional import layout_change

LAYOUTS = {"tp1": (1, 1, 1), "tp2": (2, 2, 1), "pp2": (2, 1, 2), "tp2_pp2": (4, 2, 2)}
"""Name -> ranks, tensor parallel, pipeline parallel."""
STEPS = {"tp1": 10, "tp2": 10, "pp2": 10, "tp2_pp2": 3}
"""Updates; four processes share the cores of a small machine, so they make fewer."""
UNLOADED = ("tp1", "pp2")
"""Where the engine leaves memory between samplings."""
PROMPTS, ROLLOUTS, BUDGET = 8, 2, 30


def main(folder: Path) -> None:
    """SFT, the run that samples with the model itself, and those that sample with TensorRT-LLM."""
    commands._import_frameworks(folder)
    import recipes.backends.trtllm.rollouts  # noqa: F401 - shared by the forks
    from recipes import run_grpo, run_sft
    from tests.functional.trtllm_breakers import check_on_ranks, checks_on_one_rank
    from tests.functional.trtllm_watch import watched

    gc.freeze()  # a million objects of the frameworks, which no collection of the forks needs to look at
    commands._write_data(folder / "data")
    # As Qwen2.5-Math-7B: embedding and head are two, and the embedding has rows that stand for nothing.
    shared = [*commands._shared(folder), "model.tie_word_embeddings=false", "model.vocab_size=520"]
    sft = [*shared, "stage=sft", *commands._sft(folder), "sft.max_steps=40", f"run.directory={folder / 'sft'}"]
    commands._run(run_sft.main, [*sft, "sft.micro_batch_size=16"])
    words = [*shared, "stage=math1", *_grpo(folder)]
    layout_change._run(run_grpo.main, [*words, f"run.directory={folder / 'megatron'}"], 1, 1, 1)
    layout_change._run(
        run_grpo.main, [*words, *_measured(folder), f"run.directory={folder / 'measured_megatron'}"], 1, 1, 1
    )
    words += ["rollouts.engine=trtllm"]
    layout_change._run(run_grpo.main, [*words, *_measured(folder), f"run.directory={folder / 'measured'}"], 1, 1, 1)
    breakers = [*words, "grpo.max_response_length=40", f"run.directory={folder / 'breakers'}"]
    layout_change._run(checks_on_one_rank(folder), breakers, 1, 1, 1)
    layout_change._run(check_on_ranks("odd_vocabulary", folder), breakers, 2, 2, 1)
    layout_change._run(check_on_ranks("resharding", folder), breakers, 2, 1, 2)
    for name, layout in LAYOUTS.items():
        run, unload = folder / name, "true" if name in UNLOADED else "false"
        own = [f"trtllm.unload_after_sampling={unload}", f"grpo.max_steps={STEPS[name]}", f"run.directory={run}"]
        layout_change._run(watched(run_grpo.main, run), [*words, *own], *layout)
    _stale(
        run_grpo.main,
        [*words, "trtllm.gate_prompts=0", "grpo.max_steps=4", f"run.directory={folder / 'stale'}"],
        folder,
    )
    _stale(run_grpo.main, [*words, f"run.directory={folder / 'stopped'}"], folder)


def _stale(command: Any, words: list[str], folder: Path) -> None:
    """A run whose refits change nothing."""
    os.environ["STAND_IN_STALE_REFIT"] = "1"
    reason = ""
    try:
        layout_change._run(command, words, 1, 1, 1)
    except RuntimeError as error:
        reason = str(error)
    del os.environ["STAND_IN_STALE_REFIT"]
    (folder / f"{Path(words[-1].split('=')[1]).name}.json").write_text(json.dumps(reason))


def _grpo(folder: Path) -> list[str]:
    keys: dict[str, Any] = {
        "grpo.max_steps": max(STEPS.values()),
        "grpo.prompts_per_step": PROMPTS,
        "grpo.rollouts_per_prompt": ROLLOUTS,
        "grpo.micro_batch_size": PROMPTS * ROLLOUTS,
        "grpo.max_response_length": BUDGET,
        "grpo.temperature": 1.0,
        "grpo.top_p": 1e-6,
        "grpo.kl_coefficient": 0.1,
        "grpo.overlong_filtering": "false",
        "rollouts.batch_size": 8,
        "optimizer.weight_decay": 30.0,
        "optimizer.learning_rate": 1e-3,
        "checkpoint.save_every_steps": 1000,
        "data.train": folder / "data" / "problems.jsonl",
        "model.restore_from": folder / "sft" / "model.nemo",
        "logging.tensorboard": "false",
    }
    return [f"{key}={value}" for key, value in keys.items()]


def _measured(folder: Path) -> list[str]:
    """The temperature is measured first, and held-out problems are sampled with another budget and temperature."""
    keys: dict[str, Any] = {
        "grpo.temperature": "auto",
        "calibration.temperatures": "[0.7,1.0]",
        "calibration.prompts": 4,
        "calibration.rollouts_per_prompt": 2,
        "calibration.lowest_entropy": 1e-6,
        "grpo.max_steps": 2,
        "validation.every_steps": 1,
        "validation.n": 2,
        "data.validation": folder / "data" / "problems.jsonl",
        "evaluation.max_response_length": 40,
        "evaluation.top_p": 1e-6,
    }
    return [f"{key}={value}" for key, value in keys.items()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
