"""Decontaminate: no prompt that shares an n-gram of words with a benchmark (paper §3.1.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.benchmarks.reading import read_benchmark
from recipes.data.benchmark_texts import BenchmarkText, read_benchmark_texts
from recipes.data.contamination import ContaminationIndex
from recipes.data.rows import canonical
from recipes.data.tables import DECISIONS, write_table
from recipes.preparation.collect import rows_path
from recipes.preparation.decisions import decided_rows
from recipes.settings.benchmarks import published
from recipes.settings.prepare_checks import published_benchmarks
from recipes.settings.prepare_schema import DecontaminateSettings, SourcesSettings

TEXTS = pa.schema([("benchmark", pa.string()), ("id", pa.string()), ("text", pa.large_string())])
_BATCH_ROWS = 4096


def benchmark_texts(data: SourcesSettings) -> list[BenchmarkText]:
    """The statements of all benchmarks that the settings name, sorted, each once.

    Raises:
        ValueError: benchmarks that cannot be had or are not what they should be; all of them, with what to do.
    """
    found: set[BenchmarkText] = set()
    problems: list[str] = []
    names = published_benchmarks() if "all" in data.benchmarks else tuple(data.benchmarks)
    for name in names:
        try:
            found |= {BenchmarkText(name, one.id, one.problem) for one in read_benchmark(published(name))}
        except ValueError as error:
            problems.append(f"data.benchmarks: {name}: {error}")
    for path in data.against:
        try:
            found |= set(read_benchmark_texts(Path(path)))
        except ValueError as error:
            problems.append(f"data.against: {error}")
    if problems:
        way_out = (
            "name those that are there, data.benchmarks=[...], and give the others as files: data.against=[FILE.jsonl]"
        )
        raise ValueError(
            "\n".join([*problems, f"without one of them its problems would stay in the training data; {way_out}"])
        )
    return sorted(found, key=lambda one: (one.benchmark, one.id, one.text))


def write_texts(texts: Sequence[BenchmarkText], folder: Path, task: int) -> None:
    """The one task that keeps the statements for the others."""
    rows = [{"benchmark": one.benchmark, "id": one.id, "text": one.text} for one in texts]
    write_table(folder / "texts.parquet", pa.Table.from_pylist(rows, TEXTS))


def scan_part(
    rows: Path, texts: Path, before: Sequence[Path], rule: DecontaminateSettings, folder: Path, part: int
) -> None:
    """The prompts of a part that nothing has decided about -> ``PART.parquet``, the contaminated ones.

    Args:
        rows: folder of the sorted rows.
        texts: of ``write_texts``.
        before: folders with decisions of earlier steps.
    """
    gone = decided_rows(before, part)
    decisions: list[dict[str, Any]] = []
    file = pq.ParquetFile(rows_path(rows, part))
    for batch in file.iter_batches(_BATCH_ROWS, columns=["row", "domain", "problem"]):
        for domain, length in (("math", rule.ngram), ("code", rule.code_ngram)):
            here = [
                (row, problem)
                for row, of, problem in zip(*(batch[name].to_pylist() for name in batch.schema.names), strict=True)
                if of == domain and row not in gone
            ]
            for row, one in _index(texts, length, rule.stock_phrase).scan(here):
                detail = {
                    "benchmark": one.benchmark,
                    "problem_id": one.problem,
                    "ngram": one.ngram,
                    "shared": one.shared,
                    "of": one.of,
                    "other_problems": one.others,
                }
                decisions.append({"row": row, "kind": "contaminated", "detail": canonical(detail)})
    decisions.sort(key=lambda one: one["row"])
    write_table(folder / f"{part:05d}.parquet", pa.Table.from_pylist(decisions, DECISIONS))


@lru_cache(maxsize=2)
def _index(texts: Path, ngram: int, stock_phrase: int | None) -> ContaminationIndex:
    """Once in a process, which scans several parts."""
    known = [BenchmarkText(**row) for row in pq.read_table(texts).to_pylist()]
    return ContaminationIndex(known, ngram, stock_phrase)


def contamination_report(details: Sequence[dict[str, Any]], texts: Path) -> dict[str, Any]:
    """How many prompts each benchmark cost, and how many problems of it were met."""
    sizes = Counter(pq.read_table(texts, columns=["benchmark"])["benchmark"].to_pylist())
    prompts = Counter(one["benchmark"] for one in details)
    met = Counter(benchmark for benchmark, _ in {(one["benchmark"], one["problem_id"]) for one in details})
    return {
        name: {"problems": size, "problems_met": met[name], "prompts_dropped": prompts[name]}
        for name, size in sorted(sizes.items())
    }
