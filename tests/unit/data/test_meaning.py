"""Which differences between two prompts are harmless."""

from __future__ import annotations

import pytest

from recipes.data.canonical_text import canonical_sentences
from recipes.data.meaning import Spelling, letter_names, misspelt, same_meaning

PROMPT = (
    r"In triangle $ABC$ the angle $ABC$ measures $30^\circ$. "
    "Three marbles are red. Find the greatest odd number below 12."
)


def same(left: str, right: str, answers_agree: bool = False) -> bool:
    spelling = Spelling(letter_names(left) | letter_names(right), answers_agree)
    found = same_meaning(canonical_sentences(left), canonical_sentences(right), spelling)
    assert found == same_meaning(canonical_sentences(right), canonical_sentences(left), spelling)
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("marbles", "marbels"),
        ("marbles", "marble"),
        ("marbles", "arbles"),
        ("greatest", "gretaest"),
        ("Three", "Thre"),
        ("Find the", "Determine the"),
        ("Find the", "What is the value of the"),
        ("the angle", "angle"),
        ("the", "teh"),
        ("marbles", "mar bles"),
        ("marbles are", "marblesare"),
    ],
)
def test_spelling_and_framing_do_not_matter(old: str, new: str) -> None:
    assert same(PROMPT, PROMPT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("greatest", "least"),
        ("odd", "even"),
        ("odd number", "number"),
        ("are red", "are not red"),
        ("Three", "Seven"),
        ("12", "13"),
        ("12", "1 2"),
        ("below", "above"),
        ("marbles", "apples"),
        ("angle $ABC", "angle $ACB"),
        ("angle $ABC", "angle $ABD"),
        ("Three marbles are red. ", ""),
        (r"30^\circ", "30"),
        ("number", "number or its square"),
    ],
)
def test_what_may_change_the_answer_does(old: str, new: str) -> None:
    assert not same(PROMPT, PROMPT.replace(old, new))


def test_sentences_in_another_order_are_the_same() -> None:
    first, second, third = PROMPT.split(". ")
    assert same(PROMPT, f"{second}. {third} {first}.")
    assert same(f"{first}. {second}. {third[:-1]}", f"{third[:-1]} {first}. {second}."), "no full stop at the end"
    assert same(PROMPT, f"{second.replace('marbles', 'marbels')}. {first}. {third}")


def test_the_order_of_words_matters() -> None:
    assert not same("Let a > b. Find c.", "Let b > a. Find c.")
    assert not same("Tom is taller than Ann.", "Ann is taller than Tom.")


@pytest.mark.parametrize(
    ("left", "right"),
    [("fifth", "fifty"), ("cos", "cot"), ("cm", "mm"), ("increasing", "decreasing"), ("interior", "exterior"),
     ("symmetric", "asymmetric"), ("sine", "line"), ("12", "13"), ("x", "y"), ("abcd", "abdc"), ("maximum", "minimum"),
     ("with", "without"), ("quarter", "quartet5"), ("one", "on")],
)  # fmt: skip
def test_no_misspellings(left: str, right: str) -> None:
    assert not misspelt(left, right, Spelling())
    assert not misspelt(right, left, Spelling())


def test_words_that_look_alike_may_be_slips_where_the_answers_agree() -> None:
    left, right = "Two players form a team of 5 girls.", "Two players from a team of 5 girls."
    assert not same(left, right)
    assert same(left, right, answers_agree=True)


def test_the_form_of_the_answer_is_of_no_account_where_the_answers_agree() -> None:
    asked = "What is a half of 7? "
    assert same(asked, f"{asked}Express your answer as a common fraction.", answers_agree=True)
    assert not same(asked, f"{asked}Express your answer as a common fraction.")


def test_letter_names() -> None:
    assert letter_names(r"In triangle ABC, xy = 5 and \frac{ab}{cd}; the sum is 3") == {"abc", "xy", "ab", "cd"}


def test_a_slip_in_one_of_several_equal_words() -> None:
    text = "Two points lie on a line, and two more points lie above it."
    assert same(text, text.replace("points", "ponts", 1))
