"""From the sources to rows: planned as pieces that workers read apart, each row used or rejected with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, Protocol

from recipes.data.jsonl import MAX_REPORTED, DataFileError
from recipes.data.rows import REJECTED_CHARACTERS, Rejected, SourceRow
from recipes.data.sources.code_sets import (
    acereason_sft_row,
    apps_row,
    deepcoder_row,
    opencoder_row,
    opencodereasoning_row,
)
from recipes.data.sources.fields import CheckTests, Origin, checked_row
from recipes.data.sources.files import (
    LineCounter,
    Record,
    check_gzip,
    columns_of,
    gzip_records,
    jsonl_records,
    parquet_records,
    row_groups,
)
from recipes.data.sources.hub import HubError, HubPart, hub_parts, hub_rows, shard_count
from recipes.data.sources.local import LocalKeys, local_row
from recipes.data.sources.math_sets import acemath_row, acereason_math_row, numinamath_row, openmathreasoning_row

Adapter = Callable[[Mapping[str, Any], Origin], SourceRow]
ADAPTERS: dict[str, Adapter] = {
    "acemath": acemath_row,
    "numinamath": numinamath_row,
    "openmathreasoning": openmathreasoning_row,
    "apps": apps_row,
    "taco": apps_row,
    "opencoder": opencoder_row,
    "opencodereasoning": opencodereasoning_row,
    "acereason_sft": acereason_sft_row,
    "acereason_math": acereason_math_row,
    "deepcoder": deepcoder_row,
}
"""``format`` of a source -> what makes a row of one of its rows."""
CHUNK_BYTES = 64 << 20
"""Of a file, in one read."""
Kind = Literal["jsonl", "jsonl.gz", "parquet", "hub"]
ENDINGS: dict[str, Kind] = {".jsonl": "jsonl", ".jsonl.gz": "jsonl.gz", ".parquet": "parquet"}
Layout = LocalKeys | tuple[str, Origin]
"""Keys of a local file, or the adapter of a published one and what its rows share."""


class LocalSettings(Protocol):
    """What is asked of ``recipes.settings.prepare_schema.SourcesSettings``."""

    copies: Any
    domain: Any
    source: str
    licence: str
    problem_key: str
    answer_key: str
    tests_key: str
    response_key: str
    require_reference: bool


class PublishedSettings(Protocol):
    """What is asked of ``recipes.settings.prepare_schema.SourceSettings``."""

    name: str
    place: str
    path: Any
    format: str
    domain: Any
    licence: str


@dataclass(frozen=True, slots=True)
class Read:
    """What one task reads; it travels to other processes."""

    name: str
    """For people: what, and which piece of it."""
    kind: Kind
    path: str
    """The file as it was given; of the hub, the place."""
    start: int
    """First byte of JSONL, first row group of Parquet, number of the file on the hub."""
    end: int
    """One past the last; of the hub, how many files there are."""
    before: int
    """Rows of a Parquet file before the piece."""
    bytes: int
    """To read, as they lie on the disk; 0 where that is not known."""
    stamp: str
    """Changes when the file does: size and time of its last change; of the hub, the place with its revision."""
    layout: Layout
    require_reference: bool
    part: HubPart | None = None


class SourcesError(ValueError):
    """Sources that cannot be read; ``defects`` has one line for each defect."""

    def __init__(self, defects: Sequence[str]) -> None:
        self.defects = tuple(defects)
        shown = list(defects[:MAX_REPORTED])
        if len(defects) > MAX_REPORTED:
            shown.append(f"... and {len(defects) - MAX_REPORTED} more")
        count = f"{len(defects)} defect{'s' if len(defects) > 1 else ''}"
        super().__init__(f"the sources have {count}\n" + "\n".join(f"  {defect}" for defect in shown))


def plan_reads(
    inputs: Sequence[str],
    local: LocalSettings,
    published: Sequence[PublishedSettings] = (),
    chunk_bytes: int = CHUNK_BYTES,
) -> list[Read]:
    """All pieces of all sources. Opens every file, and asks the hub for those that have no local copy.

    Args:
        inputs: local files.
        local: what their rows keep where.
        published: data sets; a local copy goes before the hub.
        chunk_bytes: of a piece of a file, about; no row depends on it.

    Raises:
        SourcesError: everything that is wrong with any of them.
    """
    defects: list[str] = []
    reads: list[Read] = []
    seen: dict[str, str] = {}
    keys = LocalKeys(
        problem=local.problem_key,
        answer=local.answer_key,
        tests=local.tests_key,
        response=local.response_key,
        source=local.source,
        licence=local.licence,
        domain=local.domain,
    )

    def add(path: str, layout: Layout) -> None:
        real = os.path.realpath(path)
        if real in seen:
            defects.append(f"{path}: is {seen[real]} again; expected each file once: leave one out")
            return
        seen[real] = path
        try:
            reads.extend(_file_reads(path, layout, local.require_reference, chunk_bytes))
        except DataFileError as error:
            defects.extend(error.defects)

    for path in inputs:
        add(path, keys)
    for source in published:
        if source.format not in ADAPTERS or source.domain not in ("math", "code"):
            known = f"a format among {', '.join(ADAPTERS)} and a domain, math or code"
            defects.append(
                f"source {source.name}: format {source.format!r}, domain {source.domain!r}; expected {known}"
            )
            continue
        layout = (source.format, Origin(source.name, source.licence, source.domain))
        try:
            copy = source.path or _copy_of(source, local.copies)
            if copy is None:
                reads += _hub_reads(source, layout, local.require_reference)
            for path in _files_of(copy, hub_parts(source.place)) if copy is not None else ():
                add(path, layout)
        except ValueError as error:
            defects.append(f"source {source.name}: {error}")
    if defects:
        raise SourcesError(defects)
    return reads


def read_rows(read: Read, check_tests: CheckTests) -> Iterator[SourceRow | Rejected]:
    """Every row of a piece, in order, or why it cannot be used.

    Args:
        check_tests: ``recipes.grading.code_test_format.parse_tests``: raises ValueError where the grader could not use
            a row's tests.

    Raises:
        DataFileError, HubError: the source cannot be read to its end.
    """
    for record in _records(read):
        reason = record.reason
        if record.row is not None:
            try:
                yield checked_row(_row(record.row, read.layout), check_tests, read.require_reference)
                continue
            except RecursionError:
                reason = "values that are nested too deeply; expected fewer than some hundred lists in lists"
            except ValueError as error:
                reason = str(error)
        yield Rejected(reason, _content(record), f"{_place(read)}:{_number(read, record)}", _source(read, record))


def _file_reads(path: str, layout: Layout, require_reference: bool, chunk_bytes: int) -> Iterator[Read]:
    file = Path(path)
    kind = next((kind for ending, kind in ENDINGS.items() if file.name.lower().endswith(ending)), None)
    found = "a folder" if file.is_dir() else "nothing" if not file.is_file() else ""
    if found or kind is None:
        expected = f"expected a file of {', '.join(ENDINGS)}: check the path"
        raise DataFileError(file, [f"{path}: found {found or 'a file of another kind'}; {expected}"])
    status = file.stat()
    if status.st_size == 0:
        raise DataFileError(file, [f"{path}: the file is empty; expected rows: leave it out, or write it again"])
    if kind == "jsonl.gz":
        check_gzip(path)
        cuts = [(0, status.st_size, 0, status.st_size)]
    elif kind == "parquet":
        cuts = row_groups(path, chunk_bytes)
        names = columns_of(path)
        if isinstance(layout, LocalKeys) and not set(layout.problem.split("|")) & set(names):
            fix = f"found columns {', '.join(names)}: set data.problem_key"
            raise DataFileError(file, [f"{path}: column {layout.problem} is missing; {fix}"])
    else:
        starts = range(0, status.st_size, chunk_bytes)
        ends = [min(start + chunk_bytes, status.st_size) for start in starts]
        cuts = [(start, end, 0, end - start) for start, end in zip(starts, ends, strict=True)]
    stamp = f"{status.st_size} {status.st_mtime_ns}"
    for number, (start, end, before, size) in enumerate(cuts, start=1):
        name = f"{path} {number}/{len(cuts)}"
        yield Read(name, kind, path, start, end, before, size, stamp, layout, require_reference)


def _hub_reads(source: PublishedSettings, layout: tuple[str, Origin], require_reference: bool) -> Iterator[Read]:
    for part in hub_parts(source.place):
        shards = shard_count(part)
        for shard in range(shards):
            name = f"{part} {shard + 1}/{shards}"
            yield Read(name, "hub", str(part), shard, shards, 0, 0, str(part), layout, require_reference, part)


def _copy_of(source: PublishedSettings, copies: str | None) -> str | None:
    """The file or folder in ``copies`` that has the name of the source; None where there are no copies at all."""
    if copies is None:
        return None
    names = [source.name, *(f"{source.name}{ending}" for ending in ENDINGS)]
    found = [str(Path(copies) / name) for name in names if (Path(copies) / name).exists()]
    if len(found) != 1:
        raise ValueError(
            f"found {' and '.join(found) or 'no copy'}; expected one of {', '.join(names)} in data.copies={copies}: "
            f"download {source.place} to there, or set data.copies=null"
        )
    return found[0]


def _files_of(copy: str, parts: Sequence[HubPart]) -> list[str]:
    """The file, or the files of a folder in the order of their names, hidden ones left out.

    Where the folder has files that ``parts`` name, it is a copy of the whole data set, and the others are not meant:
    further splits, among them test splits.
    """
    folder = Path(copy)
    if not folder.is_dir():
        return [copy]
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names = [name for name in names if name.lower().endswith(tuple(ENDINGS)) and not f"/{name}".count("/.")]
    meant = [name for name in names if any(part.files and fnmatch(name, part.files) for part in parts)]
    if not names:
        raise ValueError(f"{folder}: found no file of {', '.join(ENDINGS)}; expected a copy of the data set")
    return [str(folder / name) for name in meant or names]


def _records(read: Read) -> Iterator[Record]:
    if read.kind == "jsonl":
        return jsonl_records(read.path, read.start, read.end)
    if read.kind == "jsonl.gz":
        return gzip_records(read.path)
    if read.kind == "parquet":
        return parquet_records(read.path, read.start, read.end)
    if read.part is None:
        raise HubError(f"{read.name}: a read of the hub without its part")
    rows = hub_rows(read.part, read.start, read.end)
    return (Record(number, row) for number, row in enumerate(rows))


def _row(row: Mapping[str, Any], layout: Layout) -> SourceRow:
    if isinstance(layout, LocalKeys):
        return local_row(row, layout)
    adapter, origin = layout
    return ADAPTERS[adapter](row, origin)


_LINES = LineCounter()


def _number(read: Read, record: Record) -> int:
    """Of the line, or of the row, from 1."""
    before = _LINES.lines_before(read.path, read.start, read.stamp) if read.kind == "jsonl" else read.before
    return before + record.number + 1


def _place(read: Read) -> str:
    return f"{read.path} {read.start + 1}/{read.end}" if read.kind == "hub" else read.path


def _source(read: Read, record: Record) -> str:
    if not isinstance(read.layout, LocalKeys):
        return read.layout[1].source
    own = (record.row or {}).get("source")
    return own if isinstance(own, str) and own else read.layout.source


def _content(record: Record) -> str:
    if record.raw is not None:
        text = record.raw[: 4 * REJECTED_CHARACTERS].decode("utf-8", "backslashreplace").rstrip("\r\n")
    else:
        text = json.dumps(record.row, ensure_ascii=False, default=str, sort_keys=True)
    return text.encode("utf-8", "backslashreplace").decode()[:REJECTED_CHARACTERS]
