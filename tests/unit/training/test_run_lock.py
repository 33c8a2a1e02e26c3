"""One writer a run directory, with real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from recipes.training import run_lock
from recipes.training.run_lock import HOLDER_NAME, RunLock, RunLocked, launch_id, read_holder, require_free

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes = []

    def start(role: str = "main", launch: str = "one", watch_seconds: float = 0.5) -> subprocess.Popen[str]:
        module = "tests.unit.training.lock_process"
        command = [sys.executable, "-m", module, str(tmp_path), role, launch, str(watch_seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_start_is_refused_and_told_who(start: Start, tmp_path: Path) -> None:
    first = start()
    assert says(first) == "held"
    second = says(start(launch="two"))
    for word in ("locked", f"process {first.pid} on", f"kill {first.pid}", "run.directory"):
        assert word in second
    with pytest.raises(RunLocked, match=str(first.pid)):
        require_free(tmp_path)
    holder = RunLock(tmp_path, watch_seconds=0.0).holder()
    assert holder is not None and holder.pid == first.pid
    first.communicate(timeout=10)
    assert not (tmp_path / HOLDER_NAME).exists()
    require_free(tmp_path)
    assert says(start(launch="two")) == "held"


def test_a_killed_holder_of_this_machine_is_not_waited_for(start: Start, tmp_path: Path) -> None:
    first = start()
    assert says(first) == "held"
    first.kill()
    first.wait()
    assert (tmp_path / HOLDER_NAME).exists()  # nobody was left to remove it
    require_free(tmp_path)
    began = time.monotonic()
    with RunLock(tmp_path, launch="two", watch_seconds=60.0).held():
        assert time.monotonic() - began < 10
        holder = read_holder(tmp_path)
        assert holder is not None and holder.launch == "two"
        assert RunLock(tmp_path).holder() is not None


def elsewhere(folder: Path, **fields) -> run_lock.Holder:
    """The holder file of a process on another machine (or of this one before it was started anew)."""
    holder = run_lock.Holder("t", "other", "node7", "another boot", 77, "4711", "2026-01-01 00:00:00", **fields)
    (folder / HOLDER_NAME).write_text(json.dumps(asdict(holder)))
    return holder


def test_a_stale_holder_of_another_machine_is_watched_and_then_replaced(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    began = time.monotonic()
    with RunLock(tmp_path, watch_seconds=0.5).held():
        assert time.monotonic() - began >= 0.5


def test_a_live_holder_of_another_machine_is_respected(tmp_path: Path) -> None:
    """Where the file system keeps locks on one node, the kernel would give this one."""
    import threading

    holder, ended = elsewhere(tmp_path), threading.Event()

    def beat() -> None:
        number = 0
        while not ended.wait(0.1):
            number += 1
            (tmp_path / "next").write_text(json.dumps(asdict(replace(holder, beat=number))))
            (tmp_path / "next").rename(tmp_path / HOLDER_NAME)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        refused = pytest.raises(RunLocked, match=r"process 77 on node7, Slurm job 4711.*scancel 4711")
        with refused, RunLock(tmp_path, watch_seconds=5.0).held():
            pass
    finally:
        ended.set()
        beating.join()


def test_no_locks_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks: the holder file alone decides."""

    def refuse(*_: object) -> None:
        raise OSError(run_lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "lockf", refuse)
    monkeypatch.setattr(run_lock, "BEAT_SECONDS", 0.05)
    first, second = (RunLock(tmp_path, watch_seconds=1.0) for _ in range(2))
    with first.held(), pytest.raises(RunLocked), second.held():
        pass
    with RunLock(tmp_path, watch_seconds=1.0).held():
        pass


def test_other_errors_are_not_taken_for_a_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(run_lock.errno.EIO, "Input/output error")

    monkeypatch.setattr(run_lock.fcntl, "lockf", fail)
    with pytest.raises(OSError, match="Input/output error"), RunLock(tmp_path).held():
        pass


def test_the_holder_may_look_without_losing_the_lock(start: Start, tmp_path: Path) -> None:
    lock = RunLock(tmp_path, watch_seconds=0.0)
    with lock.held():
        assert lock.holder() is not None
        assert says(start(launch="two")).startswith("locked")


def test_ranks_wait_for_their_main_process(start: Start) -> None:
    rank = start("rank")
    time.sleep(0.5)
    assert says(start("main")) == "held"
    assert says(rank) == "main is there"


def test_ranks_of_a_refused_start_end(start: Start) -> None:
    assert says(start("main", "one")) == "held"
    assert says(start("rank", "two")) == "refused"


def test_ranks_outlast_a_holder_that_is_just_ending(start: Start) -> None:
    first = start("main", "one")
    assert says(first) == "held"
    rank = start("rank", "two", 30.0)
    time.sleep(1.0)
    first.communicate(timeout=10)
    assert says(start("main", "two")) == "held"
    assert says(rank) == "main is there"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "1"}),
        (
            {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"},
            {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_RESTART_COUNT": "1"},
        ),
        ({"TORCHELASTIC_RUN_ID": "a", "MASTER_PORT": "1"}, {"TORCHELASTIC_RUN_ID": "b", "MASTER_PORT": "1"}),
        ({"WORLD_SIZE": "2", "MASTER_PORT": "1"}, {"WORLD_SIZE": "2", "MASTER_PORT": "2"}),
    ],
)
def test_launches_are_told_apart(one: dict[str, str], other: dict[str, str]) -> None:
    assert launch_id({**one, "RANK": "0"}.get) == launch_id({**one, "RANK": "1"}.get)
    assert launch_id(one.get) != launch_id(other.get)
