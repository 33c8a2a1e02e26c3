"""Groups of graded rollouts: each rollout goes to the grader as soon as it is complete, while others still decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from recipes.data.prompts import EncodedPrompt
from recipes.records import Group, Rollout, Verdict
from recipes.rollouts.engine import RolloutEngine
from recipes.rollouts.group_sampling import Decoder, sample_groups
from recipes.training.ports import Grader, Ranks


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are drawn."""

    rollouts_per_prompt: int
    max_response_length: int
    """Length budget, in tokens."""
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rollouts whose verdicts may still be on their way."""

    prompts: Sequence[EncodedPrompt]
    rollouts: Sequence[tuple[Rollout, ...]]
    verdicts: Mapping[tuple[int, int], Future[Verdict]]
    """By (prompt, sample); the replica source's alone."""


@dataclass(frozen=True, slots=True)
class GradedSampler:
    """Engine and grader of one replica."""

    engine: RolloutEngine
    tokenizer: Decoder
    grader: Grader
    ranks: Ranks

    def sample(
        self,
        prompts: Sequence[EncodedPrompt],
        sampling: Sampling,
        seed: int,
        complete: Callable[[int], None] | None = None,
    ) -> Sampled:
        """Rollouts of every prompt from the current weights.

        Args:
            prompts: this replica's, at least one.
            complete: told how many rollouts are complete, each time that one is.
        """
        verdicts: dict[tuple[int, int], Future[Verdict]] = {}
        count = 0

        def finished(index: int, rollout: Rollout) -> None:
            nonlocal count
            if self.ranks.is_replica_source:
                verdicts[index, rollout.sample] = self.grader.submit(rollout.text, prompts[index].problem)
            count += 1
            if complete is not None:
                complete(count)

        rollouts = sample_groups(
            self.engine,
            prompts,
            self.tokenizer,
            rollouts_per_prompt=sampling.rollouts_per_prompt,
            max_response_length=sampling.max_response_length,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed,
            finished=finished,
        )
        return Sampled(prompts, rollouts, verdicts)

    def grade(self, sampled: Sampled) -> list[Group]:
        """The rule-based reward of every rollout, worked out once in a replica: waits for what is not there yet."""
        known = {place: verdict.result() for place, verdict in sampled.verdicts.items()}
        shared = self.ranks.broadcast_in_replica(known if self.ranks.is_replica_source else None)
        return [
            Group(prompt.problem, group, tuple(shared[index, rollout.sample] for rollout in group))
            for index, (prompt, group) in enumerate(zip(sampled.prompts, sampled.rollouts, strict=True))
        ]
