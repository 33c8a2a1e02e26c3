"""Parts of rows as the collecting step leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from recipes.data.rows import SourceRow, canonical
from recipes.data.tables import PART_BITS, ROWS, part_of, write_table
from recipes.preparation.collect import rows_path


def write_rows(folder: Path, rows: Sequence[SourceRow], parts: int = 1) -> Path:
    """The rows in ``folder``, sorted and numbered."""
    found: dict[int, list[dict]] = {part: [] for part in range(parts)}
    for row in sorted(rows, key=lambda row: (row.id, row.digest)):
        part = part_of(row.id, parts)
        found[part].append(
            {
                "row": (part << PART_BITS) + len(found[part]),
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
    for part, content in found.items():
        write_table(rows_path(folder, part), pa.Table.from_pylist(content, ROWS))
    return folder
