"""What every reader gives: a problem, and what it is judged by in a form that does not depend on the layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from recipes.records import Problem


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """One problem of a benchmark."""

    problem: Problem
    gold: str
    """The answer without blanks, or the data of the tests as canonical JSON: it goes into the content hash.

    The tests of ``problem`` may hold code of ours around that data.
    """


def answer_gold(problem: Problem) -> str:
    """Of a problem whose tests are the data themselves."""
    return "".join(problem.answer.split()) if problem.tests is None else canonical(problem.tests)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def text_of(row: dict[str, Any], *keys: str) -> str:
    """The text below the first of ``keys`` that the row has; a whole number counts as text.

    Raises:
        ValueError: the row has none of them, or something else there.
    """
    key = next((key for key in keys if key in row), None)
    if key is None:
        names = " or ".join(map(repr, keys))
        raise ValueError(f"key {names} is missing; expected text; found keys {', '.join(sorted(row)) or 'none'}")
    value = row[key]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"key {key!r} is {value!r}; expected text")
    return value
