"""What the training loop asks of the outside: small protocols, so that no framework is named here."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from recipes.records import Problem, Verdict

if TYPE_CHECKING:  # a reader of run folders, preflight for instance, does without torch
    import torch

    from recipes.objectives.policy_batch import PolicyBatch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UpdateMetrics:
    """One optimizer step, equal on every rank."""

    loss: float
    """Eq. 1 with its sign turned (plus the KL term): what is minimised."""
    kl: float
    """Weighted mean of the KL estimate against the reference; 0 without one."""
    entropy: float
    """Mean temperature-adjusted entropy over response tokens, in nats."""
    gradient_norm: float
    """Before clipping."""
    learning_rate: float


class Policy(Protocol):
    """The model being trained."""

    def update(self, batch: PolicyBatch) -> UpdateMetrics:
        """One forward/backward pass over the batch and one optimizer step."""
        ...

    def reference_log_probs(self, batch: PolicyBatch) -> torch.Tensor:
        """[B, S-1] log-probs of the reference model; only where ``grpo.kl_coefficient`` > 0."""
        ...

    def entropy(self, batch: PolicyBatch, temperature: float) -> torch.Tensor:
        """[B] float64 on the CPU, on every rank: the temperature-adjusted entropy summed over response tokens, in nats.

        ``B`` may differ between replicas.
        """
        ...

    def save_state(self, directory: Path) -> None:
        """Weights, optimizer and schedule; called on every rank."""
        ...


class Ranks(Protocol):
    """The processes of the run. A replica is the tensor/pipeline-parallel group that holds one copy of the model."""

    @property
    def is_main(self) -> bool:
        """True on one process of the run."""
        ...

    @property
    def is_replica_source(self) -> bool:
        """True on the one process of a replica that grades and writes."""
        ...

    @property
    def replica(self) -> int:
        """Data-parallel rank."""
        ...

    @property
    def replicas(self) -> int:
        """Data-parallel size."""
        ...

    def broadcast_in_replica(self, value: T | None) -> T:
        """The replica source's value on every process of the replica."""
        ...

    def broadcast(self, value: T | None) -> T:
        """The main process's value on every process of the run."""
        ...

    def sum_over_replicas(self, values: Mapping[str, float]) -> dict[str, float]:
        """Key-wise sum; every process of every replica gets it."""
        ...

    def any_rank(self, flag: bool) -> bool:
        """Whether ``flag`` is true on any process of the run; every process gets it."""
        ...

    def barrier(self) -> None:
        """Wait for every process."""
        ...


class Grader(Protocol):
    """The rule-based reward."""

    def submit(self, response: str, problem: Problem) -> Future[Verdict]:
        """The verdict to come on one response; other processes work it out."""
        ...


class MetricLogger(Protocol):
    """TensorBoard, W&B, MLflow, ... behind one door."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, prefix: str = "") -> None:
        """Record scalars of one step."""
        ...
