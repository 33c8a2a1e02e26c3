from __future__ import annotations

from recipes.grading.math_answers import decide_exactly
from recipes.grading.votes import ballots, leading


def test_equal_answers_are_one_ballot_whatever_their_spelling() -> None:
    answers = [("1/2", False), ("3", False), (None, False), ("0.5", False), (r"\frac12", False), ("0.5", False)]
    found = ballots(answers, decide_exactly)
    assert [ballot.voters for ballot in found] == [(0, 3, 4, 5), (1,)]
    assert found[0].answer == "0.5"
    assert leading(found) == [found[0]]


def test_right_answers_are_one_without_being_compared() -> None:
    found = ballots([("a", True), ("b", False), ("c", True), ("b", False)], lambda *_: None)
    assert [(ballot.right, ballot.voters) for ballot in found] == [(True, (0, 2)), (False, (1, 3))]
    assert leading(found) == found


def test_nobody_answered() -> None:
    assert ballots([(None, False)], decide_exactly) == []
    assert leading([]) == []


def test_the_shortest_of_equally_frequent_spellings_stands_for_all() -> None:
    (ballot,) = ballots([("2.0", False), ("2", False), ("02", False)], decide_exactly)
    assert ballot.answer == "2"
