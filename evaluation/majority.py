"""majority@n: the answer that most samples give. Arithmetic only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

SameAnswer = Callable[[str, str], "bool | None"]
"""Whether two answers are the same one; None where that cannot be told."""


@dataclass(slots=True)
class _Votes:
    answer: str
    right: bool
    count: int


def majority(answers: Sequence[tuple[str | None, bool]], same: SameAnswer) -> float:
    """Chance that the answer with most votes is right, ties broken at random; 0 when nobody answered.

    Right answers are one answer, since each equals the problem's; of the others, two are one when ``same`` says so.
    Samples without an answer do not vote.

    Args:
        answers: (extracted answer or None, whether it is right) of each sample of one problem.
    """
    ballots: list[_Votes] = []
    for answer, right in answers:
        if answer is None:
            continue
        for votes in ballots:
            if votes.right == right and (right or votes.answer == answer or same(answer, votes.answer)):
                votes.count += 1
                break
        else:
            ballots.append(_Votes(answer, right, 1))
    if not ballots:
        return 0.0
    most = max(votes.count for votes in ballots)
    leaders = [votes.right for votes in ballots if votes.count == most]
    return sum(leaders) / len(leaders)
