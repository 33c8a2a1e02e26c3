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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.records import Demonstration, Problem
from recipes.sound_text import json_line

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
    for number, raw in numbered_lines(path, max_bytes):
        row = _object(path, number, raw, defects)
        problem = None if row is None else _problem(path, number, row, (), defects)
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
    require_sound(path, len(found), defects)
    return found


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
    before = DemonstrationsBefore(path)
    found: list[Demonstration] = []
    for number, raw in numbered_lines(path, max_bytes):
        demonstration = read_demonstration(path, number, raw, defects)
        if demonstration is None:
            continue
        if defect := before.defect(number, DemonstrationKeys.of(demonstration)):
            defects.append(defect)
        else:
            found.append(demonstration)
    require_sound(path, len(found), defects)
    return found


def read_demonstration(path: Path, number: int, raw: bytes, defects: list[str]) -> Demonstration | None:
    """The demonstration of one line of ``numbered_lines``, or None after noting what is wrong with it."""
    row = _object(path, number, raw, defects)
    problem = None if row is None else _problem(path, number, row, ("response",), defects)
    return None if row is None or problem is None else Demonstration(problem, row["response"])


@dataclass(frozen=True, slots=True)
class DemonstrationKeys:
    """What tells whether a demonstration contradicts or repeats another: digests, so that millions may be kept."""

    id: str
    asked: bytes
    """Of problem and answer, 16 bytes."""
    answered: bytes
    """Of the response, 16 bytes."""

    @classmethod
    def of(cls, demonstration: Demonstration) -> DemonstrationKeys:
        """The keys of a demonstration."""
        problem = demonstration.problem
        return cls(problem.id, _digest(f"{problem.problem}\x1f{problem.answer}"), _digest(demonstration.response))


class DemonstrationsBefore:
    """The rows of a file so far: each is held against those before it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked: dict[str, tuple[bytes, int]] = {}
        self._answered: dict[tuple[str, bytes], int] = {}

    def defect(self, number: int, keys: DemonstrationKeys) -> str | None:
        """What is wrong with the row of that line beside the earlier ones; None, and it counts from now on."""
        asked, line = self._asked.setdefault(keys.id, (keys.asked, number))
        if asked != keys.asked:
            return (
                f"{self._path}:{number}: id {keys.id!r} belongs to another problem at line {line}; "
                f"expected the same problem and answer: rename one id"
            )
        line = self._answered.setdefault((keys.id, keys.answered), number)
        if line != number:
            return (
                f"{self._path}:{number}: id {keys.id!r} repeats the response of line {line}; "
                f"expected different responses to one problem: remove the row"
            )
        return None


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
    write_text(path, "".join(map(json_line, rows)))


def numbered_lines(path: Path, max_bytes: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Numbers (from 1) and bytes of the lines that are not blank, one after the other.

    Args:
        max_bytes: only the whole lines within the first so many bytes; None: the file.

    Raises:
        DataFileError: there is no such file.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataFileError(path, [f"{path}: found {found}; expected a JSONL file: check the path"])
    read = 0
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            read += len(raw)
            if max_bytes is not None and read > max_bytes:
                return
            if raw.strip():
                yield number, raw


def require_sound(path: Path, rows: int, defects: list[str]) -> None:
    """That a file was read to its end without a defect, and has a row.

    Raises:
        DataFileError: it was not, or has none.
    """
    if not rows and not defects:
        defects = [f"{path}: found no row; expected at least one: check how the file was made"]
    if defects:
        raise DataFileError(path, defects)


def _object(path: Path, number: int, raw: bytes, defects: list[str]) -> dict[str, Any] | None:
    """The object of a line, or None after noting what is wrong with it."""
    try:
        row = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        defects.append(f"{path}:{number}: byte {error.start} is not UTF-8; expected UTF-8: convert the file")
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        defects.append(f"{path}:{number}: malformed JSON{where}; expected one JSON object on the line")
    else:
        if isinstance(row, dict):
            return row
        defects.append(f"{path}:{number}: found a JSON {_type_name(row)}; expected an object")
    return None


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


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
