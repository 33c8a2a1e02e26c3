"""avg@n and what stands beside it, from graded samples; arithmetic only.

Two kinds of doubt, because there are two questions. ``stderr_sampling``: how far would avg@n move if the same problems
were sampled again? ``ci95_problems``: where would it be for other problems of their kind? The first one falls with n,
the second one does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evaluation.intervals import problem_error, problem_interval
from evaluation.majority import majority
from evaluation.pass_at_k import benchmark_pass_at_k, resampled_pass_at_k, sizes
from evaluation.samples import Sample
from recipes.grading.votes import SameAnswer
from recipes.rollouts.sampling_error import sampling_error

NO_ANSWER = ("no_answer", "no_code")
"""Verdicts on a response that has nothing to judge."""


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
    ci95_problems: tuple[float, float] | None
    """95% interval of ``avg`` over new problems."""
    pass_at_k: Mapping[int, float | None]
    """k -> closed form; None where a problem has fewer than k samples."""
    pass_at_k_resampled: Mapping[int, tuple[float, float] | None]
    """k -> mean and deviation of the paper's 100 resamplings."""
    majority: float | None
    """majority@n of a math benchmark, in [0, 1]; None for programs."""
    truncated_fraction: float | None
    no_answer_fraction: float | None
    """Samples in which the grader found no answer or no program."""
    mean_length: float | None
    """Tokens."""
    mean_length_right: float | None
    mean_length_wrong: float | None
    per_problem: Mapping[str, float | None]
    """Problem id -> solve rate; None without a sample."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: ``pass@k`` with its k as text, ``majority@n``."""
        row = {name: getattr(self, name) for name in self.__slots__ if name not in ("pass_at_k", "pass_at_k_resampled")}
        resampled = self.pass_at_k_resampled.items()
        row["majority@n"] = row.pop("majority")
        return row | {
            "pass@k": {str(k): chance for k, chance in self.pass_at_k.items()},
            "pass@k_resampled": {str(k): found and {"mean": found[0], "sd": found[1]} for k, found in resampled},
            "per_problem": dict(self.per_problem),
        }


def score(
    samples: Sequence[Sample], problem_ids: Sequence[str], n: int, same_answer: SameAnswer | None = None
) -> Scores:
    """avg@n of a benchmark.

    Args:
        samples: graded, in any order.
        problem_ids: every problem of the benchmark, whether sampled or not.
        n: samples that each problem should have.
        same_answer: of a math benchmark, for majority@n.

    Raises:
        ValueError: a sample twice, of an unknown problem, or with an index beyond n.
    """
    by_problem = _by_problem(samples, problem_ids, n)
    solved = {problem: [sample.solved for sample in mine] for problem, mine in by_problem.items()}
    counts = [(sum(outcomes), len(outcomes)) for outcomes in solved.values()]
    rates = {problem: fmean(outcomes) if outcomes else None for problem, outcomes in solved.items()}
    known = [rate for rate in rates.values() if rate is not None]
    complete = len(known) == len(rates)
    return Scores(
        avg=fmean(known) if complete else None,
        n=n,
        problems=len(rates),
        samples=len(samples),
        missing=n * len(rates) - len(samples),
        stderr_sampling=sampling_error(counts),
        stderr_problems=problem_error(known) if complete else None,
        ci95_problems=problem_interval(known) if complete else None,
        pass_at_k={k: benchmark_pass_at_k(counts, k) for k in sizes(n)},
        pass_at_k_resampled={k: resampled_pass_at_k(counts, k) for k in sizes(n)},
        majority=_majority(by_problem.values(), same_answer) if same_answer is not None and complete else None,
        truncated_fraction=_mean(sample.truncated for sample in samples),
        no_answer_fraction=_mean(sample.verdict in NO_ANSWER for sample in samples),
        mean_length=_mean_length(samples),
        mean_length_right=_mean_length(sample for sample in samples if sample.solved),
        mean_length_wrong=_mean_length(sample for sample in samples if not sample.solved),
        per_problem=rates,
    )


def _by_problem(samples: Sequence[Sample], problem_ids: Sequence[str], n: int) -> dict[str, list[Sample]]:
    """The samples of every problem, by their index."""
    found: dict[str, dict[int, Sample]] = {problem: {} for problem in problem_ids}
    for sample in samples:
        mine = found.get(sample.problem_id)
        if mine is None:
            raise ValueError(f"a sample of {sample.problem_id}, which the benchmark does not have")
        if sample.sample in mine or not 0 <= sample.sample < n:
            raise ValueError(f"sample {sample.sample} of {sample.problem_id} is there twice or is not among n={n}")
        mine[sample.sample] = sample
    return {problem: [mine[index] for index in sorted(mine)] for problem, mine in found.items()}


def _majority(problems: Iterable[Sequence[Sample]], same_answer: SameAnswer) -> float:
    """Mean over problems; a truncated response has no vote."""
    return fmean(
        majority([(None if one.truncated else one.extracted, one.solved) for one in samples], same_answer)
        for samples in problems
    )


def _mean_length(samples: Iterable[Sample]) -> float | None:
    return _mean(sample.tokens for sample in samples if sample.tokens is not None)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None
