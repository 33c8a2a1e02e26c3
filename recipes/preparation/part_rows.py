"""The rows of a part that no step took out, read a few at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recipes.preparation.collect import rows_path
from recipes.preparation.decisions import decided_rows
from recipes.records import Problem

BATCH_ROWS = 64
"""A row with its tests or response may be a few MB."""


def live_rows(rows: Path, decided: Sequence[Path], part: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a part in the order of (id, digest), without those that are decided.

    Args:
        rows: folder of the sorted rows (``recipes.preparation.collect``).
        decided: folders of the steps that took rows out.
        columns: of ``recipes.data.tables.ROWS``; ``row`` is always there.
    """
    out = decided_rows(decided, part)
    wanted = list(dict.fromkeys(["row", *columns]))
    for batch in pq.ParquetFile(rows_path(rows, part)).iter_batches(BATCH_ROWS, columns=wanted):
        for row in batch.to_pylist():
            if row["row"] not in out:
                yield row


def by_problem(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows of one problem at a time; equal ids are neighbours."""
    for _, group in itertools.groupby(rows, key=lambda row: row["id"]):
        yield list(group)


def problem_of(row: Mapping[str, Any]) -> Problem:
    """What a response to the row is graded by; without metadata where that column was not read."""
    metadata = json.loads(row["metadata"]) if row.get("metadata") else {}
    tests = json.loads(row["tests"]) if row.get("tests") else None
    return Problem(row["id"], row.get("problem", ""), row.get("answer", ""), metadata, tests)
