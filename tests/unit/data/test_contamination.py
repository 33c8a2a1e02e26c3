"""Contaminated prompts: verbatim, inside longer text, in another layout; what is told of them; what is not one."""

from __future__ import annotations

import random

import pytest

from recipes.data.benchmark_texts import BenchmarkText
from recipes.data.contamination import Contamination, ContaminationIndex

ROPE = "A rope of length twelve metres is cut into three pieces whose lengths are in arithmetic progression."
FRACTION = r"Let $x$ be $\frac{1}{2}$ of the sum and let $y$ be a third of it."
TEXTS = [BenchmarkText("b", "rope", ROPE), BenchmarkText("b", "fraction", FRACTION), BenchmarkText("a", "rope2", ROPE)]


def found(text: str, ngram: int = 9) -> Contamination | None:
    hits = dict(ContaminationIndex(TEXTS, ngram).scan([(1, "nothing like it"), (2, text), (3, "nothing either")]))
    assert set(hits) <= {2}
    return hits.get(2)


@pytest.mark.parametrize(
    "text",
    [
        ROPE,
        ROPE.upper().replace(" ", "  \n"),
        f"Consider the following riddle, which is old. {ROPE} Give the answer in metres.",
        ROPE.replace("rope", "**rope**").replace(",", " ,"),
    ],
)
def test_verbatim_and_inside_longer_text(text: str) -> None:
    one = found(text)
    assert one is not None
    assert (one.benchmark, one.problem, one.shared, one.of, one.others) == ("a", "rope2", 9, 9, 1)
    assert one.ngram == "a rope of length twelve metres is cut into"


@pytest.mark.parametrize("half", [r"\dfrac12", r"\tfrac{1}{2}", r"\frac 1 2", r"\dfrac{1}{2}"])
def test_another_layout_of_latex_hides_nothing(half: str) -> None:
    text = f"Let $x$ be ${half}$ of the sum and that is all."
    one = found(text)
    assert one is not None and one.problem == "fraction"


def test_eight_words_are_no_overlap_and_nine_are() -> None:
    words = ROPE.rstrip(".").split()
    assert found(" ".join(words[:8]) + " pieces") is None
    assert found(" ".join(words[:9])) is not None
    assert found(" ".join(words[:8]), ngram=8) is not None


def test_a_problem_of_very_few_words_is_found_sign_by_sign() -> None:
    texts = [BenchmarkText("b", "root", r"Simplify $\sqrt{242}$."), BenchmarkText("b", "sum", "$2+3$?")]
    asked = {
        1: r"Simplify \(\sqrt {242}\)", 2: r"An exercise: simplify $\sqrt{242}$, please.", 3: "Add. $2 + 3$?",
        4: "2+3", 5: r"Simplify $\sqrt{241}$.", 6: r"Simplify $\sqrt{-242}$.", 7: "What is 2+3?", 8: "12+3",
        9: "2+3+4", 10: "2-3",
    }  # fmt: skip
    found = dict(ContaminationIndex(texts, 9).scan(asked.items()))
    assert {row: one.problem for row, one in found.items()} == {1: "root", 2: "root", 3: "sum", 4: "sum"}
    assert found[2] == Contamination("b", "root", "simplify sqrt 242", 1, 1, 0)


def test_a_stock_phrase_counts_for_nothing_where_that_is_asked_for() -> None:
    phrase = "where m and n are relatively prime positive integers find m plus n"
    texts = [BenchmarkText("b", str(number), f"Problem number {number} is {phrase}.") for number in range(3)]
    asked = [(1, f"Something else {phrase}."), (2, f"Problem number 2 is {phrase}."), (3, "no")]
    assert [row for row, _ in ContaminationIndex(texts, 9).scan(asked)] == [1, 2]
    assert [row for row, _ in ContaminationIndex(texts, 9, stock_phrase=4).scan(asked)] == [1, 2]
    ((row, one),) = ContaminationIndex(texts, 9, stock_phrase=3).scan(asked)
    assert (row, one.problem, one.ngram) == (2, "2", "problem number 2 is where m and n are")
    assert one.shared == 3, "the n-grams that begin with a word of its own"


def test_the_same_statement_in_two_benchmarks_is_one_problem_for_stock_phrases() -> None:
    twice = [BenchmarkText(name, "1", ROPE) for name in "abc"]
    assert [row for row, _ in ContaminationIndex(twice, 9, stock_phrase=2).scan([(1, ROPE)])] == [1]


def test_neither_the_order_of_rows_nor_that_of_benchmarks_shows() -> None:
    rows = [(number, f"{text} {number}") for number, text in enumerate([ROPE, FRACTION, "none of them", ROPE[:60]] * 3)]
    expected = dict(ContaminationIndex(TEXTS, 9).scan(rows))
    assert set(expected) == {0, 1, 3, 4, 5, 7, 8, 9, 11}
    for seed in range(5):
        drawn = random.Random(seed)
        assert dict(ContaminationIndex(drawn.sample(TEXTS, 3), 9).scan(drawn.sample(rows, len(rows)))) == expected
