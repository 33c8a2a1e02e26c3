"""Which problems every epoch of a stage draws from, decided from the ledger when the epoch is reached.

Epoch-wise filtering (paper §3.2.3, code stage II): from the second epoch on, without the problems that every rollout
of the epoch before solved, for good. A problem that the epoch before did not visit, because it did not fill a batch,
stays. When fewer problems are left than a batch holds, there is nothing left to learn and the stage ends.

The decision is a pure function of the rollouts on disk, so a resumed run decides as an uninterrupted one does. The main
rank reads and decides; the others are told.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from recipes.data.order import Epoch, OrderPosition, PromptOrder, batches_digest
from recipes.data.prompts import EncodedPrompt
from recipes.rollouts.ledger import Ledger, SolveRate
from recipes.training.ports import Ranks

SECONDS_BETWEEN_LOOKS = 1.0
"""At a shared folder that does not show every file of another node yet."""


class EpochPlanner:
    """The epochs of a run so far. Every process calls ``at`` with the same steps."""

    def __init__(
        self,
        order: PromptOrder[EncodedPrompt],
        ledger: Ledger,
        ranks: Ranks,
        *,
        drop_solved: bool,
        length_sorted: bool,
        lengths: Mapping[str, float] | None = None,
        patience_seconds: float = 60.0,
    ) -> None:
        """Args:
        drop_solved: filter as above (``prompts.drop_solved``).
        length_sorted: batches of like response length (``prompts.length_sorted_batches``), those of the last epoch
            that visited a problem.
        lengths: problem id -> mean response length, of earlier runs, for the first epoch.
        patience_seconds: how long to wait for another node's rollouts to appear in the run folder.
        """
        self.order = order
        self._ledger = ledger
        self._ranks = ranks
        self._drop_solved = drop_solved
        self._length_sorted = length_sorted
        self._patience_seconds = patience_seconds
        self._index = {prompt.problem.id: index for index, prompt in enumerate(order.problems)}
        self._lengths = {self._index[name]: length for name, length in (lengths or {}).items() if name in self._index}
        self.epochs: list[Epoch] = [order.plan(0, 0, range(len(order.problems)), self._known_lengths())]
        self._nothing_left = False

    def at(self, step: int) -> Epoch | None:
        """The epoch of a step (from 0), whose predecessors are all done; None when nothing is left to learn.

        Raises:
            ValueError: the ledger does not hold every rollout of the epoch before.
        """
        while step >= self.epochs[-1].end_step and not self._nothing_left:
            following = self._following(self.epochs[-1])
            if following is None:
                self._nothing_left = True
            else:
                self.epochs.append(following)
        if step >= self.epochs[-1].end_step:
            return None
        return next(epoch for epoch in reversed(self.epochs) if epoch.first_step <= step)

    def batch(self, step: int) -> list[EncodedPrompt]:
        """The prompts of a step that is not beyond the end."""
        epoch = self.at(step)
        if epoch is None:
            raise ValueError(f"step {step}: every problem is solved; expected a step before")
        return self.order.batch(epoch, step)

    def position(self, step: int) -> OrderPosition:
        """What a checkpoint keeps after ``step`` steps."""
        return self.order.position(self.epochs, step)

    def resume(self, position: OrderPosition) -> None:
        """Decide again up to the checkpoint's step.

        Raises:
            ValueError: the batches so far are not those of the checkpoint.
        """
        if position.step > 0:
            self.at(position.step - 1)
        if batches_digest(self.epochs, position.step) != position.batches:
            raise ValueError(
                f"the batches of the first {position.step} steps are not those of the checkpoint: the rollouts in "
                f"{self._ledger.directory} or those of prompts.ledgers have changed, or prompts.drop_solved or "
                "prompts.length_sorted_batches has; put them back, or use a new run.directory"
            )

    def _following(self, last: Epoch) -> Epoch | None:
        """The epoch after ``last``, None when fewer problems than a batch are left."""
        if not (self._drop_solved or self._length_sorted):
            return self.order.plan(last.number + 1, last.end_step, last.participants)
        self._ranks.barrier()  # every replica has written its rollouts
        decision: tuple[Epoch | None, str | None] | None = None
        if self._ranks.is_main:
            try:
                decision = self._decide(last), None
            except ValueError as error:
                decision = None, str(error)
        following, wrong = self._ranks.broadcast(decision)
        if wrong is not None:
            raise ValueError(wrong)
        return following

    def _decide(self, last: Epoch) -> Epoch | None:
        rates = self._rates(last)
        self._lengths |= {self._index[name]: rate.mean_response_tokens for name, rate in rates.items()}
        participants = last.participants
        if self._drop_solved:
            solved = {self._index[name] for name, rate in rates.items() if rate.solved_by_all}
            participants = tuple(index for index in participants if index not in solved)
        if len(participants) < self.order.prompts_per_step:
            return None
        return self.order.plan(last.number + 1, last.end_step, participants, self._known_lengths())

    def _rates(self, epoch: Epoch) -> dict[str, SolveRate]:
        """Solve rates of every problem that the epoch visited."""
        visited = {self.order.problems[index].problem.id for batch in epoch.batches for index in batch}
        deadline = time.monotonic() + self._patience_seconds
        while True:
            rates = self._ledger.solve_rates(epoch.first_step, epoch.end_step - 1)
            if rates.keys() == visited:
                return rates
            if time.monotonic() > deadline:
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise ValueError(
            f"{self._ledger.directory} has rollouts of {len(rates.keys() & visited)} of the {len(visited)} problems "
            f"that epoch {epoch.number} (steps {epoch.first_step} to {epoch.end_step - 1}) visited; expected all: "
            "bring the files back, or start again in a new run.directory. All nodes must write to one shared folder"
        )

    def _known_lengths(self) -> Mapping[int, float] | None:
        return self._lengths if self._length_sorted else None
