"""Every patch is needed and does what the ledger claims; with all of them the stack trains, saves, resumes and samples.

The frameworks are imported once, in the process `framework_process`; everything runs in children of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recipes.backends.cpu.install import registry
from tests.unit.backends_cpu import ordinary
from tests.unit.backends_cpu.framework_process import RUNS

ROOT = Path(__file__).parents[3]
NO_CUDA = (
    r"(AssertionError: Torch not compiled with CUDA enabled|RuntimeError: Found no NVIDIA driver"
    r"|RuntimeError: Cannot re-initialize CUDA in forked subprocess"
    r"|AcceleratorError: CUDA)"
)
"""Of a CPU build of torch, of a CUDA build, and of a CUDA build in a fork."""

FAILS_WITHOUT = {
    "gpu_packages": r"OSError: apex: libcuda\.so\.1 is missing",
    "aligner_trt_llm": "ModuleNotFoundError: No module named 'tensorrt_llm'",
    "aligner_device_literals": NO_CUDA,
    "megatron_compile": r"RuntimeError: the compiler torch\._inductor was imported",
    "megatron_device_literals": NO_CUDA,
    "megatron_parameter_types": r"AssertionError: \n(.*\n)*.*== 'torch\.cuda\.FloatTensor'",
    "megatron_rng": NO_CUDA,
    "megatron_adam": r"ValueError: state 'step' of shape \(\) cannot be sharded as \(2, 3\)",
    "dist_ckpt_write_item": r"RuntimeError: Worker failure: _write_item\(\) missing 2 required positional arguments",
    "dist_ckpt_write_results": r"RuntimeError: the save left processes behind: \['SyncManager",
    "nemo_apex_flag": "ImportError: Apex was not found",
    "nemo_apex_names": "NameError: name 'listify_model' is not defined",
    "nemo_layer_spec": "ModuleNotFoundError: import of transformer_engine halted",
    "nemo_bert_models": "NameError: name 'ApexGuardDefaults' is not defined",
    "nemo_nvidia_container": "TypeError: expected string or bytes-like object",
    "nemo_context_parallel_stream": r"RuntimeError: torch\.cuda\.Stream requires CUDA support|" + NO_CUDA,
    "nemo_model_cuda": r"TypeError: device\(\): argument 'index'",
    "nemo_device_literals": NO_CUDA,
    "current_device": NO_CUDA,
    "synchronize": NO_CUDA,
    "tensor_cuda": NO_CUDA,
    "tensor_types": r"TypeError: type torch\.cuda\.LongTensor not available|" + NO_CUDA,
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("frameworks")
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment.pop("NVIDIA_PYTORCH_VERSION", None)
    output = folder / "output.txt"  # a file, not a pipe: a process that was left behind would keep a pipe open
    with output.open("w") as stream:
        finished = subprocess.run(
            [sys.executable, "-m", "tests.unit.backends_cpu.framework_process", str(folder)],
            cwd=ROOT,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdout=stream,
            stderr=stream,
            timeout=600,
            check=False,
        )
    assert finished.returncode == 0, output.read_text()[-4000:]
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


def test_every_patch_has_a_provocation() -> None:
    assert set(FAILS_WITHOUT) == {patch.name for patch in registry()}


@pytest.mark.parametrize("name", [patch.name for patch in registry()])
def test_patch_is_needed(name: str, answers: dict[str, Any]) -> None:
    assert re.match(FAILS_WITHOUT[name], answers["patches"][name]["without"])


@pytest.mark.parametrize("name", [patch.name for patch in registry()])
def test_patch_does_what_it_claims(name: str, answers: dict[str, Any]) -> None:
    assert answers["patches"][name]["with"] == "ok"


@pytest.mark.parametrize("name", [check.__name__ for check in ordinary.CHECKS])
def test_torch_and_transformers_work_as_always(name: str, answers: dict[str, Any]) -> None:
    assert answers["ordinary"][name] == "ok"


@pytest.mark.parametrize("name", RUNS)
def test_run_ends_without_an_error(name: str, answers: dict[str, Any]) -> None:
    _, tensor, pipeline, data, _ = RUNS[name]
    assert [rank["error"] for rank in answers["sft"][name]] == ["ok"] * (tensor * pipeline * data)


def test_training_learns(answers: dict[str, Any]) -> None:
    losses = [loss for _, loss in _first_rank(answers, "single_straight")["losses"]]
    assert losses[0] == pytest.approx(5.606, abs=0.1)  # ln(272), the loss of the uniform distribution
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith("_resumed")])
def test_resumed_run_goes_on_where_the_saved_one_stopped(name: str, answers: dict[str, Any]) -> None:
    """From one checkpoint, weights and optimizer state, under every topology: the losses of the uninterrupted run."""
    run = _first_rank(answers, name)
    assert run["resumed"]["step"] == 3
    assert run["resumed"]["consumed_samples"] == 24
    straight = _first_rank(answers, "single_straight")["losses"]
    assert [step for step, _ in run["losses"]] == [3, 4]
    assert [loss for _, loss in run["losses"]] == pytest.approx([loss for _, loss in straight[3:]], rel=1e-5)


def test_resumed_run_ends_in_the_same_weights(answers: dict[str, Any]) -> None:
    straight, resumed = (_first_rank(answers, name) for name in ("single_straight", "single_resumed"))
    assert resumed["norm"] == straight["norm"]


def test_data_parallel_ranks_hold_the_same_weights_as_one_rank(answers: dict[str, Any]) -> None:
    single = _first_rank(answers, "single")
    ranks = [rank["value"] for rank in answers["sft"]["data_2"]]
    assert ranks[0]["norm"] == ranks[1]["norm"]
    assert ranks[0]["norm"] == pytest.approx(single["norm"], rel=1e-6)
    assert [loss for _, loss in ranks[0]["losses"]] == pytest.approx([loss for _, loss in single["losses"]], rel=1e-5)


def test_every_topology_samples_the_same_greedy_responses(answers: dict[str, Any]) -> None:
    resumed = {name: _first_rank(answers, name)["sampled"] for name in RUNS if name.endswith("_resumed")}
    assert len(resumed["single_resumed"]) == 4
    assert all(sampled == resumed["single_resumed"] for sampled in resumed.values())


def _first_rank(answers: dict[str, Any], name: str) -> dict[str, Any]:
    return answers["sft"][name][0]["value"]
