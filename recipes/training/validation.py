"""Held-out avg@n while a stage trains: the curve of the paper's Figures 7 to 11.

Measured before the first step, after every ``validation.every_steps`` steps and after the last one. The row of a step
in ``metrics.jsonl`` has the score after it (``validation_avg``); the row of step 0 also has the score of the weights
that the stage started from (``validation_start_avg``). A checkpoint is written after the row, so a resumed run finds
the score there and does not measure again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.data.prompts import EncodedPrompt
from recipes.records import Group
from recipes.rollouts.group_sampling import sampling_seed
from recipes.rollouts.sampling_error import variance_of_rate
from recipes.settings.schema import Settings
from recipes.training.graded_sampling import GradedSampler, Sampling
from recipes.training.ports import Ranks


@dataclass(frozen=True, slots=True)
class Validation:
    """The held-out problems and how they are sampled."""

    prompts: Sequence[EncodedPrompt]
    every_steps: int
    """0: never."""
    sampling: Sampling
    """Of ``evaluation``, with ``validation.n`` samples a problem."""
    batch_size: int
    """Responses that are drawn under one seed; whole problems, at least one."""
    seed: int
    sampler: GradedSampler
    ranks: Ranks

    def due(self, done: int, max_steps: int) -> bool:
        """Whether to measure after ``done`` steps (0: before the first)."""
        return self.every_steps > 0 and (done % self.every_steps == 0 or done == max_steps)

    def measure(self, done: int, show: Callable[[str], None] | None = None) -> dict[str, float]:
        """``avg``, ``stderr`` (over new samples of the same problems; only with n > 1), ``truncated`` (fraction) and
        ``response_length`` (tokens), equal on every process.

        The replicas share out whole batches, each with a seed that follows from the run's seed, ``done`` and the
        batch's number: the score does not depend on how many replicas there are.

        Args:
            show: told how far this replica is.
        """
        n = self.sampling.rollouts_per_prompt
        size = max(1, self.batch_size // n)
        batches = [self.prompts[at : at + size] for at in range(0, len(self.prompts), size)]
        sums = dict.fromkeys(("solved", "variance", "truncated", "tokens"), 0.0)
        mine = range(self.ranks.replica, len(batches), self.ranks.replicas)
        for turn, number in enumerate(mine):
            if show is not None:
                show(f"held-out avg@{n} {turn}/{len(mine)}")
            seed = sampling_seed(self.seed, "validation", done, number)
            for group in self.sampler.grade(self.sampler.sample(batches[number], self.sampling, seed)):
                _add(sums, group)
        sums = self.ranks.sum_over_replicas(sums)
        problems = len(self.prompts)
        scores = {
            "avg": sums["solved"] / (n * problems),
            "truncated": sums["truncated"] / (n * problems),
            "response_length": sums["tokens"] / (n * problems),
        }
        return scores | ({"stderr": math.sqrt(sums["variance"]) / problems} if n > 1 else {})


def _add(sums: dict[str, float], group: Group) -> None:
    solved, drawn = int(sum(group.rewards)), len(group.rollouts)
    sums["solved"] += solved
    sums["variance"] += variance_of_rate(solved, drawn) if drawn > 1 else 0.0
    sums["truncated"] += sum(group.truncated)
    sums["tokens"] += sum(len(rollout.response_tokens) for rollout in group.rollouts)


def validation_of(settings: Settings, prompts: Sequence[EncodedPrompt], sampler: GradedSampler) -> Validation:
    """As ``validation`` and ``evaluation`` say."""
    return Validation(
        prompts=prompts,
        every_steps=settings.validation.every_steps,
        sampling=Sampling(
            rollouts_per_prompt=settings.validation.n,
            max_response_length=settings.evaluation.max_response_length,
            temperature=settings.evaluation.temperature,
            top_p=settings.evaluation.top_p,
        ),
        batch_size=settings.engine.batch_size,
        seed=settings.run.seed,
        sampler=sampler,
        ranks=sampler.ranks,
    )
