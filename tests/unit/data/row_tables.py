"""Tables of rows for tests: as collecting leaves them, in parts by id, sorted within a part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from recipes.data.rows import SourceRow
from recipes.data.tables import PART_BITS, ROWS, part_of, table_row, write_table


def write_rows(folder: Path, rows: Iterable[SourceRow], parts: int = 1) -> list[Path]:
    """The rows in any order -> one file for each part."""
    tables: list[list[dict[str, Any]]] = [[] for _ in range(parts)]
    for _, _, row in sorted(((row.id, row.digest, row) for row in rows), key=lambda keyed: keyed[:2]):
        part = part_of(row.id, parts)
        tables[part].append(table_row(row, (part << PART_BITS) + len(tables[part])))
    paths = [folder / f"{part:05d}.parquet" for part in range(parts)]
    for path, table in zip(paths, tables, strict=True):
        write_table(path, pa.Table.from_pylist(table, ROWS))
    return paths
