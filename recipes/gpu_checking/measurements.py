"""What one half of the check measured: numbers to compare, and speeds; a file between two processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text


@dataclass(frozen=True, slots=True)
class Measurements:
    """The same model, weights and tokens give the same numbers up to rounding, whatever the device."""

    where: str
    """Device, precision and layer spec, for people."""
    layers: int
    sft_losses: tuple[float, ...]
    """Mean loss over response tokens (nats) before each of a few updates."""
    sft_gradient_norms: tuple[float, ...]
    """L2, before clipping."""
    log_probs: tuple[float, ...]
    """Of the rollouts' response tokens under the first weights, in nats."""
    grpo_loss: float
    grpo_gradient_norm: float
    grpo_entropy: float
    """Mean over response tokens, nats."""
    updated_log_probs: tuple[float, ...]
    """As ``log_probs``, after one GRPO update."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One thing that was timed."""

    name: str
    tokens: int
    """Without padding; of sampling the new ones."""
    seconds: float
    flops: int | None
    """Of the model's arithmetic (``flops.training_flops``); None for sampling, which memory bounds."""

    @property
    def tokens_per_second(self) -> float:
        """Throughput."""
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Half:
    """The file that one process leaves for the command."""

    measurements: Measurements
    speeds: tuple[Speed, ...]
    """Empty for the reference."""
    peak_memory_gb: float
    """Of the device's memory that torch allocated; 0 on a CPU."""

    def write(self, path: Path) -> None:
        """As JSON, complete or absent."""
        write_text(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls, path: Path) -> Half:
        """What ``write`` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        numbers: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content["measurements"].items()
        }
        speeds = tuple(Speed(**speed) for speed in content["speeds"])
        return cls(Measurements(**numbers), speeds, content["peak_memory_gb"])
