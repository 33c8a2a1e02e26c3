"""Collect: every row of every source, in parts that are sorted by content (paper §3.1.1)."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.atomic_files import write_text
from recipes.data.rows import Rejected
from recipes.data.sources.reading import Read, read_rows
from recipes.data.tables import PART_BITS, ROWS, part_of, table_row, write_table
from recipes.grading.code_test_format import parse_tests

REJECTS = pa.schema(
    [("reason", pa.string()), ("content", pa.string()), ("source", pa.string()), ("place", pa.string())]
)
BUFFER_BYTES = 1 << 27
"""Of text, before a task writes it out."""
GROUP_BYTES = 1 << 24
"""Of text in a row group of a part, about: what a reader of whole rows holds at a time."""


def read_task(reads: Sequence[Read], parts: int, folder: Path, task: int) -> None:
    """One read -> ``TASK/PART.parquet`` with the rows of each part, unsorted, and ``TASK/rejected.parquet``."""
    own = folder / f"{task:05d}"
    shutil.rmtree(own, ignore_errors=True)  # of a start that was killed
    own.mkdir(parents=True)
    writers: dict[int, pq.ParquetWriter] = {}
    waiting: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rejected: list[Rejected] = []
    size = 0

    def write_out() -> None:
        for part, rows in waiting.items():
            if part not in writers:
                writers[part] = pq.ParquetWriter(own / f"{part:05d}.parquet", ROWS, compression="zstd")
            writers[part].write_table(pa.Table.from_pylist(rows, ROWS))
        waiting.clear()

    count = 0
    for found in read_rows(reads[task], parse_tests):
        count += 1
        if isinstance(found, Rejected):
            rejected.append(found)
            continue
        row = table_row(found)
        waiting[part_of(row["id"], parts)].append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if size > BUFFER_BYTES:
            write_out()
            size = 0
    write_out()
    for writer in writers.values():
        writer.close()
    rows = [
        {"reason": one.reason, "content": one.content, "source": one.source, "place": one.place} for one in rejected
    ]
    write_table(own / "rejected.parquet", pa.Table.from_pylist(rows, REJECTS))
    write_text(own / "rows", f"{count}\n")


def rows_read(read_folder: Path, task: int) -> int:
    """Rows that a read gave, the rejected ones among them."""
    return int((read_folder / f"{task:05d}" / "rows").read_text(encoding="utf-8"))


def sort_task(read_folder: Path, reads: int, folder: Path, part: int) -> None:
    """The rows of a part from all reads -> ``PART.parquet``, in the order of (id, digest), numbered."""
    paths = [read_folder / f"{task:05d}" / f"{part:05d}.parquet" for task in range(reads)]
    tables = [pq.read_table(path) for path in paths if path.exists()]
    table = pa.concat_tables(tables) if tables else ROWS.empty_table()
    table = table.take(pc.sort_indices(table, [("id", "ascending"), ("digest", "ascending")]))
    numbers = pa.array(range(part << PART_BITS, (part << PART_BITS) + len(table)), pa.int64())
    table = table.set_column(0, ROWS.field("row"), numbers)
    rows_in_group = max(1, int(len(table) * GROUP_BYTES / max(table.nbytes, 1)))
    partial = folder / f".{part:05d}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, partial, compression="zstd", row_group_size=rows_in_group)
    partial.replace(rows_path(folder, part))


def rows_path(folder: Path, part: int) -> Path:
    """Where a part of the rows lies."""
    return folder / f"{part:05d}.parquet"


def rejected_rows(read_folder: Path, reads: int) -> pa.Table:
    """What could not be read, in the order of its content."""
    tables = [pq.read_table(read_folder / f"{task:05d}" / "rejected.parquet") for task in range(reads)]
    table = pa.concat_tables(tables) if tables else REJECTS.empty_table()
    order = [("source", "ascending"), ("reason", "ascending"), ("content", "ascending"), ("place", "ascending")]
    return table.take(pc.sort_indices(table, order))
