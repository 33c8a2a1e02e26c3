"""``recipes.run_grpo`` with ``rollouts.engine=trtllm`` and no launcher: it starts its ranks by Open MPI's mpirun.

TensorRT-LLM is the stand-in (``tests/stand_ins``); mpirun is a real one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.functional.kill_and_resume import _shared, _write_data

pytestmark = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="Open MPI is not installed (apt-get install openmpi-bin)"
)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("mpirun")
    _write_data(folder / "data")
    keys = {
        "stage": "math1",
        "model.tensor_model_parallel_size": 2,
        "model.tie_word_embeddings": "false",
        "rollouts.engine": "trtllm",
        "rollouts.batch_size": 4,
        "data.train": folder / "data" / "problems.jsonl",
        "grpo.prompts_per_step": 4,
        "grpo.rollouts_per_prompt": 2,
        "grpo.micro_batch_size": 4,
        "grpo.max_response_length": 12,
        "logging.tensorboard": "false",
    }
    return [*_shared(folder), *(f"{key}={value}" for key, value in keys.items())]


def start(words: list[str], run: Path, steps: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "stand_ins")])
    command = [sys.executable, "-m", "recipes.run_grpo", *words, f"run.directory={run}", f"grpo.max_steps={steps}"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def rows(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.is_file() else 0


def ranks(run: Path) -> list[int]:
    """Processes that mpirun started for the run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"OMPI_COMM_WORLD_RANK=" in (place / "environ").read_bytes():
                found += [int(place.name)] * (str(run).encode() in (place / "cmdline").read_bytes())
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return sorted(found)


def wait_for_a_step(process: subprocess.Popen[str], run: Path, least: int = 1) -> None:
    deadline = time.monotonic() + 240
    while rows(run) < least:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stops_goes_on_and_exports(words: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(words, run, 1000)
    wait_for_a_step(process, run)
    assert len(ranks(run)) == 2
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    done = json.loads((run / "interrupted.json").read_text())["step"]
    assert 1 <= done == rows(run) < 1000
    process = start(words, run, done + 1)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert rows(run) == done + 1
    assert (run / "manifest.json").is_file() and (run / "export" / "hf" / "model.safetensors").is_file()


def test_nothing_outlives_the_command_and_a_lost_rank_is_its_status(words: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(words, run, 1000)
    wait_for_a_step(process, run)
    os.kill(ranks(run)[-1], signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGKILL, said
    process = start(words, run, 1000)
    wait_for_a_step(process, run, rows(run) + 1)
    left = ranks(run)
    process.kill()
    process.communicate(timeout=120)
    deadline = time.monotonic() + 60
    while ranks(run) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(left) == 2 and ranks(run) == []
