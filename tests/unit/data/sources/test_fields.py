from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from recipes.data.rows import SourceRow
from recipes.data.sources.fields import (
    MAX_PROBLEM_CHARACTERS,
    checked_row,
    json_of,
    optional_text,
    rest_of,
    text_of,
)
from recipes.grading.code_test_format import parse_tests

STDIN = {"kind": "stdin", "inputs": ["1\n"], "outputs": ["2\n"]}


def test_text_of_strips_and_takes_whole_numbers() -> None:
    assert text_of({"a": " x \n"}, "a") == "x"
    assert text_of({"a": 7}, "a") == "7"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"b": 1}, "key 'a' is missing; expected text; found keys b"),
        ({"a": "  "}, "key 'a' is empty"),
        ({"a": True}, "key 'a' is a boolean"),
        ({"a": None}, "key 'a' is null"),
        ({"a": 1.5}, "key 'a' is a number"),
    ],
)
def test_text_of_says_what_is_wrong(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        text_of(row, "a")


def test_optional_text_knows_the_words_for_nothing() -> None:
    assert [optional_text({"a": value}, "a") for value in (None, "", " n/a ", "None", " x ")] == ["", "", "", "", "x"]
    assert optional_text({}, "a") == ""
    with pytest.raises(ValueError, match="a list; expected text"):
        optional_text({"a": []}, "a")


def test_json_of_reads_json_within_text() -> None:
    assert json_of({"a": '{"b": 1}'}, "a") == {"b": 1}
    assert json_of({"a": [1]}, "a") == [1]
    assert json_of({"a": " "}, "a") is None
    assert json_of({}, "a") is None
    with pytest.raises(ValueError, match="key 'a' is no JSON"):
        json_of({"a": "{"}, "a")


def test_rest_of_renames_and_keeps_the_pipelines_keys_free() -> None:
    row = {"q": "x", "source": "olympiads", "id": 3, "none": None, "empty": "", "date": datetime(2024, 8, 1)}
    row["price"] = Decimal("1.50")
    assert rest_of(row, ("q",), {"source": "origin"}) == {
        "origin": "olympiads",
        "row_id": 3,
        "empty": "",
        "date": "2024-08-01T00:00:00",
        "price": "1.50",
    }


def _row(**changes: Any) -> SourceRow:
    base: dict[str, Any] = {"domain": "math", "problem": "1+1?", "source": "s", "licence": "l", "answer": "2"}
    return SourceRow(**{**base, **changes})


def test_a_good_row_is_returned_as_it_is() -> None:
    row = _row(domain="code", answer="", tests=STDIN)
    assert checked_row(row, parse_tests, True) is row
    assert checked_row(_row(answer=""), parse_tests, False).answer == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problem": " "}, "the problem is empty"),
        ({"problem": "x" * (MAX_PROBLEM_CHARACTERS + 1)}, "the problem has 200001 characters"),
        ({"tests": STDIN}, "both an answer and tests"),
        ({"domain": "code"}, "a code problem with an answer"),
        ({"answer": ""}, "neither an answer nor tests"),
        ({"problem": "\ud800"}, "the problem holds a lone surrogate"),
        ({"response": "\udfff"}, "the response holds a lone surrogate"),
        ({"metadata": {"a": "\ud800"}}, "the metadata hold a lone surrogate"),
        ({"metadata": {"a": float("nan")}}, "the metadata cannot be held by JSON"),
        ({"metadata": {"a": b"x"}}, "the metadata cannot be held by JSON"),
        ({"domain": "code", "answer": "", "tests": {"kind": "stdin"}}, "tests.inputs"),
    ],
)
def test_a_row_that_cannot_be_used(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        checked_row(_row(**changes), parse_tests, True)
