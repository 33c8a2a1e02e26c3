"""SIGUSR1 to the process that the user started, and a second start beside it: the real command on two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import read_manifest
from recipes.data import tiny_math, tiny_tokenizer
from recipes.data.jsonl import demonstration_row, write_jsonl

STEPS = 40


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    data = tmp_path_factory.mktemp("data")
    tiny_tokenizer.save(data / "tokenizer")
    rows = tiny_math.demonstrations(1, "train", 32, (1,), ("add",), responses_per_problem=1)
    write_jsonl(data / "rows.jsonl", map(demonstration_row, rows))
    keys = {"data.directory": data, "model.tokenizer": data / "tokenizer", "cluster.devices_per_node": 2}
    keys |= {"data.train": data / "rows.jsonl", "data.validation": data / "rows.jsonl", "sft.epochs": STEPS // 2}
    keys |= {"sft.global_batch_size": 16, "sft.micro_batch_size": 8, "checkpoint.save_every_steps": 1000}
    return ["stage=sft", "cluster=cpu", "model=tiny", *(f"{key}={value}" for key, value in keys.items())]


def start(words: list[str], directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "recipes.run_sft", *words, f"run.directory={directory}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def attempts(directory: Path) -> Iterator[dict]:
    return (json.loads(path.read_text()) for path in sorted((directory / "attempts").glob("[0-9]*.json")))


def listens(pid: int) -> bool:
    """Whether a process catches the signal; before that it would end it."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGUSR1 - 1) & 1)


def test_saves_ends_and_goes_on(tmp_path: Path, words: list[str]) -> None:
    run = tmp_path / "run"
    process = start(words, run)
    wait_until(lambda: any(attempt["step_last"] >= 2 for attempt in attempts(run)), process)
    second = start(words, run)
    refused_after = time.monotonic()
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 2, said
    assert "is being written by process" in said
    assert time.monotonic() - refused_after < 60  # importing and a busy machine; the refusal itself does not wait
    assert len(list(attempts(run))) == 1
    os.kill(process.pid, signal.SIGUSR1)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "the same command goes on" in said
    assert not (run / "manifest.json").exists()
    interrupted = json.loads((run / "interrupted.json").read_text())
    saved = interrupted["step"]
    assert (interrupted["signal"], 2 < saved < STEPS) == ("SIGUSR1", True)
    assert (run / "checkpoints" / f"step_{saved:08d}" / "checkpoint.json").is_file()

    process = start(words, run)  # asked again while it still starts: there is nothing to save
    wait_until(lambda: listens(process.pid), process)
    os.kill(process.pid, signal.SIGUSR1)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert json.loads((run / "interrupted.json").read_text())["step"] == saved

    process = start(words, run)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert not (run / "interrupted.json").exists()
    manifest = read_manifest(run / "manifest.json")
    assert [(start["end"], start["step_first"], start["step_last"]) for start in manifest.attempts] == [
        ("interrupted", 0, saved),
        ("interrupted", saved, saved),
        ("finished", saved, STEPS),
    ]
    assert [start["data_parallel"] for start in manifest.attempts] == [2, 2, 2]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "train/loss" in row] == list(range(STEPS))
    assert not (run / ".lock.holder").exists()
