from __future__ import annotations

import pytest

from evaluation.majority import majority
from recipes.grading.math_answers import decide_exactly

VOTES = [
    ([("4", True), ("5", False), ("5.0", False)], 0.0),
    ([("4", True), ("\\frac{8}{2}", True), ("5", False)], 1.0),
    ([("4", True), ("5", False)], 0.5),
    ([("4", True), ("5", False), ("6", False)], 1 / 3),
    ([(None, False), (None, False), ("4", True)], 1.0),
    ([(None, False)], 0.0),
    ([], 0.0),
]


@pytest.mark.parametrize(("answers", "expected"), VOTES)
def test_by_hand(answers: list[tuple[str | None, bool]], expected: float) -> None:
    assert majority(answers, decide_exactly) == pytest.approx(expected)


def test_answers_that_nobody_can_compare_are_one_when_they_are_spelt_alike() -> None:
    assert majority([("x?", False), ("x?", False), ("4", True)], lambda a, b: None) == 0.0
    assert majority([("x?", False), ("y?", False), ("4", True), ("4.0", True)], lambda a, b: None) == 1.0
