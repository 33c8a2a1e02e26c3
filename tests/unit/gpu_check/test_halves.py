"""Both halves run for real: fp32 and bf16 on a CPU, Megatron all the way. Only the device is another than a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.gpu_checking.agreement import Comparison, compare, unsound
from recipes.gpu_checking.inventory import import_chain
from recipes.gpu_checking.measurements import Half

ROOT = Path(__file__).parents[3]
OF_TORCH = {
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "setuptools",
    "sympy",
    "torch",
    "triton",
    "typing-extensions",
}
"""What torch comes with."""
PARTS_OF_OTHERS = {
    "async-timeout",  # Python 3.10
    "backports.tarfile",  # setuptools
    "coverage",
    "exceptiongroup",  # Python 3.10
    "google-auth",  # the same module as protobuf
    "jaraco.context",
    "jaraco.functools",
    "jaraco.text",
    "more-itertools",
    "pip",
    "tomli",  # Python 3.10
    "wheel",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu_check")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.gpu_check.halves_process", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return folder


def _half(folder: Path, run: str, name: str) -> Half:
    return Half.read(folder / run / f"{name}.json")


def _compared(folder: Path, run: str) -> dict[str, Comparison]:
    reference, device = _half(folder, "run", "reference"), _half(folder, run, "device")
    return {one.name: one for one in compare(reference.measurements, device.measurements)}


def test_the_reference_is_sound_and_repeats_itself(folder: Path) -> None:
    reference = _half(folder, "run", "reference")
    assert unsound(reference.measurements) == []
    assert reference == _half(folder, "again", "reference")
    assert reference.measurements.where == "CPU, 32, local layers"
    assert reference.measurements.sft_losses[0] == pytest.approx(6.24, abs=0.15)  # ln(512), and the logits' spread
    assert reference.measurements.sft_losses[-1] < reference.measurements.sft_losses[0] - 0.1


def test_bf16_agrees_with_fp32_and_is_another_computation(folder: Path) -> None:
    found = _compared(folder, "run")
    assert [one for one in found.values() if not one.passed] == []
    assert found["log-probabilities: mean"].difference > 1e-5
    assert _half(folder, "run", "device").measurements.where == "CPU, bf16, local layers"


def test_a_dropped_bias_is_no_rounding(folder: Path) -> None:
    found = _compared(folder, "no_qkv_bias")
    for name in ("SFT: loss at every step", "log-probabilities: mean", "GRPO: gradient norm, relative"):
        assert found[name].difference > 10 * found[name].tolerance


def test_another_rotary_base_is_no_rounding(folder: Path) -> None:
    assert not _compared(folder, "rope")["log-probabilities: mean"].passed


def test_speeds_count_tokens_without_padding(folder: Path) -> None:
    supervised, sampling, update = _half(folder, "run", "device").speeds
    rollouts = 8
    assert supervised.tokens == 8 * 64
    assert 0 < sampling.tokens <= rollouts * 16
    assert update.tokens == sampling.tokens + rollouts * 16  # prompts of 16
    assert [speed.flops is None for speed in (supervised, sampling, update)] == [False, True, False]
    assert all(speed.seconds > 0 for speed in (supervised, sampling, update))
    assert _half(folder, "run", "reference").speeds == ()


def test_the_list_of_packages_to_carry_is_that_of_the_imports(folder: Path) -> None:
    imported = set(json.loads((folder / "imported.json").read_text())) - OF_TORCH - PARTS_OF_OTHERS
    imported = {name for name in imported if not name.startswith(("nvidia-", "cuda-", "acereason"))}
    listed = {needed.distribution for needed in import_chain()}
    assert imported - listed == set()
    assert listed - imported == set()
