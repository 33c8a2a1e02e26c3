"""Local benchmark files that training problems are compared with, in whatever layout they come."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.data.jsonl import DataFileError

TEXT_KEYS = ("problem", "question", "question_content", "problem_description", "description", "prompt", "text")
"""Where a benchmark's statement may stand; the first one that a row has."""
ID_KEYS = ("id", "unique_id", "task_id", "question_id", "problem_idx", "name")


@dataclass(frozen=True, slots=True)
class BenchmarkText:
    """The statement of one benchmark problem."""

    benchmark: str
    id: str
    text: str


def read_benchmark_texts(path: Path) -> list[BenchmarkText]:
    """The statements of a file (``.jsonl``, ``.jsonl.gz``, or ``.json`` with a list); the file's stem is its name.

    Raises:
        DataFileError: no rows, a row without a statement, no JSON: everything that there is, with line numbers. A
            benchmark that is only read in part would let contaminated problems through.
    """
    defects: list[str] = []
    found: list[BenchmarkText] = []
    name = path.name.split(".")[0]
    for number, row in _rows(path, defects):
        key = next((key for key in TEXT_KEYS if isinstance(row.get(key), str) and row[key].strip()), None)
        if key is None:
            keys = ", ".join(sorted(row)) or "none"
            defects.append(f"{path}:{number}: no statement under {', '.join(TEXT_KEYS)}; found the keys {keys}")
            continue
        given = next((str(row[key]) for key in ID_KEYS if row.get(key) not in (None, "")), str(number))
        found.append(BenchmarkText(name, given, row[key]))
    if not found and not defects:
        defects.append(f"{path}: found no row; expected a benchmark's problems: check how the file was made")
    if defects:
        raise DataFileError(path, defects)
    return found


def _rows(path: Path, defects: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataFileError(path, [f"{path}: cannot be read ({error})"]) from error
    if path.suffixes[-1:] == [".json"]:
        try:
            entries = json.loads(content)
        except ValueError as error:
            raise DataFileError(path, [f"{path}: malformed JSON ({error})"]) from error
        lines = list(enumerate(entries if isinstance(entries, list) else [entries], start=1))
    else:
        lines = []
        for number, raw in enumerate(content.split(b"\n"), start=1):
            if not raw.strip():
                continue
            try:
                lines.append((number, json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))))
            except (ValueError, RecursionError) as error:
                defects.append(f"{path}:{number}: malformed JSON ({error}); expected one JSON object on the line")
    for number, row in lines:
        if isinstance(row, dict):
            yield number, row
        else:
            defects.append(f"{path}:{number}: found a JSON {type(row).__name__}; expected an object")
