"""Samples in, graded samples out: the training reward's own grader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from evaluation.samples import Sample
from recipes.records import Problem, Verdict

BATCH = 256
"""Responses handed to the grader at a time: verdicts are kept as they come, and its workers stay busy."""


class Grader(Protocol):
    """``recipes.grading.graders.Grader``."""

    def grade(self, responses: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """One verdict for each response, same order."""
        ...


def grade_samples(
    grader: Grader,
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    graded_now: Callable[[Sequence[Sample], Sequence[Verdict]], None] | None = None,
) -> list[Sample]:
    """The samples with verdict and extracted answer, same order.

    Args:
        graded_now: told each batch as its verdicts are there.

    Raises:
        KeyError: a sample of a problem that is not among ``problems``.
    """
    by_id = {problem.id: problem for problem in problems}
    graded: list[Sample] = []
    for start in range(0, len(samples), BATCH):
        some = samples[start : start + BATCH]
        verdicts = grader.grade([sample.text for sample in some], [by_id[sample.problem_id] for sample in some])
        graded += [
            replace(sample, verdict=verdict.verdict, extracted=verdict.extracted, first_failure=verdict.first_failure)
            for sample, verdict in zip(some, verdicts, strict=True)
        ]
        if graded_now is not None:
            graded_now(some, verdicts)
    return graded
