"""The order in which a stage visits its prompts: a pure function of seed and step.

Nothing has to be replayed or stored to go on after a crash: the step number is the position.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")


@lru_cache(maxsize=8)
def epoch_permutation(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """A permutation of ``0 .. count - 1`` that depends on its arguments alone.

    Fisher-Yates over ``Random.random`` under a string seed, the stream that Python promises to keep.
    """
    dice = random.Random(f"order-{seed}-{epoch}")
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(dice.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


@dataclass(frozen=True, slots=True)
class OrderPosition:
    """Where a stage stands, for checkpoints and logs."""

    seed: int
    problems: int
    """Size of the data set: a changed data set is refused on resume."""
    prompts_per_step: int
    step: int
    """Steps done; the next batch is ``batch(step)``."""

    def as_dict(self) -> dict[str, int]:
        return {
            "seed": self.seed,
            "problems": self.problems,
            "prompts_per_step": self.prompts_per_step,
            "step": self.step,
        }


class PromptOrder(Generic[T]):
    """Batches of problems, epoch after epoch, each epoch in an order of its own.

    No problem comes twice within an epoch. The last problems of an epoch that do not fill a batch are left out of that
    epoch, so that a batch never straddles two epochs and never holds a problem twice; another shuffle brings them
    back.
    """

    def __init__(self, problems: Sequence[T], seed: int) -> None:
        """Args: problems: at least one; seed: of the shuffles.

        Raises:
            ValueError: when there is no problem.
        """
        if not problems:
            raise ValueError("no problem to order; expected at least one")
        self._problems = problems
        self._seed = seed

    def steps_per_epoch(self, prompts_per_step: int) -> int:
        """Batches of one epoch.

        Raises:
            ValueError: when the data set is smaller than a batch.
        """
        if not 1 <= prompts_per_step <= len(self._problems):
            raise ValueError(
                f"grpo.prompts_per_step is {prompts_per_step} with {len(self._problems)} problems; expected 1 to "
                f"{len(self._problems)}: a batch never holds a problem twice"
            )
        return len(self._problems) // prompts_per_step

    def epoch(self, step: int, prompts_per_step: int) -> int:
        """The epoch (from 0) that a step (from 0) belongs to."""
        return step // self.steps_per_epoch(prompts_per_step)

    def batch(self, step: int, prompts_per_step: int) -> list[T]:
        """The problems of a step (from 0), ``prompts_per_step`` of them.

        Raises:
            ValueError: on a negative step, or when the data set is smaller than a batch.
        """
        if step < 0:
            raise ValueError(f"step is {step}; expected 0 or more")
        epoch, within = divmod(step, self.steps_per_epoch(prompts_per_step))
        order = epoch_permutation(len(self._problems), self._seed, epoch)
        first = within * prompts_per_step
        return [self._problems[index] for index in order[first : first + prompts_per_step]]

    def position(self, step: int, prompts_per_step: int) -> OrderPosition:
        """What a checkpoint keeps after ``step`` steps."""
        return OrderPosition(self._seed, len(self._problems), prompts_per_step, step)

    def resume(self, position: OrderPosition, prompts_per_step: int) -> int:
        """The step to go on with.

        Raises:
            ValueError: when seed, data set size or batch size differ from those of the checkpoint: the order would
                then repeat some problems within an epoch and leave others out.
        """
        now = self.position(position.step, prompts_per_step)
        if now != position:
            differing = [
                f"{key} was {old}, is {now.as_dict()[key]}"
                for key, old in position.as_dict().items()
                if now.as_dict()[key] != old
            ]
            raise ValueError(
                f"the prompt order of the checkpoint does not go on here: {'; '.join(differing)}. "
                f"Use the same data and settings, or a new run.directory"
            )
        return position.step
