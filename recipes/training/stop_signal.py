"""SIGUSR1: save after the current step and end, so that the same command goes on later.

A scheduler sends it before a time limit. The signal may reach one process of the run or all of them; the processes
agree after each step, so that all of them end at the same one.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from recipes.atomic_files import write_text
from recipes.training.attempts import timestamp
from recipes.training.ports import Ranks

STOP_SIGNAL = signal.SIGUSR1


@dataclass(slots=True)
class StopSignal:
    """Whether this process was asked to stop."""

    received: bool = False

    def install(self) -> StopSignal:
        """Catch the signal from now on, and again: a framework may have put a handler of its own there meanwhile.

        A launcher may have blocked it, so that a signal waits until somebody listens instead of ending the process.
        """
        signal.signal(STOP_SIGNAL, self._remember)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP_SIGNAL})
        return self

    def hand_over(self) -> None:
        """Before this process becomes another program: what came so far, and what comes until that listens, waits."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})
        if self.received:
            signal.raise_signal(STOP_SIGNAL)  # to this thread, which blocks it; others may not

    def ignore(self) -> None:
        """The stage is over; the signal must not end a process that is about to end well."""
        signal.signal(STOP_SIGNAL, signal.SIG_IGN)

    def anywhere(self, ranks: Ranks) -> bool:
        """True when any process of the run was asked to stop; the same on all of them, called on all of them."""
        return ranks.any_rank(self.received)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True


def write_interrupted(path: Path, step: int) -> None:
    """``RUN/interrupted.json``: the stage is saved after ``step`` updates and waits for its next start."""
    content = {"step": step, "signal": STOP_SIGNAL.name, "time": timestamp()}
    write_text(path, json.dumps(content, indent=1) + "\n")
