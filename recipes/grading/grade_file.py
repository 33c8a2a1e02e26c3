"""A JSONL file of responses in, a JSONL file of verdicts out: same order, one row for each row, memory flat."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from recipes.atomic_files import atomic_file
from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_test_format import parse_tests
from recipes.grading.code_verdict import CodeVerdict
from recipes.grading.math_grader import MathGrader
from recipes.records import Verdict
from recipes.sound_text import json_line

Domain = Literal["math", "code"]
MAX_REPORTED = 20
"""Malformed rows that an error message spells out; the rest are counted."""
AHEAD = 512
"""Rows handed to the workers before the first of them is written."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """One line of the input."""

    line: int
    """From 1."""
    id: Any
    """None where the line has none that could be read."""
    fields: dict[str, Any]
    """Empty for a malformed row."""
    defect: str | None
    """What is wrong with the row, None for a good one."""


def read_rows(path: Path, domain: Domain) -> Iterator[InputRow]:
    """The rows of a file, checked, in order; blank lines are passed over.

    Raises:
        ValueError: the file cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; expected a JSONL file: check the path") from error
    with file:
        for line, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                fields = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                yield InputRow(line, None, {}, f"byte {error.start} is not UTF-8; expected UTF-8: convert the file")
            except (ValueError, RecursionError) as error:
                yield InputRow(line, None, {}, f"malformed JSON ({error}); expected one JSON object on the line")
            else:
                yield _checked(line, fields, domain)


def _checked(line: int, fields: Any, domain: Domain) -> InputRow:
    if not isinstance(fields, dict):
        return InputRow(line, None, {}, f"found a JSON {type(fields).__name__}; expected an object")
    found = fields.get("id")
    name = found if isinstance(found, (str, int)) and not isinstance(found, bool) else None
    defects = [] if name is not None else [_wrong(fields, "id", "a string or an integer")]
    if not isinstance(fields.get("response"), str):
        defects.append(_wrong(fields, "response", "a string"))
    if domain == "math":
        if not _is_gold(fields.get("answer")):
            defects.append(_wrong(fields, "answer", "a string that is not empty, or a list of such strings"))
    elif "tests" not in fields:
        defects.append(_wrong(fields, "tests", "an object with the key 'kind'"))
    else:
        try:
            parse_tests(fields["tests"])
        except ValueError as error:
            defects.append(str(error))
    return InputRow(line, name, {} if defects else fields, "; ".join(defects) or None)


def _is_gold(answer: Any) -> bool:
    answers = answer if isinstance(answer, list) else [answer]
    return bool(answers) and all(isinstance(one, str) and one.strip() for one in answers)


def _wrong(fields: dict[str, Any], key: str, expected: str) -> str:
    if key not in fields:
        return f"key {key!r} is missing; expected {expected}; found keys {', '.join(map(repr, fields)) or 'none'}"
    return f"key {key!r}: found {json.dumps(fields[key])[:60]}; expected {expected}"


def check_file(path: Path, domain: Domain, *, keep_going: bool) -> int:
    """The number of rows.

    Raises:
        ValueError: no row, or malformed ones, each named with its line, unless ``keep_going``.
    """
    rows, defects = 0, []
    for row in read_rows(path, domain):
        rows += 1
        if row.defect is not None:
            defects.append(f"{path}:{row.line}: {row.defect}")
    if not rows:
        raise ValueError(f"{path}: found no row; expected at least one: check how the file was made")
    if defects and not keep_going:
        shown = defects[:MAX_REPORTED]
        if len(defects) > MAX_REPORTED:
            shown.append(f"... and {len(defects) - MAX_REPORTED} more")
        count = f"{len(defects)} of {rows} rows cannot be graded (--keep-going grades the others)"
        raise ValueError("\n  ".join([f"{path}: {count}", *shown]))
    return rows


def grade_file(
    source: Path,
    target: Path,
    domain: Domain,
    grader: MathGrader | CodeGrader,
    progress: Callable[[str], None] | None = None,
) -> Counter[str]:
    """Grade every row of ``source`` and write ``target``; how often each verdict was given.

    ``target`` appears when all rows are written. A malformed row gets a row as well: not correct, verdict "error"
    (math) or "sandbox_error" (code), and the key "error". ``progress`` is told each verdict as it is written.

    Raises:
        WorkerPoolError: the machine cannot run the worker processes.
    """
    counts: Counter[str] = Counter()
    waiting: deque[tuple[InputRow, Future[Any] | None]] = deque()

    def write_first(file: IO) -> None:
        row, future = waiting.popleft()
        verdict = _malformed_row(row, domain) if future is None else _verdict_row(row.id, future.result())
        file.write(json_line(verdict))
        counts[verdict["verdict"]] += 1
        if progress is not None:
            progress(verdict["verdict"])

    with atomic_file(target) as file:
        for row in read_rows(source, domain):
            reference = row.fields.get("answer" if domain == "math" else "tests")
            graded = None if row.defect else grader.submit(row.fields["response"], reference)  # type: ignore[arg-type]
            waiting.append((row, graded))
            if len(waiting) > AHEAD:
                write_first(file)
        while waiting:
            write_first(file)
    return counts


def _verdict_row(name: Any, verdict: Verdict | CodeVerdict) -> dict[str, Any]:
    seconds = round(verdict.seconds, 6)
    if isinstance(verdict, CodeVerdict):
        return {"id": name, **verdict.as_row(), "seconds": seconds}
    kept = {"correct": verdict.correct, "extracted": verdict.extracted, "verdict": verdict.verdict}
    return {"id": name, **kept, "seconds": seconds}


def _malformed_row(row: InputRow, domain: Domain) -> dict[str, Any]:
    error = {"seconds": 0.0, "error": f"line {row.line}: {row.defect}"}
    if domain == "math":
        return {"id": row.id, "correct": False, "extracted": None, "verdict": "error", **error}
    none = {"correct": False, "passed": 0, "total": 0, "verdict": "sandbox_error", "first_failure": None}
    return {"id": row.id, **none, **error}
