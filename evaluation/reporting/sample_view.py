"""Which samples the page holds, and how each one reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.samples import Sample
from recipes.records import Problem

PER_PROBLEM = 2
"""Right ones, and as many wrong ones, that the page shows of each problem."""
CHARACTERS = 12_000_000
"""Text of all responses on one page; about as much as a phone opens."""
FAILURE_KEYS = ("test", "input", "expected", "found", "detail")
FAILURE_CHARACTERS = 2_000
"""Of each part of a failing test: stdin of a contest problem may have megabytes."""


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A response as the page shows it."""

    index: int
    solved: bool
    verdict: str
    """``truncated``, or the grader's with blanks."""
    thinking: str
    """Empty for a model that does not think aloud."""
    answer: str
    """What follows the thinking; empty when the response never got there."""
    extracted: str | None
    tokens: int | None
    seed: int
    failure: tuple[tuple[str, str], ...]
    """(key, text) of the first failing test."""


@dataclass(frozen=True, slots=True)
class ShownProblem:
    """A problem with some of its samples."""

    problem: Problem
    gold: str
    """The answer, or how many tests there are."""
    rate: float | None
    samples: tuple[ShownSample, ...]
    drawn: int
    """Samples that there are in the folder."""


def shown_problems(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    rates: Mapping[str, float | None],
    per_problem: int = PER_PROBLEM,
    characters: int = CHARACTERS,
) -> list[ShownProblem]:
    """Every problem, with its first right and its first wrong samples as far as the page has room.

    The first of each kind of every problem come before the second of any: a full page lacks depth, not problems.

    Args:
        samples: graded.
        characters: of all responses together; a response that no longer fits is passed over.
    """
    mine: dict[str, list[Sample]] = {problem.id: [] for problem in problems}
    for sample in samples:
        mine[sample.problem_id].append(sample)
    chosen: dict[str, list[Sample]] = {problem.id: [] for problem in problems}
    for sample in _by_rank(mine, per_problem):
        if len(sample.text) <= characters:
            characters -= len(sample.text)
            chosen[sample.problem_id].append(sample)
    return [
        ShownProblem(
            problem,
            gold=problem.answer if problem.tests is None else _tests(problem.tests),
            rate=rates.get(problem.id),
            samples=tuple(_shown(one) for one in sorted(chosen[problem.id], key=lambda one: one.sample)),
            drawn=len(mine[problem.id]),
        )
        for problem in problems
    ]


def _by_rank(samples: Mapping[str, Sequence[Sample]], per_problem: int) -> Iterator[Sample]:
    for rank in range(per_problem):
        for of_problem in samples.values():
            for kind in (True, False):
                alike = [one for one in of_problem if one.solved == kind]
                yield from alike[rank : rank + 1]


def _tests(tests: Mapping[str, Any]) -> str:
    inputs = tests.get("inputs")
    return f"{len(inputs)} tests" if isinstance(inputs, Sequence) and not isinstance(inputs, str) else "its tests"


def _shown(sample: Sample) -> ShownSample:
    thinking, end, answer = sample.text.partition("</think>")
    if not end and not sample.text.lstrip().startswith("<think>"):
        thinking, answer = "", sample.text
    failure = {} if sample.truncated else sample.first_failure or {}
    return ShownSample(
        index=sample.sample,
        solved=sample.solved,
        verdict="truncated" if sample.truncated else str(sample.verdict).replace("_", " "),
        thinking=thinking.strip().removeprefix("<think>").strip(),
        answer=answer.strip(),
        extracted=sample.extracted,
        tokens=sample.tokens,
        seed=sample.seed,
        failure=tuple((key, _cut(failure[key])) for key in FAILURE_KEYS if failure.get(key) not in (None, "")),
    )


def _cut(value: Any) -> str:
    text = str(value)
    left_out = len(text) - FAILURE_CHARACTERS
    return text if left_out <= 0 else f"{text[:FAILURE_CHARACTERS]} ... ({left_out:,} more characters)"
