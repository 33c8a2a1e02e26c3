"""What every adapter asks of a published row: texts, JSON inside texts, and a checked row at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from recipes.data.rows import Domain, SourceRow, canonical

MAX_PROBLEM_CHARACTERS = 200_000
"""A longer statement is a broken row: 32K tokens, the longest sequence of the recipe, are about half of it."""
ABSENT = frozenset({"", "n/a", "none", "null"})
"""What data sets write where a text is missing, in lower case."""
RESERVED = ("id", "problem", "answer", "tests", "response", "source", "licence", "domain")
"""Keys of a row of the pipeline: metadata stands beside them in the files."""
_SET_ASIDE = {key: f"row_{key}" for key in RESERVED}

CheckTests = Callable[[Mapping[str, Any]], object]
"""Raises ValueError where the grader could not use the tests (``recipes.grading.code_test_format.parse_tests``)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all rows of a data set share."""

    source: str
    licence: str
    domain: Domain


def text_of(row: Mapping[str, Any], key: str) -> str:
    """The text below a key, without the blanks around it; a whole number counts as text.

    Raises:
        ValueError: there is no such key, no text below it, or only blanks.
    """
    if key not in row:
        raise ValueError(
            f"key {key!r} is missing; expected text; found keys {', '.join(sorted(map(str, row))) or 'none'}"
        )
    value = _text_of_number(row[key])
    if not isinstance(value, str):
        raise ValueError(f"key {key!r} is {type_name(value)}; expected text")
    if not value.strip():
        raise ValueError(f"key {key!r} is empty; expected text")
    return value.strip()


def optional_text(row: Mapping[str, Any], key: str) -> str:
    """The text below a key without the blanks around it; empty where there is none, or a word that says so.

    Raises:
        ValueError: something else than text is there.
    """
    value = _text_of_number(row.get(key))
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"key {key!r} is {type_name(value)}; expected text")
    return "" if value.strip().lower() in ABSENT else value.strip()


def json_of(row: Mapping[str, Any], key: str) -> Any:
    """The value below a key, or what its JSON text holds; None where there is none or an empty text.

    Raises:
        ValueError: text that is no JSON.
    """
    value = row.get(key)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"key {key!r} is no JSON ({error}); expected JSON as text") from None


def rest_of(row: Mapping[str, Any], used: Sequence[str], renamed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Metadata: every key that is not in ``used`` and not null, under its new name where ``renamed`` has one.

    Dates become ISO text and decimals text. A key that a row of the pipeline has itself gets ``row_`` in front.
    """
    names = {**_SET_ASIDE, **(renamed or {})}
    kept = ((key, value) for key, value in row.items() if value is not None and key not in used)
    return {names.get(key, key): _plain(value) for key, value in kept}


def checked_row(row: SourceRow, check_tests: CheckTests, require_reference: bool) -> SourceRow:
    """The row, if everything after it can live with it.

    Args:
        require_reference: whether it must have an answer or tests.

    Raises:
        ValueError: saying what is wrong.
    """
    if not row.problem.strip():
        raise ValueError("the problem is empty; expected text")
    if len(row.problem) > MAX_PROBLEM_CHARACTERS:
        raise ValueError(f"the problem has {len(row.problem)} characters; expected at most {MAX_PROBLEM_CHARACTERS}")
    if row.answer and row.tests is not None:
        raise ValueError("both an answer and tests; expected one: a math problem has an answer, a code problem tests")
    if row.answer and row.domain == "code":
        raise ValueError("a code problem with an answer; expected tests: set the domain to math, or give tests")
    if require_reference and not row.answer and row.tests is None:
        raise ValueError("neither an answer nor tests; expected one of them (data.require_reference)")
    for key, text in (("problem", row.problem), ("answer", row.answer), ("response", row.response or "")):
        if not _fits_utf8(text):
            raise ValueError(f"the {key} holds a lone surrogate; expected text that UTF-8 can hold")
    for key, value in (("tests", row.tests), ("metadata", dict(row.metadata))):
        if not value:
            continue
        try:
            text = canonical(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the {key} cannot be held by JSON ({error}); expected JSON values") from None
        if not _fits_utf8(text):
            raise ValueError(f"the {key} hold a lone surrogate; expected text that UTF-8 can hold")
    if row.tests is not None:
        check_tests(row.tests)
    return row


def type_name(value: Any) -> str:
    """A type in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {int: "a number", float: "a number", str: "text", list: "a list", dict: "an object", bytes: "binary data"}
    return names.get(type(value), type(value).__name__)


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _fits_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
