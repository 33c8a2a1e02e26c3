"""A Parquet file of more rows than fit in memory, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file

GROUP_BYTES = 1 << 25
"""Of text in a row group, about."""


class StreamedTable:
    """Takes rows one by one; equal rows in equal order give equal bytes."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """One row, with the names of the schema."""
        self._rows.append(row)
        self._bytes += 64 + sum(len(value) for value in row.values() if isinstance(value, str))
        if self._bytes > GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """What has been added as a row group."""
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0


@contextmanager
def streamed_table(path: Path, schema: pa.Schema) -> Iterator[StreamedTable]:
    """A table to fill, which takes the place of ``path`` when the block ends well."""
    with atomic_file(path, "wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        table = StreamedTable(writer, schema)
        yield table
        table.flush()
