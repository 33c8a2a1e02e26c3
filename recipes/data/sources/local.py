"""Rows of a user's own files: which key holds what is a setting, and whatever else there is becomes metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recipes.data.rows import Domain, SourceRow
from recipes.data.sources.fields import json_of, rest_of, type_name

OPTIONAL = ("source", "licence", "domain")
"""Keys of a row that go before the settings of the same names."""


@dataclass(frozen=True, slots=True)
class LocalKeys:
    """Where a local row keeps what, and what it takes where it says nothing."""

    problem: str = "problem|question"
    """Several keys with ``|`` between: the first that the row has."""
    answer: str = "answer"
    tests: str = "tests"
    response: str = "response"
    source: str = "local"
    licence: str = "not stated"
    domain: Domain | None = None
    """Of rows without tests; None: math."""


def local_row(row: Mapping[str, Any], keys: LocalKeys) -> SourceRow:
    """A row of a local JSONL or Parquet file.

    Texts stay as they are, blanks included, but for an answer as GSM8K has it, worked out with ``#### 72`` at its end:
    the result is the answer, the rest ``worked_answer``. ``tests`` is an object or its JSON. Nulls count as absent, as
    does an empty answer. ``id`` is kept as ``source_id``, unless it is the one that the content gives.

    Raises:
        ValueError: the reason why it cannot be used.
    """
    names = keys.problem.split("|")
    statement = next((name for name in names if row.get(name) is not None), names[0])
    problem = _text(row, statement)
    if problem is None:
        found = ", ".join(sorted(map(str, row))) or "none"
        raise ValueError(f"key {' or '.join(map(repr, names))} is missing; expected text; found keys {found}")
    if not problem.strip():
        raise ValueError(f"key {statement!r} is empty; expected text")
    worked, _, answer = (_text(row, keys.answer) or "").rpartition("#### ")
    tests = json_of(row, keys.tests)
    if tests is not None:
        if not isinstance(tests, Mapping):
            raise ValueError(f"key {keys.tests!r} is {type_name(tests)}; expected an object with the key 'kind'")
        tests = {key: value for key, value in tests.items() if value is not None}
    response = _text(row, keys.response)
    if response is not None and not response.strip():
        raise ValueError(f"key {keys.response!r} is empty; expected text, or no such key")
    worked_answer = {"worked_answer": worked.strip()} if worked.strip() else {}
    used = (statement, keys.answer, keys.tests, keys.response, *OPTIONAL, "id")
    made = SourceRow(
        domain=_domain(row, keys, tests is not None),
        problem=problem,
        source=_text(row, "source") or keys.source,
        licence=_text(row, "licence") or keys.licence,
        answer=answer if answer.strip() else "",
        tests=tests,
        response=response,
        metadata={**worked_answer, **rest_of(row, used)},
    )
    own = row.get("id")
    if own is None or own == made.id:
        return made
    name = "row_id" if "source_id" in made.metadata else "source_id"
    return replace(made, metadata={**made.metadata, name: own})


def _domain(row: Mapping[str, Any], keys: LocalKeys, has_tests: bool) -> Domain:
    own = _text(row, "domain")
    if own not in (None, "", "math", "code"):
        raise ValueError(f"key 'domain' is {own!r}; expected math or code")
    if has_tests:
        if own == "math":
            raise ValueError("key 'domain' is 'math', and the row has tests; expected code, or an answer")
        return "code"
    return "code" if (own or keys.domain) == "code" else "math"


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is None or isinstance(value, str):
        return value
    hint = f": write {json.dumps(str(value))}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    raise ValueError(f"key {key!r} is {type_name(value)}; expected text{hint}")
