"""Two models on the same problems: how far apart, how sure, and which problems changed hands. Arithmetic only.

The pairing takes out what both share, the hardness of the problems, which is most of what ``ci95_problems`` of either
one is made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from evaluation.intervals import CONFIDENCE, problem_error, unseen

EXACT_UP_TO = 16
"""Differing problems up to which every assignment of signs is looked at: 2^16 of them."""
DRAWS = 10_000
"""Random assignments for more problems."""
_SAME = 1e-12
"""Two sums of rates that differ by rounding only; rates of n samples differ by 1/n^2 or more."""


class PairingError(ValueError):
    """Two evaluations that cannot be paired."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Model b against model a on one benchmark; rates and differences in [-1, 1]."""

    avg_a: float
    avg_b: float
    difference: float
    """avg_b - avg_a, the mean of the per-problem differences d_i."""
    stderr_sampling: float | None
    """Standard error of ``difference`` over new samples of the same problems; None when a side has none."""
    stderr_problems: float | None
    """sd(d_i) / sqrt(m); None for fewer than two problems."""
    ci95_problems: tuple[float, float] | None
    """95% interval of ``difference`` over new problems."""
    p_value: float
    """Of the two-sided paired permutation test."""
    gained: tuple[str, ...]
    """Solved by no sample of a and by one of b or more (the long tail of the paper's Figure 13)."""
    lost: tuple[str, ...]
    """Solved by a sample of a and by none of b."""
    per_problem: Mapping[str, tuple[float, float]]
    """Problem id -> (rate of a, rate of b)."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        row = {name: getattr(self, name) for name in self.__slots__ if name not in ("gained", "lost", "per_problem")}
        return {
            **row,
            "problems": len(self.per_problem),
            **{name: self._listed(getattr(self, name)) for name in ("gained", "lost")},
            "per_problem": {problem: {"a": a, "b": b} for problem, (a, b) in self.per_problem.items()},
        }

    def _listed(self, problems: Sequence[str]) -> list[dict[str, Any]]:
        return [dict(zip(("problem_id", "a", "b"), (one, *self.per_problem[one]), strict=True)) for one in problems]


def pair(
    rates_a: Mapping[str, float | None],
    rates_b: Mapping[str, float | None],
    stderr_a: float | None = None,
    stderr_b: float | None = None,
) -> Paired:
    """b against a.

    Args:
        rates_a, rates_b: problem id -> solve rate, None without a sample.
        stderr_a, stderr_b: ``stderr_sampling`` of either score.

    Raises:
        PairingError: no problem, other problems on one side, or a problem that has no sample there.
    """
    if rates_a.keys() != rates_b.keys() or not rates_a:
        odd = sorted(rates_a.keys() ^ rates_b.keys())
        raise PairingError(f"the problems differ: {len(odd)} of them are on one side only, e.g. {', '.join(odd[:3])}")
    per_problem = {}
    for problem, a in rates_a.items():
        b = rates_b[problem]
        if a is None or b is None:
            raise PairingError(f"problem {problem} has no sample on one side; sample what is missing and score again")
        per_problem[problem] = (a, b)
    differences = [b - a for a, b in per_problem.values()]
    return Paired(
        avg_a=fmean(a for a, _ in per_problem.values()),
        avg_b=fmean(b for _, b in per_problem.values()),
        difference=fmean(differences),
        stderr_sampling=None if stderr_a is None or stderr_b is None else math.hypot(stderr_a, stderr_b),
        stderr_problems=problem_error(differences),
        ci95_problems=difference_interval(differences),
        p_value=permutation_test(differences),
        gained=tuple(problem for problem, (a, b) in per_problem.items() if a == 0 < b),
        lost=tuple(problem for problem, (a, b) in per_problem.items() if b == 0 < a),
        per_problem=per_problem,
    )


def difference_interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """mean(d) +- t_{m-1} sd(d) / sqrt(m), the paired t interval; cut at -1 and 1, None for fewer than two problems.

    Where all d_i are 0 it is +- (1 - (a/2)^(1/m)), as in ``problem_interval``: |d_i| <= 1, so a mean difference further
    from 0 makes a d_i other than 0 at least as probable.
    """
    error = problem_error(differences)
    if error is None:
        return None
    if not any(differences):
        return -unseen(len(differences), confidence), unseen(len(differences), confidence)
    half = float(student_t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return max(-1.0, fmean(differences) - half), min(1.0, fmean(differences) + half)


def permutation_test(differences: Sequence[float], draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of "which model is which does not matter": how often do random signs give |sum(s_i d_i)| as large?

    Problems with d_i = 0 change no sum. With at most ``EXACT_UP_TO`` others, p is the share among all 2^m signs;
    beyond, p = (1 + #{as large}) / (1 + draws), which is never 0 and keeps its level.

    Args:
        differences: d_i of each problem.
        seed: of the drawn signs.
    """
    d = np.array([value for value in differences if value != 0.0])
    if d.size == 0:
        return 1.0
    observed = abs(d.sum()) - _SAME
    if d.size <= EXACT_UP_TO:
        sums = np.zeros(1)
        for value in d:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= observed))
    random = np.random.default_rng(seed)
    as_large = 0
    for start in range(0, draws, 1000):  # bounded memory: 1,000 x m signs at a time
        signs = random.integers(0, 2, size=(min(1000, draws - start), d.size)) * 2 - 1
        as_large += int(np.count_nonzero(np.abs(signs @ d) >= observed))
    return (1 + as_large) / (1 + draws)
