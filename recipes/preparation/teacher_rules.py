"""Which of a problem's responses are kept, and why the others are not (``teacher.keep``). No files, no processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recipes.grading.votes import Ballot, SameAnswer, ballots, leading

Keep = Literal["all", "right", "majority"]
Reason = Literal["truncated", "wrong", "no_answer", "not_graded", "minority", "no_majority"]
"""Why a response is left out.

``truncated``: its length budget ended it. ``wrong``, ``no_answer``: the grader says so. ``not_graded``: there is
nothing to grade by, or the grader could not tell. ``minority``: most responses give another answer. ``no_majority``: no
answer has more responses than every other one, or too few of all for a missing gold answer.
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One response as the rules see it."""

    truncated: bool
    correct: bool | None
    """None: not graded, or the grader could not tell."""
    answer: str | None
    """The final answer of a math response, any text for a program; None where there is none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a problem's responses."""

    reasons: tuple[Reason | None, ...]
    """For each response; None: kept."""
    filled: str | None = None
    """The majority's answer, where the problem has no gold answer."""
    votes: int = 0
    """Responses that gave it."""


def choose(
    judged: Sequence[Judged], keep: Keep, *, math: bool, has_reference: bool, agreement: float, same: SameAnswer
) -> Choice:
    """The rule of ``keep`` on the responses to one problem.

    A truncated response is never kept: as a demonstration it teaches to stop anywhere.

    Args:
        math: False: a code problem, whose responses have no answers to compare; ``majority`` is ``right`` then.
        has_reference: whether there is a gold answer, or tests.
        agreement: share of all responses that must give one answer before it stands in for a missing gold answer.
        same: whether two final answers are one.
    """
    if keep == "all":
        return Choice(tuple("truncated" if one.truncated else None for one in judged))
    if keep == "right" or not math:
        return Choice(tuple(map(_unless_right, judged)))
    found = ballots([(None if one.truncated else one.answer, one.correct is True) for one in judged], same)
    leaders = leading(found)
    if has_reference:
        return Choice(tuple(_with_gold(one, leaders) for one in judged))
    enough = len(leaders) == 1 and len(leaders[0].voters) >= agreement * len(judged)
    if not enough:
        return Choice(tuple("truncated" if one.truncated else "no_majority" for one in judged))
    voters = set(leaders[0].voters)
    reasons = tuple(None if place in voters else _loser(one) for place, one in enumerate(judged))
    return Choice(reasons, leaders[0].answer, len(voters))


def _unless_right(one: Judged) -> Reason | None:
    if one.truncated:
        return "truncated"
    if one.correct is None:
        return "not_graded"
    if one.correct:
        return None
    return "wrong" if one.answer is not None else "no_answer"


def _with_gold(one: Judged, leaders: Sequence[Ballot]) -> Reason | None:
    reason = _unless_right(one)
    if reason is not None:
        return reason
    if len(leaders) > 1:
        return "no_majority"
    return None if leaders[0].right else "minority"


def _loser(one: Judged) -> Reason:
    if one.truncated:
        return "truncated"
    return "minority" if one.answer is not None else "no_answer"
