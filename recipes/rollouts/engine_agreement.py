"""Do two engines give the same tokens the same log-probs? The arithmetic of the gate behind a rollout engine.

On-policy training trusts that rollouts are drawn from the weights that are updated. A weight that did not arrive, a
bias that was dropped or a position table that ends too early shows as log-probs that differ from the trained model's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenDifference:
    """One sampled token."""

    prompt: int
    """Index of the prompt."""
    position: int
    """Place in the response, from 0."""
    engine: float
    """Log-prob in nats, in the engine that sampled it."""
    model: float
    """The same in the model that is trained."""

    @property
    def size(self) -> float:
        """|engine - model|; infinite where one of them is no number."""
        difference = abs(self.engine - self.model)
        return difference if math.isfinite(difference) else math.inf


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over every sampled token."""

    tokens: int
    mean: float
    """Mean of |engine - model|, nats."""
    worst: TokenDifference


def agreement(engine: Sequence[Sequence[float]], model: Sequence[Sequence[float]]) -> Agreement:
    """Compare the log-probs of the same tokens.

    Args:
        engine: for each prompt the log-probs of its response's tokens, nats; at least one token in all.
        model: of the same shape.

    Raises:
        ValueError: no token, or another shape.
    """
    found = [
        TokenDifference(prompt, position, ours, theirs)
        for prompt, (left, right) in enumerate(zip(engine, model, strict=True))
        for position, (ours, theirs) in enumerate(zip(left, right, strict=True))
    ]
    if not found:
        raise ValueError("no token to compare; expected at least one sampled token")
    mean = sum(token.size for token in found) / len(found)
    return Agreement(len(found), mean, max(found, key=lambda token: token.size))
