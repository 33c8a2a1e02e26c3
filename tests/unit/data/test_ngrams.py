"""Shared n-grams: hand-worked texts, and a plain implementation over sets of tuples."""

from __future__ import annotations

import random
import re
import tracemalloc
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data import ngrams
from recipes.data.ngrams import NgramIndex, Overlap, normalised

PROBLEM = "Let $x$, $y$ and $z$ all exceed $1$ and let $w$ be a positive number such that $\\log_x w = 24$."


def plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def plain_ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    words = plain_words(text)
    return {tuple(words[start : start + n]) for start in range(len(words) - n + 1)}


def plain_overlaps(text: str, others: list[str], n: int, shortest: int) -> dict[int, int]:
    """Place of the other text -> how many of its different n-grams the text has."""
    found = {}
    for place, other in enumerate(others):
        length = min(n, len(plain_words(other)))
        if (length == n or length >= shortest) and (shared := plain_ngrams(other, length) & plain_ngrams(text, length)):
            found[place] = len(shared)
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is  2+3?\n", "what is 2 3"),
        ("\\frac{a}{b_1} \\le x^2", "frac a b_1 le x 2"),
        ("STRASSE, Straße; ΣΊΣΥΦΟΣ σίσυφος", "strasse strasse σίσυφοσ σίσυφοσ"),
        ("e\u0301t\u00e9 \ufb01ve \u2460 \uff11\uff12", "\u00e9t\u00e9 five 1 12"),
        ("x\u00a0≤\u2009y—z…", "x y z"),
        ("a\ud800b", "a b"),
        ("", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert normalised(text) == words


def test_another_layout_of_the_same_problem_is_found_and_eight_words_are_not() -> None:
    index = NgramIndex([PROBLEM])
    assert len(plain_words(PROBLEM)) == 20  # log_x is one word
    assert (index.lengths, index.sizes) == ([9], [12])
    same = PROBLEM.replace("$", "").replace(",", " ,").upper()
    ten = "Suppose that X, Y and Z all exceed 1; and let us"
    eight = "Suppose that X, Y and Z all exceed 1; but"
    found = dict(index.scan([("same", same), ("ten", ten), ("eight", eight)]))
    assert found == {
        "same": [Overlap(0, frozenset(range(12)), normalised(PROBLEM))],
        # words 2 to 10 of the problem: "x y and z all exceed 1 and let"
        "ten": [Overlap(0, frozenset({1}), "x y and z all exceed 1 and let")],
    }


def test_the_longest_shared_passage_and_repeated_ngrams() -> None:
    index = NgramIndex(["a b c d e a b c d"], n=3)
    assert index.sizes == [5]  # abc bcd cde dea eab, and abc bcd again
    ((_, (overlap,)),) = index.scan([(0, "b c d, no! c d e a b. no, a b c")])
    assert overlap == Overlap(0, frozenset({0, 1, 2, 3, 4}), "c d e a b")


def test_a_short_text_is_looked_for_as_a_whole_and_a_shorter_one_not_at_all() -> None:
    index = NgramIndex(["Prove that P is not NP", "Find x", "", "one two three four five six seven eight nine"])
    assert (index.lengths, index.sizes) == ([6, 0, 0, 9], [1, 0, 0, 1])
    found = list(index.scan([(0, "Now prove that P is not NP, and find x."), (1, "prove that P is NP")]))
    assert found == [(0, [Overlap(0, frozenset({0}), "prove that p is not np")])]


def test_no_ngram_reaches_from_one_text_into_the_next() -> None:
    index = NgramIndex(["a b c d"], n=3)
    assert list(index.scan([(0, "a b"), (1, ""), (2, "c d"), (3, "b c d")])) == [
        (3, [Overlap(0, frozenset({1}), "b c d")])
    ]


def test_equal_hashes_are_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "_BYTE_VALUES", np.zeros(256, dtype=np.uint64))  # now everything collides
    index = NgramIndex(["a b c d", "e f g h"], n=3)
    assert dict(index.scan([(0, "a b d c e f h g"), (1, "x f g h x")])) == {1: [Overlap(1, frozenset({1}), "f g h")]}


def test_n_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="n-grams of 0 words"):
        NgramIndex(["a"], n=0)


PARTS = ("a", "a", "b", "c", "A", "é", "e", "\u0301", "ß", "Σ", "_", ",", "≤", "\u00a0", " ", " ", " ", " ", "\n")
LETTERS = st.lists(st.sampled_from(PARTS)).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(LETTERS, max_size=4), st.lists(LETTERS, max_size=6), st.integers(1, 4), st.integers(1, 40))
def test_as_the_plain_implementation(others: list[str], texts: list[str], n: int, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patched:  # small pieces and buffers, so that texts fall into several
        patched.setattr(ngrams, "_PIECE", piece)
        patched.setattr(ngrams, "_BUFFER", 2 * piece)
        index = NgramIndex(others, n, shortest=2)
        found = list(index.scan(enumerate(texts)))
    assert [normalised(text).split() for text in texts] == [plain_words(text) for text in texts]
    expected = [(number, plain_overlaps(text, others, n, 2)) for number, text in enumerate(texts)]
    counted = [(number, {one.text: len(one.ngrams) for one in overlaps}) for number, overlaps in found]
    assert counted == [(number, overlaps) for number, overlaps in expected if overlaps]
    for number, overlaps in found:
        for one in overlaps:
            assert f" {one.passage} " in f" {normalised(texts[number])} "
            words = one.passage.split()
            length = index.lengths[one.text]
            shared = plain_ngrams(others[one.text], length)
            assert all(tuple(words[at : at + length]) in shared for at in range(len(words) - length + 1))


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_words_of_any_text(text: str) -> None:
    assert normalised(text).split() == plain_words(text)


def test_a_long_text_takes_no_memory_beside_itself() -> None:
    drawn = random.Random(3)
    vocabulary = [f"w{number}" for number in range(5000)]
    words = drawn.choices(vocabulary, k=1_500_000)
    places = sorted(drawn.sample(range(20, len(words) - 20, 50), 40))
    others = [" ".join(words[place : place + 20]) for place in places]
    index, text = NgramIndex(others), " ".join(words)
    assert all(after - before >= 20 for before, after in pairwise(places))
    tracemalloc.start()
    try:
        ((_, overlaps),) = index.scan([(0, text)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [(one.text, len(one.ngrams), one.passage) for one in overlaps] == [
        (k, 12, other) for k, other in enumerate(others)
    ]
    assert peak < 3 * len(text) < 40e6, f"{peak / 1e6:.0f} MB for a text of {len(text) / 1e6:.0f} MB"
