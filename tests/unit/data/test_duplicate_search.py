"""The greedy search: whom a prompt is compared with, in what order, and how often."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recipes.data import duplicate_search
from recipes.data.duplicate_search import Candidates, Verified, find_duplicates

TEXT = "A rope of 24 metres is cut into 3 pieces of equal length. How long is one of the pieces?"
SLIP = TEXT.replace("equal", "eqaul")
OTHER = TEXT.replace("rope", "cable")


def candidates(*members: tuple[int, str, list[int]]) -> Candidates:
    """Place, text and buckets of each."""
    places = np.array([place for place, _, _ in members], dtype=np.int64)
    offsets = np.cumsum([0, *(len(buckets) for _, _, buckets in members)])
    buckets = np.array([bucket for _, _, some in members for bucket in some], dtype=np.int64)
    return Candidates(places, offsets, buckets, pa.chunked_array([pa.array([text for _, text, _ in members])]))


def search(found: Candidates, answers: dict[int, str] | None = None, threshold: float = 0.5) -> list[Verified]:
    table = [""] * 20
    for place, answer in (answers or {}).items():
        table[place] = answer
    return find_duplicates(found, table, 3, threshold, lambda left, right: left == right)


def test_only_what_shares_a_bucket_is_compared() -> None:
    assert search(candidates((3, TEXT, [0]), (7, SLIP, [1]))) == []
    (one,) = search(candidates((3, TEXT, [0, 1]), (7, SLIP, [1])))
    assert (one.dropped, one.kept, one.kind) == (7, 3, "near")


def test_answers_that_differ_keep_prompts_apart_and_no_answer_does_not() -> None:
    found = candidates((3, TEXT, [0]), (7, SLIP, [0]))
    assert search(found, {3: "8", 7: "9"}) == []
    assert len(search(found, {3: "8", 7: "8"})) == len(search(found, {3: "8"})) == 1


def test_a_dropped_prompt_stands_for_nothing() -> None:
    """The third is compared with the first, not with the second, which is gone."""
    third = SLIP.replace("length", "lenght")
    found = candidates((1, TEXT, [0]), (2, SLIP, [0, 1]), (3, third, [1]))
    assert [one.dropped for one in search(found)] == [2]


def test_the_one_that_shares_most_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_search, "COMPARISONS", 1)
    found = candidates((1, OTHER, [0, 1]), (2, TEXT, [0, 2, 3]), (5, SLIP, [0, 1, 2, 3]))
    assert [(one.dropped, one.kept) for one in search(found)] == [(5, 2)]
    found = candidates((1, OTHER, [0, 1, 4]), (2, TEXT, [0, 2, 3]), (5, SLIP, [0, 1, 4, 2]))
    assert search(found) == []


def test_a_full_bucket_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_search, "REPRESENTATIVES", 2)
    others = [TEXT.replace("rope", word) for word in ("cable", "wire", "thread")]
    found = candidates(*((place, text, [0]) for place, text in enumerate([*others, TEXT, SLIP])))
    assert search(found) == []


def test_no_candidates() -> None:
    assert search(candidates()) == []
