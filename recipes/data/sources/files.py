"""Files of rows, cut so that several workers read one: JSONL by bytes, Parquet by row groups, gzip not at all.

Where the cuts lie shows in nothing: a line belongs to the range in which it starts, and its number is that in the file.
"""

from __future__ import annotations

import gzip
import json
import zlib
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.data.jsonl import DataFileError

MAX_LINE_BYTES = 1 << 28
"""A longer line is passed over and rejected: it would not fit into the memory of several workers."""
BLOCK = 1 << 20
BATCH_ROWS = 64
"""Rows of a Parquet file that are in memory at a time, beside the compressed row group."""


class Lines(Protocol):
    """What is asked of a file, plain or gzipped."""

    def seek(self, place: int, /) -> int: ...

    def readline(self, limit: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it lies in a file, or why it cannot be read."""

    number: int
    """From 0, in the piece of the file that is read."""
    row: Mapping[str, Any] | None
    reason: str = ""
    """Where ``row`` is None."""
    raw: bytes | None = None
    """The line; None where the file holds no lines."""


def jsonl_records(path: str, start: int, end: int) -> Iterator[Record]:
    """The rows of the lines that start at the bytes ``start`` up to ``end``; blank lines are none, but they count.

    Raises:
        DataFileError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            yield from _records(file, _first_line_start(file, start), end)
    except OSError as error:
        _unreadable(path, error)


def gzip_records(path: str) -> Iterator[Record]:
    """The rows of a gzipped JSONL file.

    Raises:
        DataFileError: the file cannot be read to its end.
    """
    try:
        with gzip.open(path, "rb") as file:
            yield from _records(file, 0, None)
    except (OSError, EOFError, zlib.error) as error:
        _unreadable(path, error)


def parquet_records(path: str, first: int, end: int) -> Iterator[Record]:
    """The rows of the row groups ``first`` up to ``end``.

    Raises:
        DataFileError: the file cannot be read.
    """
    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for group in range(first, end):
                for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
                    for row in _batch_rows(batch):
                        if isinstance(row, bytes):
                            yield Record(number, None, "text that is not UTF-8; expected UTF-8", row)
                        else:
                            yield Record(number, row)
                        number += 1
    except (pa.ArrowException, OSError) as error:
        _unreadable(path, error)


class LineCounter:
    """Lines before a byte of a file, counted only when somebody asks, and from the nearest byte that is known."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def lines_before(self, path: str, start: int, stamp: str = "") -> int:
        """How many line ends lie before the first line that starts at ``start`` or after it.

        Args:
            stamp: changes when the file does.
        """
        known = self._known.setdefault((path, stamp), [(0, 0)])
        with Path(path).open("rb") as file:
            target = _first_line_start(file, start)
            place, lines = known[bisect_right(known, (target, 1 << 62)) - 1]
            file.seek(place)
            while place < target:
                block = file.read(min(BLOCK, target - place))
                if not block:
                    break
                lines += block.count(b"\n")
                place += len(block)
        if (target, lines) not in known:
            insort(known, (target, lines))
        return lines


def row_groups(path: str, target_bytes: int) -> list[tuple[int, int, int, int]]:
    """Cuts of a Parquet file: first row group, end, rows before, bytes; none where it has no rows.

    Args:
        target_bytes: compressed size of a piece, about.

    Raises:
        DataFileError: it is no Parquet file.
    """
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            sizes = [_compressed(metadata.row_group(group)) for group in range(metadata.num_row_groups)]
            rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        _unreadable(path, error)
    cuts: list[tuple[int, int, int, int]] = []
    first, before, size = 0, 0, 0
    for group, more in enumerate(sizes):
        size += more
        if size >= target_bytes or group == len(sizes) - 1:
            cuts.append((first, group + 1, before, size))
            before += sum(rows[first : group + 1])
            first, size = group + 1, 0
    return cuts if sum(rows) else []


def columns_of(path: str) -> list[str]:
    """Names of a Parquet file's columns.

    Raises:
        DataFileError: it is no Parquet file.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        _unreadable(path, error)


def check_gzip(path: str) -> None:
    """Look at the first byte.

    Raises:
        DataFileError: it is no gzip file.
    """
    try:
        with gzip.open(path, "rb") as file:
            file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        _unreadable(path, error)


def _records(file: Lines, start: int, end: int | None) -> Iterator[Record]:
    file.seek(start)
    place, number = start, 0
    while end is None or place < end:
        line = file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        length = len(line)
        if length > MAX_LINE_BYTES and not line.endswith(b"\n"):
            length += _pass_over(file)
            yield Record(number, None, f"a line of {length} bytes; expected at most {MAX_LINE_BYTES}", line[:BLOCK])
        elif line.strip():
            yield _parsed(number, line, first=place == 0)
        place += length
        number += 1


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _parsed(number: int, line: bytes, first: bool) -> Record:
    try:
        row = _DECODER.decode(line.decode("utf-8-sig" if first else "utf-8"))
    except UnicodeDecodeError as error:
        return Record(number, None, f"byte {error.start} of the line is not UTF-8; expected UTF-8", line)
    except json.JSONDecodeError as error:
        reason = f"malformed JSON at column {error.colno}: {error.msg}; expected one JSON object on the line"
        return Record(number, None, reason, line)
    except (ValueError, RecursionError) as error:
        return Record(number, None, f"malformed JSON: {error}; expected one JSON object on the line", line)
    if not isinstance(row, dict):
        return Record(number, None, f"a JSON {type(row).__name__}; expected an object", line)
    return Record(number, row, raw=line)


def _first_line_start(file: Lines, start: int) -> int:
    """The first byte at ``start`` or after it with which a line starts."""
    if start == 0:
        return 0
    file.seek(start - 1)
    return start - 1 + _pass_over(file)


def _pass_over(file: Lines) -> int:
    """Read to the end of the line; how many bytes that were."""
    length = 0
    while piece := file.readline(BLOCK):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return length


def _batch_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | bytes]:
    """Rows, or the bytes of those whose text is not UTF-8, which Parquet does not check."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(len(batch)):
            one = batch.slice(index, 1)
            try:
                yield one.to_pylist()[0]
            except UnicodeDecodeError:
                yield b"\n".join(_bytes_of(column) for column in one.columns)
        return
    yield from rows


def _bytes_of(column: pa.Array) -> bytes:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.large_binary())[0].as_py() or b""
    return str(column[0]).encode()


def _compressed(group: Any) -> int:
    return sum(group.column(index).total_compressed_size for index in range(group.num_columns))


def _unreadable(path: str, error: BaseException) -> NoReturn:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise DataFileError(
        Path(path), [f"{path}: cannot be read ({reason}); expected a whole file: fetch or write it again"]
    ) from error
