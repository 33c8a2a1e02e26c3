"""Whole numbers in given proportions: how many rows each stratum gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` seats for ``weights``, by Sainte-Laguë's divisors: nobody loses a seat when there are more of them.

    That makes nested subsets with equal proportions: the counts of a smaller total are at most those of a larger one.
    Where ``total`` is at most the sum of the weights, no count is above its weight.

    Args:
        weights: at least 0, and one above it where ``total`` is.

    Raises:
        ValueError: no weight is above 0 and ``total`` is.
    """
    whole, size = sum(weights), len(weights)
    if whole == 0:
        if total:
            raise ValueError(f"{total} rows for strata without a row; expected at least one stratum with rows")
        return [0] * size
    # The multiplier (total - size) / whole gives at most `total` seats: rounding adds less than one to each.
    start = max(total - size, 0)
    counts = [(2 * start * weight + whole) // (2 * whole) for weight in weights]
    for _ in range(total - sum(counts)):
        best = min((place for place in range(size) if weights[place]), key=lambda place: _turn(counts, weights, place))
        counts[best] += 1
    return counts


def _turn(counts: Sequence[int], weights: Sequence[int], place: int) -> tuple[Fraction, int]:
    return Fraction(2 * counts[place] + 1, weights[place]), place


@dataclass(frozen=True, slots=True)
class Fit:
    """How many rows of each stratum make the largest set with given shares."""

    counts: tuple[int, ...]
    limits: tuple[int, ...]
    """Strata that give all they have: a larger set would need more rows there."""


def largest_fit(available: Sequence[int], shares: Sequence[float], tolerance: float, most: int | None = None) -> Fit:
    """The largest set whose shares are within ``tolerance`` of ``shares``, to within one row.

    Strata that have enough keep their proportions among each other.

    Args:
        available: rows of each stratum.
        shares: at least 0, sum 1.
        tolerance: 0 to 1, difference of a share.
        most: rows at most; None: no limit.
    """
    low, high = 0, sum(available) if most is None else min(most, sum(available))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(middle, available, shares, tolerance) else (low, middle - 1)
    least, greatest = _bounds(low, available, shares, tolerance)
    counts = _filled(low, least, greatest, shares)
    full = tuple(place for place, count in enumerate(counts) if count == available[place] and shares[place] > 0)
    return Fit(tuple(counts), full)


def _bounds(
    total: int, available: Sequence[int], shares: Sequence[float], tolerance: float
) -> tuple[list[int], list[int]]:
    least = [max(0, int(total * (share - tolerance) + 1e-9)) for share in shares]
    # a share of 0 means none, whatever the tolerance
    upper = [-int(-(total * min(1.0, share + tolerance) - 1e-9) // 1) if share > 0 else 0 for share in shares]
    return least, [min(have, most) for have, most in zip(available, upper, strict=True)]


def _fits(total: int, available: Sequence[int], shares: Sequence[float], tolerance: float) -> bool:
    least, greatest = _bounds(total, available, shares, tolerance)
    return all(low <= high for low, high in zip(least, greatest, strict=True)) and sum(greatest) >= total


def _filled(total: int, least: Sequence[int], greatest: Sequence[int], shares: Sequence[float]) -> list[int]:
    """Proportional to the shares within the bounds, summing to ``total``: one multiplier for all, found by halving."""

    def at(multiplier: float) -> list[float]:
        bounds = zip(shares, least, greatest, strict=True)
        return [min(max(multiplier * share, low), high) for share, low, high in bounds]

    small, large = 0.0, float(total)
    while sum(at(large)) < total - 1e-6 and large < 2.0**80:
        large *= 2
    for _ in range(100):
        middle = (small + large) / 2
        small, large = (middle, large) if sum(at(middle)) < total else (small, middle)
    exact = at(large)
    counts = [int(value + 1e-6) for value in exact]
    by_rest = sorted(range(len(counts)), key=lambda place: (counts[place] - exact[place], place))
    while sum(counts) < total:
        before = sum(counts)
        for place in by_rest:
            if sum(counts) < total and counts[place] < greatest[place]:
                counts[place] += 1
        assert sum(counts) > before, "the bounds leave room for the total"
    return counts
