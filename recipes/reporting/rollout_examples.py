"""Which held-out problems the page shows: what the run taught, and what it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.records import Problem

SOLVED = ("correct", "pass")
"""Verdicts of a right answer and of a program that passes every test."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A sampled response as the page shows it."""

    thinking: str
    answer: str
    """Text after the thinking; empty when the response never got there."""
    verdict: str
    extracted: str | None
    tokens: int
    first_failure: Mapping[str, Any] | None = None
    """Of a program: the first test that failed (``recipes.records.Verdict.first_failure``)."""

    @property
    def solved(self) -> bool:
        """The verdict is a good one."""
        return self.verdict in SOLVED


@dataclass(frozen=True, slots=True)
class Example:
    """One problem before and after."""

    problem: Problem
    heading: str
    rate_before: float
    rate_after: float
    before: Shown
    after: Shown


def choose(
    problems: Sequence[Problem],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    *,
    gains: int = 3,
) -> list[Example]:
    """The problems with the largest gain in solve rate, and the one with the largest loss or the least solved one.

    A problem shows a typical response of either side: the shortest solved one where at least half are solved, else the
    shortest unsolved one. Ties go to the problem that comes first.

    Args:
        before, after: rows of ``samples.jsonl`` of two evaluations of the same benchmark.
    """
    ours, theirs = _by_problem(before), _by_problem(after)
    both = [problem for problem in problems if problem.id in ours and problem.id in theirs]
    change = {problem.id: _rate(theirs[problem.id]) - _rate(ours[problem.id]) for problem in both}
    ranked = sorted(both, key=lambda problem: -change[problem.id])
    chosen = [("gained", problem) for problem in ranked[:gains] if change[problem.id] > 0]
    rest = ranked[len(chosen) :]
    if rest:
        worst = min(rest, key=lambda problem: (min(change[problem.id], 0), _rate(theirs[problem.id])))
        lost = change[worst.id] < 0
        chosen.append(("lost" if lost else "still unsolved" if _rate(theirs[worst.id]) < 0.5 else "unchanged", worst))
    return [
        Example(
            problem,
            heading,
            _rate(ours[problem.id]),
            _rate(theirs[problem.id]),
            _typical(ours[problem.id]),
            _typical(theirs[problem.id]),
        )
        for heading, problem in chosen
    ]


def _by_problem(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        found.setdefault(sample["problem_id"], []).append(sample)
    return found


def _solved(sample: Mapping[str, Any]) -> bool:
    return sample["verdict"] in SOLVED and not sample["truncated"]


def _rate(samples: Sequence[Mapping[str, Any]]) -> float:
    return sum(map(_solved, samples)) / len(samples)


def _typical(samples: Sequence[Mapping[str, Any]]) -> Shown:
    usual = _rate(samples) >= 0.5
    sample = min((s for s in samples if _solved(s) == usual), key=lambda s: (s["tokens"], s["sample"]))
    thinking, end, answer = sample["text"].partition("</think>")
    return Shown(
        thinking=thinking.removeprefix("<think>").strip(),
        answer=answer.strip() if end else "",
        verdict="truncated" if sample["truncated"] else sample["verdict"].replace("_", " "),
        extracted=sample["extracted"],
        tokens=sample["tokens"],
        first_failure=None if sample["truncated"] else sample.get("first_failure"),
    )
