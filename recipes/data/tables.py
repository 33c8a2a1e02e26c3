"""The tables between the steps of data preparation: Parquet files, columns with units, written whole or not at all.

Rows lie in parts by the first digits of their id and in the order of (id, digest of the whole row) within a part, so
neither the order of the inputs nor the number of workers shows in anything that is made from them. ``row`` numbers
them: what a step decides about a row is a small table of its own, and the texts are written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file
from recipes.data.rows import SourceRow, canonical

# large strings: the texts of one table may hold more than 2 GB
ROWS = pa.schema(
    [
        ("row", pa.int64()),  # part * 2**40 + place in the part
        ("id", pa.string()),  # of the problem: rows with several responses to one problem share it
        ("digest", pa.string()),  # of the whole row
        ("domain", pa.string()),  # math or code
        ("problem", pa.large_string()),
        ("answer", pa.string()),  # empty: none
        ("tests", pa.large_string()),  # canonical JSON; empty: none
        ("response", pa.large_string()),  # null: none
        ("source", pa.string()),
        ("licence", pa.string()),
        ("metadata", pa.large_string()),  # canonical JSON, an object
    ]
)
DECISIONS = pa.schema(
    [
        ("row", pa.int64()),
        ("kind", pa.string()),  # duplicate, contaminated, rejected or sampled_out
        ("detail", pa.string()),  # canonical JSON, an object: why
    ]
)
SAMPLES = pa.schema(
    [
        ("id", pa.string()),  # of the problem
        ("sample", pa.int32()),  # 0 .. k-1 within the problem
        ("domain", pa.string()),
        ("response", pa.large_string()),
        ("tokens", pa.int32()),  # of the training tokenizer, end token included; null: not counted
        ("truncated", pa.bool_()),  # the teacher's length budget ended it; null: not known
        ("correct", pa.bool_()),  # null: not graded
        ("verdict", pa.string()),  # of the grader; null: not graded
        ("teacher", pa.string()),  # model, or the source that carried the response
    ]
)
PART_BITS = 40


def table_row(row: SourceRow, number: int = 0) -> dict[str, Any]:
    """A row of ``ROWS``.

    Args:
        number: ``row``.
    """
    return {
        "row": number,
        "id": row.id,
        "digest": row.digest,
        "domain": row.domain,
        "problem": row.problem,
        "answer": row.answer,
        "tests": "" if row.tests is None else canonical(row.tests),
        "response": row.response,
        "source": row.source,
        "licence": row.licence,
        "metadata": canonical(dict(row.metadata)),
    }


def write_table(path: str | Path, table: pa.Table) -> None:
    """A Parquet file, compressed with zstd; a reader sees the old file or the whole new one."""
    with atomic_file(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def read_table(paths: Sequence[Path], columns: Sequence[str] | None = None) -> pa.Table:
    """Parquet files of one schema as one table, in the order given.

    Args:
        columns: only these; None: all.
    """
    return pa.concat_tables([pq.read_table(path, columns=columns, memory_map=True) for path in paths])


def part_of(id: str, parts: int) -> int:
    """Which part a problem belongs to, 0 .. parts-1; parts are in the order of ids.

    Args:
        parts: at most 65,536.
    """
    return int(id[:4], 16) * parts >> 16
