"""The order in which a stage visits its prompts: a pure function of the seed, the epoch and what takes part in it.

Nothing has to be replayed or stored to go on after a crash: with the same problems in every epoch the step number is
the position. Where an epoch depends on what happened in the one before (epoch-wise filtering, batches of like response
length), ``training.epochs`` says which problems take part and how long their responses were, from the ledger.

Batches of like response length (``prompts.length_sorted_batches``): a step of GRPO lasts as long as its longest
rollout, so a batch of short problems ends early, where a random batch nearly always waits for a long one. The price:
response length goes with difficulty, so the batches differ more in reward, signal and gradient from step to step, and
the mean over one step says less about the stage. The problems of an epoch and their number of visits stay the same.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any, Generic, TypeVar

from recipes.records import Problem

T = TypeVar("T")


@lru_cache(maxsize=8)
def epoch_permutation(count: int, seed: int, epoch: int, purpose: str = "order") -> tuple[int, ...]:
    """A permutation of ``0 .. count - 1`` that depends on its arguments alone.

    Fisher-Yates over ``Random.random`` under a string seed, the stream that Python promises to keep.
    """
    dice = random.Random(f"{purpose}-{seed}-{epoch}")
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(dice.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the problems that take part in it, as indices into the data set."""

    number: int
    """From 0."""
    first_step: int
    participants: tuple[int, ...]
    """Every problem that the epoch draws from, ascending."""
    batches: tuple[tuple[int, ...], ...]
    """One a step. No index comes twice; the participants that do not fill a batch are in none."""

    @property
    def end_step(self) -> int:
        """The step after its last one."""
        return self.first_step + len(self.batches)

    def batch(self, step: int) -> tuple[int, ...]:
        """The problems of a step (counted from the start of the run) that belongs to this epoch."""
        if not self.first_step <= step < self.end_step:
            raise ValueError(f"step {step} is not in epoch {self.number}, steps {self.first_step} to {self.end_step}")
        return self.batches[step - self.first_step]


def plan_epoch(
    number: int,
    first_step: int,
    participants: Sequence[int],
    prompts_per_step: int,
    seed: int,
    lengths: Mapping[int, float] | None = None,
) -> Epoch:
    """The batches of one epoch.

    Args:
        participants: indices of the problems, each once.
        lengths: index -> mean response length, in tokens, for batches of like length in random order; a problem without
            one counts as average. None, or lengths of no participant: random batches.

    Raises:
        ValueError: when the participants do not fill a batch.
    """
    chosen = sorted(participants)
    if not 1 <= prompts_per_step <= len(chosen):
        raise ValueError(
            f"grpo.prompts_per_step is {prompts_per_step} with {len(chosen)} problems; expected 1 to {len(chosen)}: "
            "a batch never holds a problem twice"
        )
    full = len(chosen) // prompts_per_step
    shuffled = [chosen[place] for place in epoch_permutation(len(chosen), seed, number)][: full * prompts_per_step]
    known = {index: lengths[index] for index in shuffled if index in lengths} if lengths else {}
    if known:
        average = fmean(known.values())
        shuffled.sort(key=lambda index: known.get(index, average))  # stable: equal lengths stay in random order
    batches = [tuple(shuffled[at : at + prompts_per_step]) for at in range(0, len(shuffled), prompts_per_step)]
    if known:
        batches = [batches[place] for place in epoch_permutation(full, seed, number, "batches")]
    return Epoch(number, first_step, tuple(chosen), tuple(batches))


@dataclass(frozen=True, slots=True)
class OrderPosition:
    """Where a stage stands, for checkpoints and logs."""

    seed: int
    problems: int
    """Size of the data set: a changed data set is refused on resume."""
    prompts_per_step: int
    step: int
    """Steps done; the next batch is ``batch(step)``."""
    content: str
    """Digest of the problems themselves (``problems_digest``)."""
    batches: str
    """SHA-256 of the batches of every epoch that these steps belong to (``batches_digest``)."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def batches_digest(epochs: Sequence[Epoch], step: int) -> str:
    """Of the epochs that the first ``step`` steps belong to: hexadecimal SHA-256."""
    digest = hashlib.sha256()
    for epoch in epochs:
        if epoch.first_step < step:
            digest.update(repr(epoch.batches).encode())
    return digest.hexdigest()


def problems_digest(problems: Sequence[Problem]) -> str:
    """Hexadecimal SHA-256 of what the problems ask and how they are judged, in their order; metadata does not count."""
    digest = hashlib.sha256()
    for problem in problems:
        content = [problem.id, problem.problem, problem.answer, problem.tests]
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    return digest.hexdigest()


class PromptOrder(Generic[T]):
    """Batches of problems, epoch after epoch, each epoch in an order of its own.

    No problem comes twice within an epoch. The last problems of an epoch that do not fill a batch are left out of that
    epoch, so that a batch never straddles two epochs and never holds a problem twice; another shuffle brings them
    back.
    """

    def __init__(self, problems: Sequence[T], seed: int, prompts_per_step: int, content: str = "") -> None:
        """Args: problems: at least a batch; seed: of the shuffles; prompts_per_step: of a batch; content: their digest.

        Raises:
            ValueError: when there is no problem, or fewer than a batch.
        """
        if not problems:
            raise ValueError("no problem to order; expected at least one")
        self.problems = problems
        self.seed = seed
        self.prompts_per_step = prompts_per_step
        self.content = content
        self.plan(0, 0, range(len(problems)))

    def plan(
        self, number: int, first_step: int, participants: Sequence[int], lengths: Mapping[int, float] | None = None
    ) -> Epoch:
        """``plan_epoch`` with the seed and the batch size of this order."""
        return plan_epoch(number, first_step, participants, self.prompts_per_step, self.seed, lengths)

    def batch(self, epoch: Epoch, step: int) -> list[T]:
        """The problems of a step (from 0) of ``epoch``, ``prompts_per_step`` of them."""
        return [self.problems[index] for index in epoch.batch(step)]

    def position(self, epochs: Sequence[Epoch], step: int) -> OrderPosition:
        """What a checkpoint keeps after ``step`` steps, which ``epochs`` hold."""
        batches = batches_digest(epochs, step)
        return OrderPosition(self.seed, len(self.problems), self.prompts_per_step, step, self.content, batches)

    def require_same(self, position: OrderPosition) -> None:
        """Whether a checkpoint can go on here, as far as the settings and the data set tell.

        Raises:
            ValueError: when seed, data set or batch size differ from those of the checkpoint: the order would then
                repeat some problems within an epoch and leave others out.
        """
        pairs = {
            "run.seed": (position.seed, self.seed),
            "number of problems": (position.problems, len(self.problems)),
            "grpo.prompts_per_step": (position.prompts_per_step, self.prompts_per_step),
            "content of the problems (sha256)": (position.content[:12], self.content[:12]),
        }
        differing = [f"{name} was {old}, is {now}" for name, (old, now) in pairs.items() if now != old]
        if differing:
            raise ValueError(
                f"the prompt order of the checkpoint does not go on here: {'; '.join(differing)}. "
                "Bring data.train and the settings back as they were, or use a new run.directory: a changed data set "
                "starts from its beginning"
            )
