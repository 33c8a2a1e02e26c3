"""avg@n and its errors from graded samples; arithmetic only.

Two standard errors, because they answer two questions. ``stderr_sampling``: how far would avg@n move if the same
problems were sampled again? ``stderr_problems``: how far if the problems were others of their kind? The first one falls
with n, the second one does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from evaluation.samples import Sample
from recipes.rollouts.sampling_error import sampling_error


@dataclass(frozen=True, slots=True)
class Scores:
    """One benchmark's numbers; a value that the samples cannot give is None."""

    avg: float | None
    """Mean over problems of the share of solved samples (avg@n), in [0, 1]; None when a problem has no sample."""
    n: int
    """Samples that every problem should have."""
    problems: int
    samples: int
    """Samples present."""
    missing: int
    """``n * problems`` less the distinct samples present; they are in no mean."""
    stderr_sampling: float | None
    """Standard error of ``avg`` over new samples of the same problems; None when a problem has fewer than two."""
    stderr_problems: float | None
    """Standard error of ``avg`` over new problems (per-problem means as draws); None for fewer than two problems."""
    truncated_fraction: float | None
    no_answer_fraction: float | None
    """Samples in which the grader found no answer."""
    mean_length: float | None
    """Tokens."""
    per_problem: Mapping[str, float | None]
    """Problem id -> solve rate; None without a sample."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"per_problem": dict(self.per_problem)}


def score(samples: Sequence[Sample], problem_ids: Sequence[str], n: int) -> Scores:
    """avg@n of a benchmark.

    Args:
        samples: graded, in any order.
        problem_ids: every problem of the benchmark, whether sampled or not.
        n: samples that each problem should have.

    Raises:
        ValueError: a sample twice, of an unknown problem, or with an index beyond n.
    """
    solved: dict[str, dict[int, bool]] = {problem: {} for problem in problem_ids}
    for sample in samples:
        outcomes = solved.get(sample.problem_id)
        if outcomes is None:
            raise ValueError(f"a sample of {sample.problem_id}, which the benchmark does not have")
        if sample.sample in outcomes or not 0 <= sample.sample < n:
            raise ValueError(f"sample {sample.sample} of {sample.problem_id} is there twice or is not among n={n}")
        outcomes[sample.sample] = sample.solved
    counts = {problem: (sum(outcomes.values()), len(outcomes)) for problem, outcomes in solved.items()}
    rates = {problem: correct / drawn if drawn else None for problem, (correct, drawn) in counts.items()}
    known = [rate for rate in rates.values() if rate is not None]
    complete = len(known) == len(rates)
    return Scores(
        avg=fmean(known) if complete else None,
        n=n,
        problems=len(rates),
        samples=len(samples),
        missing=n * len(rates) - len(samples),
        stderr_sampling=sampling_error(list(counts.values())),
        stderr_problems=problem_error(known) if complete else None,
        truncated_fraction=_mean([sample.truncated for sample in samples]),
        no_answer_fraction=_mean([sample.verdict == "no_answer" for sample in samples]),
        mean_length=_mean([sample.tokens for sample in samples]),
        per_problem=rates,
    )


def problem_error(rates: Sequence[float]) -> float | None:
    """sd(rates) / sqrt(P), the problems as draws from a population; None for fewer than two problems."""
    return math.sqrt(variance(rates) / len(rates)) if len(rates) > 1 else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
