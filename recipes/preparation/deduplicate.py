"""Deduplicate: one row for each problem, within and across sources (paper §3.1.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from recipes.atomic_files import write_text
from recipes.data.duplicates import decide_duplicates, sign_part
from recipes.grading.math_answers import decide_exactly
from recipes.preparation.collect import rows_path


def sign_task(rows: Path, ngram: int, permutations: int, folder: Path, part: int) -> None:
    """The keys and the signature of every problem of a part -> ``PART.parquet``."""
    sign_part(rows_path(rows, part), rows_path(folder, part), ngram, permutations)


def decide_task(
    rows: Path, signed: Path, parts: int, threshold: float, sources: Sequence[str], folder: Path, task: int
) -> None:
    """The one task that compares -> ``decisions.parquet``, ``clusters.parquet`` and ``report.json``.

    Args:
        sources: the preferred ones first.
    """
    signatures = [rows_path(signed, part) for part in range(parts)]
    texts = [rows_path(rows, part) for part in range(parts)]
    decisions, clusters = folder / "decisions.parquet", folder / "clusters.parquet"
    report = decide_duplicates(signatures, texts, decisions, clusters, threshold, same_answer, sources)
    write_text(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def same_answer(one: str, other: str) -> bool:
    """Whether two gold answers are equal beyond doubt; what only a library could decide counts as different."""
    return one.strip() == other.strip() or decide_exactly(one, other) is True
