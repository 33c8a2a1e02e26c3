"""majority@n: the answer that most samples give. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.grading.votes import SameAnswer, ballots, leading


def majority(answers: Sequence[tuple[str | None, bool]], same: SameAnswer) -> float:
    """Chance that the answer with most votes is right, ties broken at random; 0 when nobody answered.

    Args:
        answers: (extracted answer or None, whether it is right) of each sample of one problem
            (``recipes.grading.votes.ballots``).
    """
    leaders = leading(ballots(answers, same))
    return sum(ballot.right for ballot in leaders) / len(leaders) if leaders else 0.0
