"""Strictly on-policy GRPO (AceReason-Nemotron 1.1, §3.2.1), one global batch of prompts at a time:

sample G rollouts for each prompt, each graded by rule as soon as it is complete -> advantages within the group -> one
update -> log -> save.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from tqdm import tqdm

from recipes.checkpoints.store import CheckpointStore
from recipes.data.order import PromptOrder
from recipes.data.prompts import EncodedPrompt
from recipes.objectives.policy_batch import PolicyBatch
from recipes.objectives.summaries import rollout_summary
from recipes.records import Group, Rollout, Verdict
from recipes.rollouts.engine import RolloutEngine
from recipes.rollouts.group_sampling import Decoder, sample_groups, sampling_seed
from recipes.rollouts.ledger import Ledger
from recipes.settings.schema import GrpoSettings
from recipes.training.batching import policy_batch
from recipes.training.metrics_log import MetricsLog
from recipes.training.ports import Grader, MetricLogger, Policy, Ranks, UpdateMetrics

SECONDS_BETWEEN_REFRESHES = 0.5
"""Of the progress bar while a batch is being sampled."""


@dataclass(slots=True)
class PhaseClock:
    """Wall seconds of the phases of one step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block as ``name``."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


@dataclass(frozen=True, slots=True)
class GrpoLoop:
    """The stage's loop; every process of the run calls ``fit`` and goes through the same steps."""

    stage: str
    settings: GrpoSettings
    seed: int
    save_every_steps: int
    prompts: PromptOrder[EncodedPrompt]
    tokenizer: Decoder
    pad_token: int
    width_multiple: int
    """The padded width of a batch is a multiple of it."""
    engine: RolloutEngine
    grader: Grader
    policy: Policy
    ranks: Ranks
    store: CheckpointStore
    ledger: Ledger
    metrics_log: MetricsLog
    logger: MetricLogger

    def fit(self, first_step: int) -> None:
        """Train from ``first_step`` (0, or the step of the checkpoint that was loaded) to ``max_steps``."""
        if self.ranks.is_main:
            self.ledger.forget_from(first_step)
            self.metrics_log.forget_from(first_step)
        self.ranks.barrier()
        steps = range(first_step, self.settings.max_steps)
        with tqdm(
            total=self.settings.max_steps,
            initial=first_step,
            desc=self.stage,
            unit="step",
            disable=not self.ranks.is_main,
            dynamic_ncols=True,
        ) as bar:
            for step in steps:
                self.step(step, bar)
                done = step + 1
                if done % self.save_every_steps == 0 or done == self.settings.max_steps:
                    self.save(done)

    def step(self, step: int, bar: tqdm) -> None:
        """Sample, grade, update, log."""
        clock = PhaseClock()
        mine = self.prompts.batch(step, self.settings.prompts_per_step)[self.ranks.replica :: self.ranks.replicas]
        with clock.phase("sample"):
            rollouts, verdicts = self.sample(step, mine, bar)
        with clock.phase("grade"):
            groups = self.grade(mine, rollouts, verdicts)
        with clock.phase("update"):
            batch = policy_batch(
                groups, self.settings, self.ranks, pad_token=self.pad_token, width_multiple=self.width_multiple
            )
            update = self.policy.update(self.with_reference(batch))
        if self.ranks.is_replica_source:
            epoch = self.prompts.epoch(step, self.settings.prompts_per_step)
            self.ledger.write(step, epoch, self.ranks.replica, groups)
        self.log(step, self.rollout_means(groups, batch), update, clock, bar)

    def sample(
        self, step: int, prompts: Sequence[EncodedPrompt], bar: tqdm
    ) -> tuple[list[tuple[Rollout, ...]], dict[tuple[int, int], Future[Verdict]]]:
        """G rollouts for each of this replica's prompts, drawn from the current weights, and their verdicts to come.

        The verdicts, by (prompt, sample), are the replica source's alone.
        """
        total, complete, shown = len(prompts) * self.settings.rollouts_per_prompt, 0, 0.0
        verdicts: dict[tuple[int, int], Future[Verdict]] = {}

        def finished(index: int, rollout: Rollout) -> None:
            nonlocal complete, shown
            if self.ranks.is_replica_source:
                verdicts[index, rollout.sample] = self.grader.submit(rollout.text, prompts[index].problem)
            complete += 1
            if complete == total or time.monotonic() - shown > SECONDS_BETWEEN_REFRESHES:
                shown = time.monotonic()
                bar.set_description_str(f"{self.stage} sampled {complete}/{total}")

        rollouts = sample_groups(
            self.engine,
            prompts,
            self.tokenizer,
            rollouts_per_prompt=self.settings.rollouts_per_prompt,
            max_response_length=self.settings.max_response_length,
            temperature=self.settings.sampling_temperature,
            top_p=self.settings.top_p,
            seed=sampling_seed(self.seed, self.stage, step, self.ranks.replica),
            finished=finished,
        )
        return rollouts, verdicts

    def grade(
        self,
        prompts: Sequence[EncodedPrompt],
        rollouts: Sequence[tuple[Rollout, ...]],
        verdicts: Mapping[tuple[int, int], Future[Verdict]],
    ) -> list[Group]:
        """The rule-based reward of every rollout, worked out once in a replica: waits for what is not there yet."""
        known = {place: verdict.result() for place, verdict in verdicts.items()}
        shared = self.ranks.broadcast_in_replica(known if self.ranks.is_replica_source else None)
        return [
            Group(prompt.problem, group, tuple(shared[index, rollout.sample] for rollout in group))
            for index, (prompt, group) in enumerate(zip(prompts, rollouts, strict=True))
        ]

    def with_reference(self, batch: PolicyBatch) -> PolicyBatch:
        """Log-probs of the reference model, only where there is a KL term."""
        if self.settings.kl_coefficient == 0:
            return batch
        return replace(batch, reference_log_probs=self.policy.reference_log_probs(batch))

    def rollout_means(self, groups: Sequence[Group], batch: PolicyBatch) -> dict[str, float]:
        """Means over the global batch, and ``response_tokens``, its sum."""
        tallies = rollout_summary(
            torch.tensor([group.rewards for group in groups]),
            torch.tensor([group.truncated for group in groups]),
            torch.tensor([[len(rollout.response_tokens) for rollout in group.rollouts] for group in groups]),
            batch.advantages.reshape(len(groups), -1),
        )
        parts = {(name, part): float(getattr(t, part)) for name, t in tallies.items() for part in ("total", "count")}
        sums = self.ranks.sum_over_replicas({f"{name}.{part}": value for (name, part), value in parts.items()})
        means = {name: sums[f"{name}.total"] / sums[f"{name}.count"] for name in tallies}
        return means | {"response_tokens": sums["response_length.total"]}

    def log(self, step: int, means: Mapping[str, float], update: UpdateMetrics, clock: PhaseClock, bar: tqdm) -> None:
        """One row of metrics to ``metrics.jsonl``, the loggers and the progress bar."""
        seconds = sum(clock.seconds.values())
        metrics = {
            "step": step,
            "epoch": self.prompts.epoch(step, self.settings.prompts_per_step),
            **means,
            "entropy": update.entropy,
            "loss": update.loss,
            "kl": update.kl,
            "gradient_norm": update.gradient_norm,
            "learning_rate": update.learning_rate,
            "temperature": self.settings.sampling_temperature,
            **{f"seconds_{name}": value for name, value in clock.seconds.items()},
            "tokens_per_second": means["response_tokens"] / seconds,
        }
        if self.ranks.is_main:
            self.metrics_log.append(metrics)
            self.logger.log_metrics({k: v for k, v in metrics.items() if k != "step"}, step, "train/")
        bar.set_description_str(self.stage)
        bar.set_postfix_str(
            f"reward {metrics['reward']:.2f}, truncated {metrics['truncated']:.0%}, "
            f"length {metrics['response_length']:.0f}, entropy {metrics['entropy']:.2f}"
        )
        bar.update(1)

    def save(self, step: int) -> None:
        """A checkpoint from which ``fit(step)`` goes on as if nothing had happened."""
        if self.ranks.is_main:
            self.store.begin(step)
        self.ranks.barrier()
        self.policy.save_state(self.store.pending_state(step))
        self.ranks.barrier()
        if self.ranks.is_main:
            position = self.prompts.position(step, self.settings.prompts_per_step)
            self.store.commit(step, {"stage": self.stage, "order": position.as_dict()})
        self.ranks.barrier()
