"""SIGUSR1 is remembered, agreed upon after a step, and waits where nobody listens yet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recipes.training.step_watch import StepWatch
from recipes.training.stop_signal import STOP_SIGNAL, StopSignal, write_interrupted
from tests.unit.training.one_process import OneRank


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handler, mask = signal.getsignal(STOP_SIGNAL), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.signal(STOP_SIGNAL, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_received() -> None:
    stop = StopSignal().install()
    assert not stop.received
    os.kill(os.getpid(), STOP_SIGNAL)
    assert stop.anywhere(OneRank())


def test_a_handler_of_a_framework_is_replaced() -> None:
    stop = StopSignal().install()
    signal.signal(STOP_SIGNAL, signal.SIG_IGN)
    stop.install()
    os.kill(os.getpid(), STOP_SIGNAL)
    assert stop.received


def test_a_blocked_signal_waits_for_the_listener() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})
    signal.raise_signal(STOP_SIGNAL)
    assert StopSignal().install().received


@pytest.mark.parametrize("when", ["before", "during"])
def test_the_next_program_hears_what_this_one_heard(when: str) -> None:
    """``exec`` forgets handlers; a signal before it, and one before the next program listens, must not be lost."""
    listener = "from recipes.training.stop_signal import StopSignal; print(StopSignal().install().received)"
    program = f"""
import os, sys
from recipes.training.stop_signal import STOP_SIGNAL, StopSignal
stop = StopSignal().install()
if {when == "before"}: os.kill(os.getpid(), STOP_SIGNAL)
stop.hand_over()
if {when == "during"}: os.kill(os.getpid(), STOP_SIGNAL)
os.execv(sys.executable, [sys.executable, "-c", {listener!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"


def test_ignored_at_the_end() -> None:
    stop = StopSignal().install()
    stop.ignore()
    os.kill(os.getpid(), STOP_SIGNAL)
    assert not stop.received


@dataclass
class Starts:
    """``Attempts`` that notes what it is told."""

    steps: list[int] = field(default_factory=list)

    def renew(self, step: int) -> None:
        self.steps.append(step)


class OneOfMany(OneRank):
    """Another process of the run was asked."""

    def any_rank(self, flag: bool) -> bool:
        return True


def test_every_process_hears_of_it_and_the_main_one_gives_a_sign_of_life() -> None:
    starts, stop = Starts(), StopSignal()
    watch = StepWatch(starts, stop, OneRank())  # type: ignore[arg-type]
    assert not watch(3)
    stop.received = True
    assert watch(4)
    assert starts.steps == [3, 4]
    assert StepWatch(None, StopSignal(), OneOfMany())(4)


def test_interrupted_file(tmp_path: Path) -> None:
    write_interrupted(tmp_path / "interrupted.json", 12)
    found = json.loads((tmp_path / "interrupted.json").read_text())
    assert (found["step"], found["signal"], len(found["time"])) == (12, "SIGUSR1", 29)
