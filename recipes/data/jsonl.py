"""Problem and demonstration files: one JSON object per line.

A problem row holds ``problem`` and either ``answer`` (math) or ``tests`` (code); a demonstration row holds ``response``
and may do without either, since training does not grade. ``id`` is optional (a hash of the content stands in for it)
and every other key is kept as metadata. Reading checks the whole file and reports all that is wrong with it at once,
with file and line numbers, before any long work starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.records import Demonstration, Problem

MAX_REPORTED = 20
"""Defects that an error message spells out; the rest are counted."""


class DataFileError(ValueError):
    """A data file cannot be used; ``defects`` has one line for each defect, with file and line number."""

    def __init__(self, path: Path, defects: list[str]) -> None:
        self.path = path
        self.defects = tuple(defects)
        shown = defects[:MAX_REPORTED]
        if len(defects) > MAX_REPORTED:
            shown = [*shown, f"... and {len(defects) - MAX_REPORTED} more"]
        count = f"{len(defects)} defect{'s' if len(defects) > 1 else ''}"
        super().__init__(f"{path}: {count}\n" + "\n".join(f"  {defect}" for defect in shown))


def read_problems(path: str | Path, max_bytes: int | None = None) -> list[Problem]:
    """Problems of a JSONL file, in file order.

    Args:
        max_bytes: read only the whole lines within the first so many bytes; None: the file.

    Raises:
        DataFileError: when the file is missing, empty or not UTF-8, or when any line is not a JSON object, lacks
            ``problem``, or both ``answer`` and ``tests``, holds an empty or wrongly typed value, or repeats an id.
    """
    path = Path(path)
    defects: list[str] = []
    first_line: dict[str, int] = {}
    found: list[Problem] = []
    for number, row in _rows(path, max_bytes, defects):
        problem = _problem(path, number, row, (), defects)
        if problem is None:
            continue
        if problem.id in first_line:
            defects.append(
                f"{path}:{number}: id {problem.id!r} repeats the one of line {first_line[problem.id]}; "
                f"expected one row for each id: remove the row or rename its id"
            )
            continue
        first_line[problem.id] = number
        found.append(problem)
    return _checked(path, found, defects)


def read_demonstrations(path: str | Path, max_bytes: int | None = None) -> list[Demonstration]:
    """Demonstrations of a JSONL file, in file order.

    Several rows may share an id when they are different responses to one problem.

    Args:
        max_bytes: read only the whole lines within the first so many bytes; None: the file.

    Raises:
        DataFileError: as in ``read_problems``, but ``response`` is required, and neither ``answer`` nor ``tests`` is;
            rows that share an id must agree on ``problem`` and ``answer`` and differ in ``response``.
    """
    path = Path(path)
    defects: list[str] = []
    asked: dict[str, tuple[str, str, int]] = {}
    answered: dict[tuple[str, str], int] = {}
    found: list[Demonstration] = []
    for number, row in _rows(path, max_bytes, defects):
        problem = _problem(path, number, row, ("response",), defects)
        if problem is None:
            continue
        text, answer, line = asked.setdefault(problem.id, (problem.problem, problem.answer, number))
        if (text, answer) != (problem.problem, problem.answer):
            defects.append(
                f"{path}:{number}: id {problem.id!r} belongs to another problem at line {line}; "
                f"expected the same problem and answer: rename one id"
            )
            continue
        line = answered.setdefault((problem.id, row["response"]), number)
        if line != number:
            defects.append(
                f"{path}:{number}: id {problem.id!r} repeats the response of line {line}; "
                f"expected different responses to one problem: remove the row"
            )
            continue
        found.append(Demonstration(problem, row["response"]))
    return _checked(path, found, defects)


def problem_row(problem: Problem) -> dict[str, Any]:
    """The JSON object of a problem; ``read_problems`` gives the problem back."""
    reference = {"answer": problem.answer} if problem.tests is None else {"tests": problem.tests}
    return {"id": problem.id, "problem": problem.problem, **reference, **problem.metadata}


def demonstration_row(demonstration: Demonstration) -> dict[str, Any]:
    """The JSON object of a demonstration; ``read_demonstrations`` gives the demonstration back."""
    row = problem_row(demonstration.problem)
    head: dict[str, Any] = {key: row.pop(key) for key in ("id", "problem", "answer", "tests") if key in row}
    return {**head, "response": demonstration.response, **row}


def content_id(problem: str, answer: str) -> str:
    """The id of a row that names none: 16 hexadecimal digits of the SHA-256 of problem and answer (or tests' JSON)."""
    return hashlib.sha256(f"{problem}\x1f{answer}".encode()).hexdigest()[:16]


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows, one JSON object per line, UTF-8; a reader sees the old file or the whole new one."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _rows(path: Path, max_bytes: int | None, defects: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and objects of the well-formed lines; blank lines are passed over."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataFileError(path, [f"{path}: found {found}; expected a JSONL file: check the path"])
    for number, raw in enumerate(_content(path, max_bytes).split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            defects.append(f"{path}:{number}: byte {error.start} is not UTF-8; expected UTF-8: convert the file")
        except (json.JSONDecodeError, RecursionError) as error:
            where = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
            defects.append(f"{path}:{number}: malformed JSON{where}; expected one JSON object on the line")
        else:
            if isinstance(row, dict):
                yield number, row
            else:
                defects.append(f"{path}:{number}: found a JSON {_type_name(row)}; expected an object")


def _content(path: Path, max_bytes: int | None) -> bytes:
    if max_bytes is None or path.stat().st_size <= max_bytes:
        return path.read_bytes()
    with path.open("rb") as file:
        return file.read(max_bytes).rpartition(b"\n")[0]


def _problem(path: Path, number: int, row: dict[str, Any], also: tuple[str, ...], defects: list[str]) -> Problem | None:
    """The problem of a row, or None after noting what is wrong with it; ``also`` names further required keys."""
    wrong = []
    tests = row.get("tests")
    # a demonstration may have no gold answer
    graded = tests is None and not ("response" in also and row.get("answer", "") == "")
    for key in ("problem", *(("answer",) if graded else ()), *also):
        wrong += _text_defects(row, key)
    if tests is not None:
        wrong += _tests_defects(row)
    if "id" in row:
        wrong += _text_defects(row, "id")
    if wrong:
        defects.extend(f"{path}:{number}: {defect}" for defect in wrong)
        return None
    metadata = {key: value for key, value in row.items() if key not in ("id", "problem", "answer", "tests", *also)}
    answer = row["answer"] if graded else ""
    judged_by = answer or ("" if tests is None else json.dumps(tests, sort_keys=True))
    name = row.get("id") or content_id(row["problem"], judged_by)
    return Problem(id=name, problem=row["problem"], answer=answer, metadata=metadata, tests=tests)


def _tests_defects(row: dict[str, Any]) -> list[str]:
    if not isinstance(row["tests"], dict):
        return [f"key 'tests' is a JSON {_type_name(row['tests'])}; expected an object with the key 'kind'"]
    if row.get("answer"):
        return ["found both 'answer' and 'tests'; expected one: a math problem has an answer, a code problem tests"]
    return []


def _text_defects(row: dict[str, Any], key: str) -> list[str]:
    if key not in row:
        return [f"key {key!r} is missing; expected a string; found keys {', '.join(sorted(row)) or 'none'}"]
    value = row[key]
    if not isinstance(value, str):
        hint = f': write "{value}"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
        return [f"key {key!r} is a JSON {_type_name(value)}; expected a string{hint}"]
    if not value.strip():
        return [f"key {key!r} is empty; expected text"]
    try:
        value.encode()
    except UnicodeEncodeError:
        return [f"key {key!r} holds a lone surrogate; expected text that UTF-8 can hold"]
    return []


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {int: "number", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def _checked(path: Path, found: list[Any], defects: list[str]) -> list[Any]:
    if not found and not defects:
        defects.append(f"{path}: found no row; expected at least one: check how the file was made")
    if defects:
        raise DataFileError(path, defects)
    return found
