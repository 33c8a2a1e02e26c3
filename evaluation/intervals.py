"""How sure a score is, for problems that are a sample of their kind. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from scipy.stats import t as student_t

CONFIDENCE = 0.95


def problem_error(rates: Sequence[float]) -> float | None:
    """sd(rates) / sqrt(P), the problems as draws from a population; None for fewer than two problems."""
    return math.sqrt(variance(rates) / len(rates)) if len(rates) > 1 else None


def error_of_exact_rates(over_problems: float, over_samples: float) -> float:
    """sqrt(e_P^2 - e_S^2): what stays of the error over problems when each has samples without end.

    The variance of rates over problems is that of the true rates and, on the mean, that of a rate over its n samples:
    e_P^2 = (var(p) + mean(p (1 - p)) / n) / P and e_S^2 = mean(p (1 - p)) / (n P).

    Args:
        over_problems: ``problem_error``.
        over_samples: standard error over new samples of the same problems.

    Returns:
        0 where the samples are too few to see any part of it.
    """
    return math.sqrt(max(0.0, over_problems**2 - over_samples**2))


def problem_interval(rates: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """mean +- t_{P-1} sd(rates) / sqrt(P), cut at 0 and 1: where the score of many such problems lies.

    The n samples of a problem stay together (they are one draw, its solve rate), which makes this a clustered interval:
    one over all samples as if they were independent covers a quarter of the time where it promises 95%.

    Rates that are all 0, or all 1, have no deviation, and are no proof: then the end on the other side is that of the
    exact binomial interval (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934) of 0 in P, 1 - (a/2)^(1/P) with
    a = 1 - confidence. It holds whatever the rates' distribution: where their mean is m, a rate is above 0 with
    probability m or more, so all P are 0 with probability (1 - m)^P at most, which is a/2 at that end.

    Args:
        rates: solve rate of each of the P problems, in [0, 1].

    Returns:
        Lower and upper end; None for fewer than two problems.
    """
    error = problem_error(rates)
    if error is None:
        return None
    if len(set(rates)) == 1 and rates[0] in (0, 1):
        far = unseen(len(rates), confidence)
        return (0.0, far) if rates[0] == 0 else (1 - far, 1.0)
    half = float(student_t.ppf((1 + confidence) / 2, len(rates) - 1)) * error
    return max(0.0, fmean(rates) - half), min(1.0, fmean(rates) + half)


def unseen(problems: int, confidence: float = CONFIDENCE) -> float:
    """1 - (a/2)^(1/P): upper Clopper-Pearson end for what none of P problems shows."""
    return 1.0 - ((1 - confidence) / 2) ** (1 / problems)
