"""Shingles, signatures and what counts as a duplicate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data import near_duplicates
from recipes.data.canonical_text import canonical_sentences
from recipes.data.near_duplicates import BAND_ROWS, Prompt, Signer, jaccard, shingles, similarity_of_duplicates

TEXT = "Anna buys 12 red apples at the market. Every apple costs 3 dollars. How many dollars does she pay?"


def similarity(left: str, right: str, threshold: float = 0.5) -> tuple[str, float] | None:
    return similarity_of_duplicates(Prompt.of(left, 3), Prompt.of(right, 3), 3, threshold)


def bands_shared(left: str, right: str, ngram: int = 3) -> int:
    bands, _ = Signer(ngram, 128).sign([canonical_sentences(left), canonical_sentences(right)])
    return int(np.count_nonzero(bands[0] == bands[1]))


def test_shingles_do_not_cross_sentences() -> None:
    assert shingles([["a", "b", "c", "d"], ["e", "f"]], 3) == {("a", "b", "c"), ("b", "c", "d"), ("e", "f")}


def test_jaccard() -> None:
    left, right = shingles([list("abcd")], 2), shingles([list("bcde")], 2)  # ab bc cd, bc cd de
    assert jaccard(left, right) == 2 / 4
    assert jaccard(left, left) == 1.0
    assert jaccard(frozenset(), frozenset()) == 0.0


def test_kinds() -> None:
    one, two, three = TEXT.split(". ")
    assert similarity(TEXT, f"{two}. {three} {one}.") == ("sentences", 1.0)
    # sentences of 8, 5 and 6 words have 6 + 3 + 4 shingles; the typing error spoils 3 of 13
    assert similarity(TEXT, TEXT.replace("red", "rde")) == ("near", 10 / 16)
    assert similarity(TEXT, TEXT.replace("red", "rde"), threshold=0.7) is None
    assert similarity(TEXT, TEXT.replace("12", "13")) is None
    assert similarity("Find x", "Find x") is None, "shorter than a shingle"


def test_a_reordered_prompt_shares_all_bands_and_other_numbers_share_none() -> None:
    one, two, three = TEXT.split(". ")
    assert bands_shared(TEXT, f"{two}. {three} {one}.") == 128 // BAND_ROWS
    assert bands_shared(TEXT, TEXT.replace("12", "13")) == 0
    assert bands_shared("Let a+b=7 and c=1. Find a-b please.", "Let a-b=7 and c=1. Find a+b please.") > 0  # any order
    assert bands_shared(TEXT, TEXT.replace("market", "markte")) > 5
    assert bands_shared("Yes.", "Yes.", ngram=2) == 128 // BAND_ROWS


def test_short_prompts_are_marked() -> None:
    signer = Signer(3, 6)
    bands, long_enough = signer.sign([[["find", "x"]], [["find", "x", "now"]], [["a"], ["b"], ["c"]], []])
    assert bands.shape == (4, 2)
    assert long_enough.tolist() == [False, True, True, False]


def test_no_prompts() -> None:
    assert Signer(3, 6).sign([])[0].shape == (0, 2)


@pytest.mark.parametrize(("ngram", "permutations"), [(0, 128), (3, 2)])
def test_values_that_are_too_small_are_refused(ngram: int, permutations: int) -> None:
    with pytest.raises(ValueError, match=f"shingles of {ngram} words and {permutations} permutations"):
        Signer(ngram, permutations)


def test_the_share_of_equal_bands_follows_the_similarity() -> None:
    words = [f"word{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]
    left, right = [words[:48]], [words[16:]]  # 46 shingles each, 30 shared: J = 30 / 62
    bands, _ = Signer(3, 3 * 2000).sign([left, right])
    assert np.mean(bands[0] == bands[1]) == pytest.approx((30 / 62) ** BAND_ROWS, abs=0.03)


PROMPTS = st.lists(st.lists(st.sampled_from(["a", "bb", "cc", "dd", "1", "+"]), min_size=1, max_size=6), max_size=4)


@given(st.lists(PROMPTS, max_size=6), st.integers(1, 4))
def test_a_signature_depends_on_its_prompt_alone(prompts: list[list[list[str]]], ngram: int) -> None:
    signer = Signer(ngram, 9)
    together, _ = signer.sign(prompts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(near_duplicates, "_VOCABULARY", 2)
        alone = [Signer(ngram, 9).sign([list(reversed(prompt))])[0][0] for prompt in prompts]
    assert together.tolist() == [bands.tolist() for bands in alone]
