"""The texts of training files, row by row: JSON Lines, plain or compressed with gzip, of any length."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

MAX_DEFECTS = 1000
"""Bad rows that are spelt out; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands."""

    file: str
    line: int
    """From 1."""
    part: str
    """``prompt`` or ``response``."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class FileAccount:
    """What became of the rows of one file."""

    file: str
    rows: int = 0
    """Lines that are not blank."""
    prompts: int = 0
    responses: int = 0
    without_text: int = 0
    """Sound rows with neither of the two, or with empty ones."""
    other_keys: list[str] = field(default_factory=list)
    """Of the first such row."""
    bad: int = 0
    """Rows that could not be read."""
    defects: list[str] = field(default_factory=list)
    """Of the first ``MAX_DEFECTS`` of those: file, line, what was found, what is expected."""

    def defect(self, line: int, what: str) -> None:
        """A row that cannot be read."""
        self.bad += 1
        if len(self.defects) < MAX_DEFECTS:
            self.defects.append(f"{self.file}:{line}: {what}")


def training_texts(
    path: Path, fields: dict[str, str], account: FileAccount, progress: Callable[[int], object]
) -> Iterator[tuple[Place, str]]:
    """Every text of a file, in its order; a bad row is noted and passed over.

    Args:
        fields: part (``prompt``, ``response``) -> the key that holds it; a row need not have every one.
        account: counts while the file is read.
        progress: told the bytes of the file that were read since.

    Raises:
        OSError: the file cannot be read, or is cut off or damaged inside its compression.
    """
    told = 0
    with path.open("rb") as raw:
        for number, line in enumerate(_lines(path, raw), start=1):
            if (at := raw.tell()) > told:
                progress(at - told)
                told = at
            if not line.strip():
                continue
            account.rows += 1
            row = _row(line.rstrip(), number, account)
            if row is None:
                continue
            texts = _texts(row, fields, number, account)
            if texts is None:
                continue
            if not texts:
                account.without_text += 1
                account.other_keys = account.other_keys or sorted(row)
            for part, text in texts.items():
                if part == "prompt":
                    account.prompts += 1
                else:
                    account.responses += 1
                yield Place(account.file, number, part), text


def _lines(path: Path, raw: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"{path}: not a whole gzip file ({error}); expected one, or the same rows without .gz") from error


def _row(line: bytes, number: int, account: FileAccount) -> dict[str, Any] | None:
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        account.defect(number, f"byte {error.start} is not UTF-8; expected UTF-8: convert the file")
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        account.defect(number, f"malformed JSON{where}; expected one JSON object on the line")
    else:
        if isinstance(row, dict):
            return row
        account.defect(number, f"found a JSON {type(row).__name__}; expected an object")
    return None


def _texts(row: dict[str, Any], fields: dict[str, str], number: int, account: FileAccount) -> dict[str, str] | None:
    """Part -> text, of those that are there and not empty; None for a row with something else in their place."""
    found = {}
    for part, key in fields.items():
        value = row.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            account.defect(number, f"key {key!r} is a JSON {type(value).__name__}; expected a string, the {part}")
            return None
        if value.strip():
            found[part] = value
    return found
