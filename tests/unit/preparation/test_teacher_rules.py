from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading.math_answers import decide_exactly
from recipes.preparation.teacher_rules import Choice, Judged, Keep, choose

RIGHT, RIGHT_TOO = Judged(False, True, "1/2"), Judged(False, True, "0.5")
WRONG, OTHER = Judged(False, False, "7"), Judged(False, False, "8")
EMPTY, CUT, UNSURE = Judged(False, False, None), Judged(True, None, None), Judged(False, None, "9")


def chosen(judged: list[Judged], keep: Keep, **more: object) -> Choice:
    options: dict = {"math": True, "has_reference": True, "agreement": 0.5, "same": decide_exactly, **more}
    return choose(judged, keep, **options)


def test_all_but_the_truncated_ones() -> None:
    assert chosen([RIGHT, WRONG, EMPTY, CUT, UNSURE], "all").reasons == (None, None, None, "truncated", None)


def test_right_ones_alone() -> None:
    expected = (None, "wrong", "no_answer", "truncated", "not_graded")
    assert chosen([RIGHT, WRONG, EMPTY, CUT, UNSURE], "right").reasons == expected
    assert chosen([RIGHT, WRONG, EMPTY, CUT, UNSURE], "majority", math=False).reasons == expected


@pytest.mark.parametrize(
    ("judged", "reasons"),
    [
        ([RIGHT, WRONG, RIGHT_TOO], (None, "wrong", None)),
        ([WRONG, RIGHT, WRONG], ("wrong", "minority", "wrong")),
        ([WRONG, RIGHT], ("wrong", "no_majority")),
        ([WRONG, RIGHT, OTHER, RIGHT, CUT, EMPTY], ("wrong", None, "wrong", None, "truncated", "no_answer")),
        ([CUT, EMPTY], ("truncated", "no_answer")),
    ],
)
def test_the_majority_with_a_gold_answer(judged: list[Judged], reasons: tuple) -> None:
    assert chosen(judged, "majority") == Choice(reasons)


def answers(*found: str | None) -> list[Judged]:
    return [Judged(False, None, answer) for answer in found]


def test_the_majority_stands_in_for_a_missing_gold_answer() -> None:
    found = chosen(answers("0.5", "3", "1/2", "0.5", None), "majority", has_reference=False)
    assert found == Choice((None, "minority", None, None, "no_answer"), "0.5", 3)


@pytest.mark.parametrize("judged", [answers("1", "2"), [*answers("1", "2", None), CUT, CUT], answers(None), []])
def test_a_tie_or_too_few_fill_nothing(judged: list[Judged]) -> None:
    found = chosen(judged, "majority", has_reference=False)
    assert found.filled is None
    assert set(found.reasons) <= {"no_majority", "truncated"}


def test_half_of_all_is_enough() -> None:
    assert chosen([*answers("1", "1", "2"), CUT], "majority", has_reference=False).filled == "1"


responses = st.lists(st.sampled_from([RIGHT, RIGHT_TOO, WRONG, OTHER, EMPTY, CUT, UNSURE]), max_size=9)


@given(responses, st.sampled_from(["all", "right", "majority"]), st.booleans(), st.booleans())
def test_every_response_is_kept_or_has_its_reason(judged: list[Judged], keep: Keep, math: bool, known: bool) -> None:
    found = chosen(judged, keep, math=math, has_reference=known)
    assert len(found.reasons) == len(judged)
    assert all(reason is not None for one, reason in zip(judged, found.reasons, strict=True) if one.truncated)
    if keep == "right":
        assert [reason is None for reason in found.reasons] == [one.correct is True for one in judged]
