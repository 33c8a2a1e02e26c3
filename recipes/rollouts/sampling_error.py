"""How far avg@n would move if the same problems were sampled again."""

from __future__ import annotations

import math
from collections.abc import Sequence


def sampling_error(counts: Sequence[tuple[int, int]]) -> float | None:
    """sqrt(sum_p r_p (1 - r_p) / (m_p - 1)) / P, the problems held fixed.

    r (1 - r) / (m - 1) is the unbiased estimate of the variance of the mean of m Bernoulli draws.

    Args:
        counts: (solved, drawn) of each of the P problems.

    Returns:
        None when a problem has fewer than two draws, or there is no problem.
    """
    if not counts or any(drawn < 2 for _, drawn in counts):
        return None
    return math.sqrt(sum(variance_of_rate(solved, drawn) for solved, drawn in counts)) / len(counts)


def variance_of_rate(solved: int, drawn: int) -> float:
    """r (1 - r) / (m - 1) for m >= 2 draws."""
    return solved / drawn * (1 - solved / drawn) / (drawn - 1)
