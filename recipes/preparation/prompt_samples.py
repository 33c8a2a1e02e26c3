"""The prompts of a part beside their samples, both read a few at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recipes.preparation.collect import rows_path
from recipes.preparation.part_rows import BATCH_ROWS, by_problem, live_rows


def prompts_with_samples(
    rows: Path,
    samples: Path,
    decided: Sequence[Path],
    part: int,
    row_columns: Sequence[str],
    sample_columns: Sequence[str],
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """(the prompt's rows that no step took out, its samples) in the order of ids; prompts without a sample too.

    Samples of prompts that are out are passed over.

    Args:
        rows, samples: folders with a file for each part; samples in the order of (id, sample).
        decided: folders of the steps that took rows out.
        row_columns: of ``recipes.data.tables.ROWS``; ``id`` is always there.
        sample_columns: of ``recipes.data.tables.SAMPLES``; ``id`` and ``sample`` are always there.

    Raises:
        ValueError: the samples stand in another order, or one comes twice.
    """
    path = rows_path(samples, part)
    groups = itertools.groupby(_in_order(path, sample_columns), key=lambda sample: sample["id"])
    waiting = next(groups, None)
    for rows_of_prompt in by_problem(live_rows(rows, decided, part, ["id", *row_columns])):
        id = rows_of_prompt[0]["id"]
        while waiting is not None and waiting[0] < id:
            waiting = next(groups, None)
        if waiting is not None and waiting[0] == id:
            yield rows_of_prompt, list(waiting[1])
            waiting = next(groups, None)
        else:
            yield rows_of_prompt, []


def _in_order(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    before = ("", -1)
    wanted = list(dict.fromkeys(["id", "sample", *columns]))
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=wanted):
        for row in batch.to_pylist():
            key = (row["id"], row["sample"])
            if key <= before:
                raise ValueError(f"{path}: sample {key} comes after {before}; expected each once, by id and sample")
            before = key
            yield row
