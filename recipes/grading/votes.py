"""Answers to one problem, put together where they are one answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SameAnswer = Callable[[str, str], "bool | None"]
"""Whether two answers are the same one; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One answer and those who gave it."""

    right: bool
    """It equals the problem's gold answer."""
    voters: tuple[int, ...]
    """Places in the sequence of answers, ascending; at least one."""
    spellings: tuple[str, ...]
    """What each of them wrote."""

    @property
    def answer(self) -> str:
        """The spelling that is there most often; of several the shortest, then the first in the order of text."""
        counts = Counter(self.spellings)
        return min(counts, key=lambda spelling: (-counts[spelling], len(spelling), spelling))


def ballots(answers: Sequence[tuple[str | None, bool]], same: SameAnswer) -> list[Ballot]:
    """The different answers, in the order of their first voters.

    Right answers are one answer, since each equals the problem's; of the others, two are one when ``same`` says so.
    None does not vote.

    Args:
        answers: (extracted answer or None, whether it is right) of each response to one problem.
    """
    found: list[tuple[bool, list[int]]] = []
    for place, (answer, right) in enumerate(answers):
        if answer is None:
            continue
        for known_right, voters in found:
            first = answers[voters[0]][0]
            assert first is not None
            if known_right == right and (right or first == answer or same(answer, first)):
                voters.append(place)
                break
        else:
            found.append((right, [place]))
    return [Ballot(right, tuple(voters), tuple(str(answers[place][0]) for place in voters)) for right, voters in found]


def leading(found: Sequence[Ballot]) -> list[Ballot]:
    """Those with the most voters: several in a tie, none of none."""
    most = max((len(ballot.voters) for ballot in found), default=0)
    return [ballot for ballot in found if len(ballot.voters) == most]
