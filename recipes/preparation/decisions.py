"""What the steps decided about rows, read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.data.tables import DECISIONS, PART_BITS


def decided_rows(folders: Sequence[Path], part: int) -> frozenset[int]:
    """The rows of a part that some step took out."""
    return frozenset(row for table in _tables(folders, part, ["row"]) for row in table["row"].to_pylist())


def decisions_of_part(folders: Sequence[Path], part: int) -> dict[int, tuple[str, str]]:
    """Row -> (kind, detail) of the rows of a part; of several decisions about a row the first step's counts."""
    found: dict[int, tuple[str, str]] = {}
    for table in _tables(folders, part, DECISIONS.names):
        for row, kind, detail in zip(*(table[name].to_pylist() for name in DECISIONS.names), strict=True):
            found.setdefault(row, (kind, detail))
    return found


def _tables(folders: Sequence[Path], part: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    """A folder has one file for each part, or ``decisions.parquet`` with those of all."""
    low, high = part << PART_BITS, (part + 1) << PART_BITS
    for folder in folders:
        own = folder / f"{part:05d}.parquet"
        if own.exists():
            yield pq.read_table(own, columns=list(columns))
            continue
        table = pq.read_table(folder / "decisions.parquet", columns=list(columns))
        yield table.filter(pc.and_(pc.greater_equal(table["row"], low), pc.less(table["row"], high)))
