"""One step after the other as a process of its own, and what its end means."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import FrameType

from recipes.curriculum.steps import Step
from recipes.parent_death import die_with_parent

EX_TEMPFAIL = 75
"""Exit status: saved, the same command goes on (sysexits.h)."""
STOP_SIGNAL = signal.SIGUSR1
"""Asks a stage to save after its current step and to end with status 0 and ``RUN/interrupted.json``."""


class StepRunner:
    """Runs steps on this terminal and hands ``STOP_SIGNAL`` on to the one at work."""

    def __init__(self, command: str) -> None:
        """Catch the signal from now on.

        Args:
            command: what the user typed, to go on.
        """
        self._again = f"The same command goes on from here: {command}"
        self._stopping = False
        self._step: Step | None = None
        self._process: subprocess.Popen[bytes] | None = None
        signal.signal(STOP_SIGNAL, self._stop)

    def run(self, step: Step) -> float:
        """Run one step.

        Returns:
            Wall seconds.

        Raises:
            SystemExit: the step failed or was interrupted; 75 when ``STOP_SIGNAL`` came.
        """
        started = time.monotonic()
        try:
            status = self._wait_for(step)
        except KeyboardInterrupt:
            sys.exit(f"\nInterrupted in {step.name}. {self._again}")
        interrupted = step.trains and (step.folder / "interrupted.json").is_file() and not step.output.exists()
        if interrupted and status == 0:
            self._leave(f"{step.name} saved its state and ended")
        if self._stopping and status != 0:
            self._leave(f"{step.name} was ended")
        if status != 0:
            how = f"ended by signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            sys.exit(
                f"\nStep {step.name} failed ({how}). Its messages are above, those of the frameworks in "
                f"{step.folder / 'logs'}. {self._again}"
            )
        if not step.output.exists():
            sys.exit(
                f"\nStep {step.name} ended without {step.output}: this is a defect of {step.module}, please report it."
            )
        return time.monotonic() - started

    def _wait_for(self, step: Step) -> int:
        if self._stopping:
            self._leave(f"{step.name} was not started")
        # A step must not go on alone after a SIGKILL of this command: the next start would train beside it. No threads
        # run here, so the fork may call prctl.
        command = [sys.executable, "-m", step.module, *step.arguments]
        self._step, self._process = step, subprocess.Popen(command, preexec_fn=die_with_parent)
        if self._stopping:  # between the look above and the start
            self._hand_on()
        try:
            return self._process.wait()
        finally:
            self._process = None

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._process is not None:
            self._hand_on()

    def _hand_on(self) -> None:
        """A stage saves; other steps have nothing to save and end at once."""
        assert self._process is not None and self._step is not None
        self._process.send_signal(STOP_SIGNAL if self._step.trains else signal.SIGTERM)

    def _leave(self, what: str) -> None:
        print(f"\n{STOP_SIGNAL.name}: {what}. {self._again}", file=sys.stderr)
        raise SystemExit(EX_TEMPFAIL)
