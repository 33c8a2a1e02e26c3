"""SIGKILL at any moment of SFT or GRPO, then the same command again: it ends in the weights of an uninterrupted run."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.functional.kill_and_resume import STEPS

TIMES = ("seconds_", "_time", "tokens_per_second", "_seconds")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folder with ``sft_whole``, ``sft_killed``, ``grpo_whole``, ``grpo_killed`` and the report."""
    folder = tmp_path_factory.mktemp("killed")
    seed = os.environ.get("KILL_SEED", str(secrets.randbelow(10**6)))
    print(f"KILL_SEED={seed} repeats these kills")
    command = [sys.executable, "-m", "tests.functional.kill_and_resume", str(folder), seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"KILL_SEED={seed}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
    print((folder / "report.json").read_text())
    return folder


def weights(folder, name):
    """As ``export.on_finish`` left them."""
    return load_file(folder / name / "export" / "hf" / "model.safetensors")


def timeless(row):
    return {key: value for key, value in row.items() if not any(mark in key for mark in TIMES)}


def rows(path):
    return [timeless(json.loads(line)) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_killed_run_ends_in_the_same_weights(killed, stage):
    report = json.loads((killed / "report.json").read_text())[stage]
    assert report["kills"], "no attempt was killed before it ended"
    assert report["kills"][0].startswith("in a save: True")
    whole, broken = weights(killed, f"{stage}_whole"), weights(killed, f"{stage}_killed")
    assert whole.keys() == broken.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, broken[name]), name


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_metrics_have_every_step_once_and_the_same_values(killed, stage):
    whole, broken = (rows(killed / f"{stage}_{kind}" / "metrics.jsonl") for kind in ("whole", "killed"))
    assert broken == whole
    steps = [row["step"] for row in whole if "loss" in row or "train/loss" in row]
    assert steps == list(range(STEPS[stage]))


def test_every_rollout_is_there_once(killed):
    whole, broken = (sorted((killed / f"grpo_{kind}" / "rollouts").glob("step_*")) for kind in ("whole", "killed"))
    assert [path.name for path in broken] == [path.name for path in whole]
    assert len(whole) == STEPS["grpo"]
    for one, other in zip(whole, broken, strict=True):
        assert rows(one) == rows(other)


def test_the_updates_had_a_signal(killed):
    """Weights that never move would be equal after any kill."""
    trained = rows(killed / "grpo_whole" / "metrics.jsonl")
    assert sum(row["gradient_norm"] > 0 for row in trained) >= STEPS["grpo"] // 2
