"""pass@k: how likely one of k samples solves a problem. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb
from random import Random
from statistics import fmean, stdev

RESAMPLINGS = 100
"""Of the paper's estimate (AceReason-Nemotron-1.1, Figure 12)."""


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of a problem's n samples, drawn at random, hold one of the c solved.

    The unbiased estimate of the HumanEval paper (Chen et al. 2021, arXiv 2107.03374, Eq. 1), in exact arithmetic.

    Args:
        samples: n.
        solved: c, in 0..n.
        k: in 1..n.

    Raises:
        ValueError: a number outside its range.
    """
    if not 1 <= k <= samples or not 0 <= solved <= samples:
        raise ValueError(f"pass@{k} of {solved} solved among {samples} samples: expected 1 <= k <= n and 0 <= c <= n")
    return float(1 - Fraction(comb(samples - solved, k), comb(samples, k)))


def benchmark_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float | None:
    """Mean of ``pass_at_k`` over problems.

    Args:
        counts: (solved, drawn) of each problem.

    Returns:
        None when a problem has fewer than k samples, or there is no problem.
    """
    if not counts or any(drawn < k for _, drawn in counts):
        return None
    return fmean(pass_at_k(drawn, solved, k) for solved, drawn in counts)


def resampled_pass_at_k(
    counts: Sequence[tuple[int, int]], k: int, resamplings: int = RESAMPLINGS, seed: int = 0
) -> tuple[float, float] | None:
    """The paper's way (Figure 12): k random samples of every problem, ``resamplings`` times.

    Its mean estimates what ``benchmark_pass_at_k`` computes; the deviation says how much of that is the drawing.

    Args:
        counts: (solved, drawn) of each problem.

    Returns:
        Mean and sample standard deviation over the resamplings; None as in ``benchmark_pass_at_k``.
    """
    if not counts or any(drawn < k for _, drawn in counts):
        return None
    random = Random(seed)
    scores = [
        fmean(any(index < solved for index in random.sample(range(drawn), k)) for solved, drawn in counts)
        for _ in range(resamplings)
    ]
    return fmean(scores), stdev(scores) if resamplings > 1 else 0.0


def sizes(n: int) -> list[int]:
    """The k of a curve: powers of two up to n, and n itself."""
    powers = [1 << exponent for exponent in range(n.bit_length())]
    return powers if powers and powers[-1] == n else [*powers, n]
