"""Tables of rows for tests: as collecting leaves them, in parts by id, sorted within a part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from recipes.data.rows import SourceRow, canonical
from recipes.data.tables import PART_BITS, ROWS, part_of, write_table


def write_rows(folder: Path, rows: Iterable[SourceRow], parts: int = 1) -> list[Path]:
    """The rows in any order -> one file for each part."""
    tables: list[list[dict[str, Any]]] = [[] for _ in range(parts)]
    for _, _, row in sorted(((row.id, row.digest, row) for row in rows), key=lambda keyed: keyed[:2]):
        part = part_of(row.id, parts)
        tables[part].append(
            {
                "row": (part << PART_BITS) + len(tables[part]),
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
        )
    paths = [folder / f"{part:05d}.parquet" for part in range(parts)]
    for path, table in zip(paths, tables, strict=True):
        write_table(path, pa.Table.from_pylist(table, ROWS))
    return paths
