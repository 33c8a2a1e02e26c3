"""The sampling temperature whose temperature-adjusted entropy is nearest to a target (paper §4.5.2: about 0.3 nats).

At each temperature T the entropy is the mean of H(softmax(z / T)) over the response tokens of rollouts drawn at T. It
is known from a few prompts only, whose rollouts go together: standard errors take the prompts as the draws.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

BOOTSTRAP_DRAWS = 1000
INTERVAL = 0.9
"""Mass of the interval that is given for the temperature."""


@dataclass(frozen=True, slots=True)
class PromptEntropy:
    """The rollouts of one prompt at one temperature."""

    entropy_sum: float
    """Over all response tokens, in nats."""
    tokens: int
    """Response tokens."""
    reward: float
    """Mean over the rollouts."""
    truncated: float
    """Fraction of the rollouts."""


@dataclass(frozen=True, slots=True)
class EntropyPoint:
    """One temperature; the prompts are the same ones, in the same order, at every temperature."""

    temperature: float
    prompts: tuple[PromptEntropy, ...]

    @property
    def entropy(self) -> float:
        """Mean over response tokens, in nats."""
        return ratio_of_sums([prompt.entropy_sum for prompt in self.prompts], [p.tokens for p in self.prompts])

    @property
    def entropy_stderr(self) -> float:
        """Clustered over prompts."""
        return ratio_error([prompt.entropy_sum for prompt in self.prompts], [p.tokens for p in self.prompts])

    @property
    def reward(self) -> float:
        """Mean over rollouts."""
        return fmean(prompt.reward for prompt in self.prompts)

    @property
    def reward_stderr(self) -> float:
        """Clustered over prompts."""
        return stdev([prompt.reward for prompt in self.prompts]) / math.sqrt(len(self.prompts))

    @property
    def truncated(self) -> float:
        """Fraction of rollouts."""
        return fmean(prompt.truncated for prompt in self.prompts)

    def of(self, draw: Sequence[int]) -> EntropyPoint:
        """The same temperature with other prompts: those at the places ``draw``."""
        return EntropyPoint(self.temperature, tuple(self.prompts[place] for place in draw))


@dataclass(frozen=True, slots=True)
class ChosenTemperature:
    """The temperature nearest to the target, and how well it is known."""

    temperature: float
    stderr: float
    """Bootstrap over prompts."""
    low: float
    high: float
    """The middle ``INTERVAL`` of the bootstrap."""
    clamped: Literal["lowest", "highest"] | None
    """The target lies beyond the entropy of the lowest or highest temperature that was measured."""


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """sum of numerators / sum of denominators."""
    return sum(numerators) / sum(denominators)


def ratio_error(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Standard error of ``ratio_of_sums`` R with the pairs (a, b) as draws, by linearisation::

        sqrt(P / (P - 1) * sum (a - R b)^2) / sum b

    Raises:
        ValueError: fewer than two pairs.
    """
    count = len(numerators)
    if count < 2:
        raise ValueError(f"a standard error over prompts needs at least two of them, found {count}")
    ratio = ratio_of_sums(numerators, denominators)
    squares = sum((a - ratio * b) ** 2 for a, b in zip(numerators, denominators, strict=True))
    return math.sqrt(count / (count - 1) * squares) / sum(denominators)


def choose_temperature(points: Sequence[EntropyPoint], target: float, seed: int) -> ChosenTemperature:
    """Interpolate between the measured points, and repeat it on prompts drawn with replacement.

    Args:
        points: temperatures ascending, at least two prompts each.
        target: entropy in nats.
        seed: of the bootstrap.
    """
    best, clamped = _cross(points, target)
    dice = random.Random(f"temperature-{seed}")
    count = len(points[0].prompts)
    draws = []
    for _ in range(BOOTSTRAP_DRAWS):
        places = [int(dice.random() * count) for _ in range(count)]
        draws.append(_cross([point.of(places) for point in points], target)[0])
    draws.sort()
    tail = round((1 - INTERVAL) / 2 * BOOTSTRAP_DRAWS)
    return ChosenTemperature(best, stdev(draws), draws[tail], draws[-1 - tail], clamped)


def _cross(points: Sequence[EntropyPoint], target: float) -> tuple[float, Literal["lowest", "highest"] | None]:
    temperatures = [point.temperature for point in points]
    return crossing(temperatures, isotonic([point.entropy for point in points]), target)


def crossing(
    temperatures: Sequence[float], entropies: Sequence[float], target: float
) -> tuple[float, Literal["lowest", "highest"] | None]:
    """Where the curve through the points reaches the target; on a level stretch, its middle.

    Between two points log(entropy) is linear: entropy grows faster and faster with the temperature (0.15, 0.26 and 0.4
    nats at 0.6, 0.85 and 1.0 in Figure 8 of the paper).

    Args:
        temperatures: ascending.
        entropies: not descending, above 0.

    Returns:
        The temperature, and which end it was clamped to.
    """
    if target < entropies[0]:
        return temperatures[0], "lowest"
    if target > entropies[-1]:
        return temperatures[-1], "highest"
    reached = [t for t, entropy in zip(temperatures, entropies, strict=True) if entropy == target]
    if reached:
        return (reached[0] + reached[-1]) / 2, None
    above = next(place for place, entropy in enumerate(entropies) if entropy > target)
    low, high = math.log(entropies[above - 1]), math.log(entropies[above])
    share = (math.log(target) - low) / (high - low)
    return temperatures[above - 1] + share * (temperatures[above] - temperatures[above - 1]), None


def isotonic(values: Sequence[float]) -> list[float]:
    """The nearest ascending values in least squares: neighbours out of order become their mean (pool adjacent
    violators). Entropy grows with the temperature; a few prompts may say otherwise."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (last, n), (before, m) = pools.pop(), pools.pop()
            pools.append(((last * n + before * m) / (n + m), n + m))
    return [mean for mean, count in pools for _ in range(count)]
