"""The demo's problems and the teacher's responses."""

from __future__ import annotations

import hashlib
import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data import tiny_math
from recipes.data.jsonl import demonstration_row
from recipes.data.tiny_kinds import KINDS, Instance, add_by_columns, multiply_by_columns, subtract_by_columns
from recipes.data.tiny_pools import DIFFICULTIES, SPLIT_PERCENT, SPLITS, Dice, Split, split_of

CELLS = list(itertools.product(KINDS, DIFFICULTIES))
STEP = re.compile(r"(?P<left>\d+(?:[-+*]\d+)+)=(?P<right>\d+)")


def drawn(kind: str, difficulty: int, seed: int, count: int = 20) -> list[Instance]:
    dice = Dice(seed)
    return [KINDS[kind].draw(dice, difficulty) for _ in range(count)]


def boxed(response: str) -> str:
    return re.findall(r"\\boxed\{(\d+)\}", response.split("</think>")[1])[-1]


def independent_answer(instance: Instance) -> int:
    """The answer from the problem's text alone."""
    numbers = [int(number) for number in re.findall(r"\d+", instance.text)]
    first, second = numbers[0], numbers[1]
    if instance.kind == "word":
        signs = {"gets": 1, "finds": 1, "gives away": -1, "loses": -1}
        changes = re.findall(r"(gets|finds|gives away|loses) (\d+)", instance.text)
        return first + sum(signs[verb] * int(number) for verb, number in changes)
    return {
        "add": first + second,
        "subtract": first - second,
        "missing": second - first,
        "terms": sum(numbers),
        "multiply": first * second,
        "remainder": first % second,
        "largest": max(numbers),
        "sequence": 2 * numbers[-1] - numbers[-2],
    }[instance.kind]


@pytest.mark.parametrize(("kind", "difficulty"), CELLS)
def test_gold_answer_follows_from_the_text(kind: str, difficulty: int) -> None:
    for instance in drawn(kind, difficulty, seed=3):
        assert instance.answer == independent_answer(instance) >= 0
        assert (instance.kind, instance.difficulty) == (kind, difficulty)


@pytest.mark.parametrize(("kind", "difficulty"), CELLS)
def test_right_work_reaches_the_answer_and_a_slip_never_does(kind: str, difficulty: int) -> None:
    for instance in drawn(kind, difficulty, seed=5, count=60):
        right, slipped = (KINDS[kind].solve(instance, slip) for slip in (False, True))
        assert right.result == instance.answer
        assert slipped.result != instance.answer
        assert slipped.result >= 0
        assert right.steps != slipped.steps


@pytest.mark.parametrize(("kind", "difficulty"), CELLS)
def test_every_equation_of_right_work_holds(kind: str, difficulty: int) -> None:
    for instance in drawn(kind, difficulty, seed=7):
        for step in KINDS[kind].solve(instance, False).steps:
            for equation in STEP.finditer(step):
                assert eval(equation["left"]) == int(equation["right"]), step  # digits and + - * only


def test_hand_worked_solutions() -> None:
    assert add_by_columns(17, 26, False).steps == ("7+6=13 carry 1", "1+2+1=4")
    assert add_by_columns(17, 26, True).result == 33
    assert add_by_columns(958, 67, False).result == 1025
    assert add_by_columns(12, 5, True).steps == ("2+5=7 carry 1", "1+0+1=2")
    assert subtract_by_columns(52, 17, False).steps == ("12-7=5 borrow 1", "5-1-1=3")
    assert subtract_by_columns(52, 17, True).result == 45
    assert subtract_by_columns(57, 3, True).steps == ("7-3=4 borrow 1", "5-0-1=4")
    assert subtract_by_columns(100, 1, False).result == 99
    assert multiply_by_columns(19, 4, False).steps == ("9*4=36 carry 3", "1*4=4 4+3=7")
    assert multiply_by_columns(19, 4, True).result == 46


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(0, 999))
def test_columns_agree_with_arithmetic(a: int, b: int) -> None:
    high, low = max(a, b), min(a, b)
    assert add_by_columns(a, b, False).result == a + b
    assert subtract_by_columns(high, low, False).result == high - low
    if len(str(high)) > 1:
        assert add_by_columns(a, b, True).result != a + b
        assert subtract_by_columns(high, low, True).result != high - low


def test_content_ignores_order_wording_and_kind() -> None:
    def content(kind: str, text: str) -> tuple[str | int, ...]:
        dice = Dice(0)
        while True:
            for difficulty in DIFFICULTIES:
                instance = KINDS[kind].draw(dice, difficulty)
                if instance.text == text:
                    return instance.content

    assert content("terms", "What is 1 + 2 + 3?") == content("terms", "What is 3 + 1 + 2?") == ("sum", 1, 2, 3)
    assert content("subtract", "What is 15 - 7?") == content("missing", "Which number plus 7 makes 15?")
    assert content("subtract", "What is 15 - 7?") == ("sum", -7, 15)


def test_splits_are_disjoint_by_content_over_seeds_kinds_and_difficulties() -> None:
    contents = {
        split: {
            instance.content
            for seed in (0, 1, 2)
            for instance in tiny_math.instances(seed, split, 400, tuple(reversed(DIFFICULTIES)))
        }
        for split in SPLITS
    }
    for one, other in itertools.combinations(SPLITS, 2):
        assert contents[one] and contents[other]
        assert not contents[one] & contents[other]


def test_splits_are_disjoint_by_the_numbers_in_the_text() -> None:
    """Without the generator's own notion of content: same kind, same numbers, in any order where it commutes."""

    def numbers(split: Split, seed: int) -> set[tuple[str, tuple[int, ...]]]:
        asked = set()
        for problem in tiny_math.problems(seed, split, 500):
            kind = str(problem.metadata["kind"])
            found = tuple(map(int, re.findall(r"\d+", problem.problem)))
            asked.add((kind, tuple(sorted(found)) if kind in ("add", "terms", "multiply", "largest") else found))
        return asked

    assert not numbers("train", 1) & numbers("heldout", 0)
    assert not numbers("train", 1) & numbers("validation", 1)


def test_every_content_has_one_split_and_shares_are_near_the_declared_ones() -> None:
    found = [split_of(instance.content) for kind, difficulty in CELLS for instance in drawn(kind, difficulty, 1, 100)]
    for split, percent in SPLIT_PERCENT.items():
        assert abs(100 * found.count(split) / len(found) - percent) < 3
    assert sum(SPLIT_PERCENT.values()) == 100


def test_problems_are_distinct_and_balanced() -> None:
    found = tiny_math.problems(4, "train", 360)
    assert len({problem.id for problem in found}) == len({problem.problem for problem in found}) == 360
    per_kind = [sum(problem.metadata["kind"] == kind for problem in found) for kind in KINDS]
    assert per_kind == [40] * len(KINDS)
    per_difficulty = [sum(problem.metadata["difficulty"] == level for problem in found) for level in DIFFICULTIES]
    assert per_difficulty == [90] * 4


def test_the_share_of_a_small_pool_goes_to_the_others() -> None:
    found = tiny_math.problems(1, "heldout", 90, (1,), ("terms", "add"))
    terms = sum(problem.metadata["kind"] == "terms" for problem in found)
    assert 0 < terms < 45
    assert len(found) == 90


def test_too_many_problems_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'heldout' has \d+ problems .* 500 asked for"):
        tiny_math.problems(1, "heldout", 500, (1,), ("terms",))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("train", 5, (1, 5)), "difficulties (1, 5)"),
        (("train", 5, ()), "difficulties ()"),
        (("train", 5, (1,), ("adding",)), "kinds ('adding',)"),
        (("test", 5), "split 'test'"),
    ],
)
def test_unknown_arguments_are_named(arguments: tuple[object, ...], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        tiny_math.problems(0, *arguments)  # type: ignore[arg-type]


def test_demonstrations_have_the_documented_form_and_flag_wrong_answers() -> None:
    rows = tiny_math.demonstrations(2, "train", 600)
    assert len(rows) == len({(row.problem.id, row.response) for row in rows}) == 600
    for row in rows:
        assert re.fullmatch(r"<think>\n(.+\n)+</think>\n\nThe answer is \\boxed\{\d+\}\.", row.response)
        assert row.problem.metadata["correct"] == (boxed(row.response) == row.problem.answer)


def test_slip_catch_and_style_fractions() -> None:
    rows = tiny_math.demonstrations(3, "train", 3000)
    by_style = {
        style: [row for row in rows if row.problem.metadata["style"] == style] for style in ("concise", "checked")
    }
    wrong = {
        style: sum(not row.problem.metadata["correct"] for row in found) / len(found)
        for style, found in by_style.items()
    }
    # Equal responses are drawn again, which favours the rarer ones: hence a tolerance beyond the sampling error.
    assert wrong["concise"] == pytest.approx(tiny_math.SLIP_FRACTION, abs=0.08)
    assert wrong["checked"] == pytest.approx(tiny_math.SLIP_FRACTION * (1 - tiny_math.CATCH_FRACTION), abs=0.05)
    assert len(by_style["checked"]) / len(rows) == pytest.approx(tiny_math.CHECKED_FRACTION, abs=0.1)
    caught = sum("No, it is" in row.response for row in by_style["checked"]) / len(by_style["checked"])
    assert caught == pytest.approx(tiny_math.SLIP_FRACTION * tiny_math.CATCH_FRACTION, abs=0.05)


def test_a_perfect_teacher_is_never_wrong() -> None:
    assert all(row.problem.metadata["correct"] for row in tiny_math.demonstrations(1, "train", 200, slip_fraction=0.0))


def test_checked_responses_are_two_to_six_times_as_long() -> None:
    for kind, difficulty in CELLS:
        for instance in drawn(kind, difficulty, seed=11, count=5):
            dice = Dice(1)
            concise, _ = tiny_math.teacher_response(instance, "concise", dice, slip_fraction=0.0)
            checked, _ = tiny_math.teacher_response(instance, "checked", dice, slip_fraction=0.0)
            assert 1.9 <= len(checked) / len(concise) <= 6


def test_same_arguments_same_bytes() -> None:
    """The digest pins the generator: it must not change between platforms, Python versions or commits by accident."""
    rows = tiny_math.demonstrations(1, "train", 200)
    again = tiny_math.demonstrations(1, "train", 200)
    assert rows == again
    assert rows != tiny_math.demonstrations(2, "train", 200)
    text = "".join(json.dumps(demonstration_row(row), sort_keys=True) for row in rows)
    assert hashlib.sha256(text.encode()).hexdigest() == PINNED


PINNED = "9d2cbb442a2c89eac3fefd386bfe43de857fb2ed97aa72c7f8906de331daa2a1"
