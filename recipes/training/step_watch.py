"""What happens after every step of any stage: a sign of life, and the question whether to go on."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.training.attempts import Attempts
from recipes.training.ports import Ranks
from recipes.training.stop_signal import StopSignal


@dataclass(frozen=True, slots=True)
class StepWatch:
    """Called on every process with the updates done."""

    attempts: Attempts | None
    """Of this start; None on all but the main process."""
    stop: StopSignal
    ranks: Ranks

    def __call__(self, done: int) -> bool:
        """True, on every process alike, when the stage is to save and to end."""
        if self.attempts is not None:
            self.attempts.renew(done)
        return self.stop.anywhere(self.ranks)
