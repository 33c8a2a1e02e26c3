"""Strictly on-policy GRPO (AceReason-Nemotron 1.1, §3.2.1), one global batch of prompts at a time:

sample G rollouts for each prompt, each graded by rule as soon as it is complete -> advantages within the group -> one
update -> held-out score, when it is due -> log -> save.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tqdm import tqdm

from recipes.checkpoints.store import CheckpointStore
from recipes.data.prompts import EncodedPrompt
from recipes.objectives.policy_batch import PolicyBatch
from recipes.objectives.summaries import rollout_summary
from recipes.records import Group
from recipes.rollouts.group_sampling import sampling_seed
from recipes.rollouts.ledger import Ledger
from recipes.settings.schema import GrpoSettings, StoppingSettings
from recipes.training.batching import policy_batch
from recipes.training.entropy_watch import EntropyWatch
from recipes.training.epochs import EpochPlanner
from recipes.training.graded_sampling import GradedSampler, Sampled, Sampling
from recipes.training.metrics_log import MetricsLog
from recipes.training.ports import MetricLogger, Policy, Ranks, UpdateMetrics
from recipes.training.stopping import StageEnd, StoppedBy, plateau
from recipes.training.validation import Validation

SECONDS_BETWEEN_REFRESHES = 0.5
"""Of the progress bar while a batch is being sampled."""


def goes_on(_done: int) -> bool:
    """A loop that nobody asks to stop."""
    return False


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
    stopping: StoppingSettings
    seed: int
    save_every_steps: int
    epochs: EpochPlanner
    pad_token: int
    width_multiple: int
    """The padded width of a batch is a multiple of it."""
    sampler: GradedSampler
    validation: Validation
    entropy_watch: EntropyWatch
    policy: Policy
    ranks: Ranks
    store: CheckpointStore
    ledger: Ledger
    metrics_log: MetricsLog
    logger: MetricLogger
    step_done: Callable[[int], bool] = goes_on
    """Told the updates done before the first step, after every step and save, on every process; true, on all of them:
    save and end."""

    def fit(self, first_step: int) -> StageEnd:
        """Train from ``first_step`` (0, or the step of the checkpoint that was loaded) to the end of the stage."""
        if self.ranks.is_main:
            self.ledger.forget_from(first_step)
            self.metrics_log.forget_from(first_step)
        self.ranks.barrier()
        with tqdm(
            total=self.settings.max_steps,
            initial=first_step,
            desc=self.stage,
            unit="step",
            disable=not self.ranks.is_main,
            dynamic_ncols=True,
        ) as bar:
            done = first_step
            stopped_by = self.stopped_by(done) or ("signal" if self.step_done(done) else None)
            while stopped_by is None:
                self.step(done, bar)
                done += 1
                asked = self.step_done(done)
                stopped_by = self.stopped_by(done) or ("signal" if asked else None)
                if stopped_by in ("plateau", "solved"):
                    self.validate_end(done, bar)
                if stopped_by is not None or done % self.save_every_steps == 0:
                    self.save(done)
                    if stopped_by is None and self.step_done(done):  # asked during the save
                        stopped_by = "signal"
        if self.ranks.is_main and stopped_by != "signal":
            self.ledger.write_totals()
        return StageEnd(stopped_by, done)

    def stopped_by(self, done: int) -> StoppedBy | None:
        """Why the stage ends after ``done`` steps, None when it goes on; the same on every process."""
        if done >= self.settings.max_steps:
            return "max_steps"
        if self.stopping.metric != "none":
            flat = plateau(self.metrics_log.rows(), self.stopping) if self.ranks.is_main else None
            if self.ranks.broadcast(flat):
                return "plateau"
        return None if self.epochs.at(done) else "solved"

    def step(self, step: int, bar: tqdm) -> None:
        """Sample, grade, update, validate, log."""
        clock = PhaseClock()
        start = self.validate(0, "validation_start", bar) if step == 0 else {}
        mine = self.epochs.batch(step)[self.ranks.replica :: self.ranks.replicas]
        with clock.phase("sample"):
            sampled = self.sample(step, mine, bar)
        with clock.phase("grade"):
            groups = self.sampler.grade(sampled)
        with clock.phase("update"):
            batch = policy_batch(
                groups, self.settings, self.ranks, pad_token=self.pad_token, width_multiple=self.width_multiple
            )
            update = self.policy.update(self.with_reference(batch))
        if self.ranks.is_replica_source:
            self.ledger.write(step, self.epoch(step), self.ranks.replica, groups)
        scores = start | self.validate(step + 1, "validation", bar)
        self.log(step, self.rollout_means(groups, batch), scores, update, clock, bar)

    def epoch(self, step: int) -> int:
        """The pass over the prompts (from 0) that a step belongs to."""
        epoch = self.epochs.at(step)
        assert epoch is not None
        return epoch.number

    def sample(self, step: int, prompts: Sequence[EncodedPrompt], bar: tqdm) -> Sampled:
        """G rollouts for each of this replica's prompts, drawn from the current weights, and their verdicts to come."""
        total, shown = len(prompts) * self.settings.rollouts_per_prompt, 0.0

        def complete(count: int) -> None:
            nonlocal shown
            if count == total or time.monotonic() - shown > SECONDS_BETWEEN_REFRESHES:
                shown = time.monotonic()
                bar.set_description_str(f"{self.stage} sampled {count}/{total}")

        sampling = Sampling(
            rollouts_per_prompt=self.settings.rollouts_per_prompt,
            max_response_length=self.settings.max_response_length,
            temperature=self.settings.sampling_temperature,
            top_p=self.settings.top_p,
        )
        return self.sampler.sample(prompts, sampling, sampling_seed(self.seed, self.stage, step), complete)

    def with_reference(self, batch: PolicyBatch) -> PolicyBatch:
        """Log-probs of the reference model, only where there is a KL term."""
        if self.settings.kl_coefficient == 0:
            return batch
        return replace(batch, reference_log_probs=self.policy.reference_log_probs(batch))

    def validate(self, done: int, prefix: str, bar: tqdm) -> dict[str, float]:
        """The held-out score after ``done`` steps, when it is due, as columns of the row of metrics."""
        if not self.validation.due(done, self.settings.max_steps):
            return {}
        return self.measure(done, prefix, bar)

    def validate_end(self, done: int, bar: tqdm) -> None:
        """The held-out score of the last weights, where the stage ends before it was due: into the last step's row."""
        if self.validation.every_steps == 0 or self.validation.due(done, self.settings.max_steps):
            return
        scores = self.measure(done, "validation", bar)
        if self.ranks.is_main:
            row = self.metrics_log.rows()[-1]
            self.metrics_log.forget_from(row["step"])
            self.metrics_log.append(row | scores)
            self.logger.log_metrics(scores, row["step"], "train/")

    def measure(self, done: int, prefix: str, bar: tqdm) -> dict[str, float]:
        """The held-out score as columns of a row of metrics."""
        clock = PhaseClock()
        with clock.phase("validation"):
            scores = self.validation.measure(done, lambda text: bar.set_description_str(f"{self.stage} {text}"))
        return {f"{prefix}_{name}": value for name, value in scores.items()} | {
            f"seconds_{prefix}": clock.seconds["validation"]
        }

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

    def log(
        self,
        step: int,
        means: Mapping[str, float],
        scores: Mapping[str, float],
        update: UpdateMetrics,
        clock: PhaseClock,
        bar: tqdm,
    ) -> None:
        """One row of metrics to ``metrics.jsonl``, the loggers and the progress bar."""
        seconds = sum(clock.seconds.values())
        metrics: dict[str, Any] = {
            "step": step,
            "epoch": self.epoch(step),
            **means,
            "entropy": update.entropy,
            "loss": update.loss,
            "kl": update.kl,
            "gradient_norm": update.gradient_norm,
            "learning_rate": update.learning_rate,
            "temperature": self.settings.sampling_temperature,
            **scores,
            **{f"seconds_{name}": value for name, value in clock.seconds.items()},
            "tokens_per_second": means["response_tokens"] / seconds,
        }
        if self.ranks.is_main:
            metrics["entropy_warning"], warning = self.entropy_watch.judge(self.metrics_log.rows(), update.entropy)
            if warning is not None:
                bar.write(f"{self.stage}, step {step + 1}: {warning}")
            self.metrics_log.append(metrics)
            self.logger.log_metrics({k: v for k, v in metrics.items() if k != "step"}, step, "train/")
        bar.set_description_str(self.stage)
        bar.set_postfix_str(
            f"reward {metrics['reward']:.2f}, truncated {metrics['truncated']:.0%}, "
            f"length {metrics['response_length']:.0f}, entropy {metrics['entropy']:.2f}"
            + (f", held out {scores['validation_avg']:.1%}" if "validation_avg" in scores else "")
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
            position = self.epochs.position(step)
            self.store.commit(step, {"stage": self.stage, "order": position.as_dict()})
        self.ranks.barrier()
