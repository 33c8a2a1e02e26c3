"""What a step reports about its rollouts, as sums with counts: they add over micro-batches, steps and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tally:
    """A sum and the number of its terms, float64 scalars on the device of their source (no synchronisation)."""

    total: Tensor
    count: Tensor

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.total + other.total, self.count + other.count)

    def mean(self) -> float:
        """Mean of the terms; NaN when there are none. Waits for the device."""
        return float(self.total / self.count)


def masked_tally(values: Tensor, mask: Tensor) -> Tally:
    """Values at the True positions, both [B, S]: the entropy in nats over response tokens.

    The paper's temperature-adjusted entropy (§4.5.2, target about 0.3) is read as the mean over all response tokens of
    H(softmax(logits / temperature)), so the mask is that of every sampled response, filtered or not.
    """
    if values.shape != mask.shape or mask.dtype != torch.bool:
        raise ValueError(
            f"mask must be bool of the values' shape {list(values.shape)}, found {mask.dtype} {list(mask.shape)}"
        )
    return Tally(values.detach().double().where(mask, 0.0).sum(), mask.sum().double())


def mean_tally(values: Tensor) -> Tally:
    """All elements: rewards (mean reward), truncated flags (truncated fraction), response lengths in tokens."""
    total = values.detach().double().sum()
    return Tally(total, torch.full_like(total, values.numel()))


def groups_with_signal(advantages: Tensor) -> Tally:
    """Groups of ``advantages`` [P, G] that move the policy: their scores differ, so some advantage is not 0."""
    if advantages.ndim != 2:
        raise ValueError(f"advantages must be [P, G], found {list(advantages.shape)}")
    return mean_tally((advantages != 0).any(dim=1))


def rollout_summary(
    rewards: Tensor, truncated: Tensor, response_lengths: Tensor, advantages: Tensor
) -> dict[str, Tally]:
    """The tallies of P groups of G rollouts, from four [P, G] tensors.

    Keys: ``reward`` (mean reward), ``truncated`` (fraction), ``response_length`` (tokens), ``groups_with_signal``
    (fraction). Truncated rollouts count in all of them, filtered or not.
    """
    shapes = {tuple(tensor.shape) for tensor in (rewards, truncated, response_lengths, advantages)}
    if len(shapes) != 1:
        raise ValueError(f"rewards, truncated, response_lengths and advantages must share one [P, G], found {shapes}")
    return {
        "reward": mean_tally(rewards),
        "truncated": mean_tally(truncated),
        "response_length": mean_tally(response_lengths),
        "groups_with_signal": groups_with_signal(advantages),
    }


def sum_over_ranks(tallies: Mapping[str, Tally], group: torch.distributed.ProcessGroup | None) -> dict[str, Tally]:
    """Adds the tallies of all ranks of ``group`` in one all-reduce; every rank must give the same keys.

    ``None`` is a single rank: nothing is communicated.
    """
    if group is None or not tallies:
        return dict(tallies)
    names = sorted(tallies)
    flat = torch.stack([part for name in names for part in (tallies[name].total, tallies[name].count)])
    torch.distributed.all_reduce(flat, group=group)
    return {name: Tally(flat[2 * i], flat[2 * i + 1]) for i, name in enumerate(names)}
