"""Which rows are duplicates, and of which kept row.

"We conduct the dataset deduplication to ensure that each prompt is unique" (AceReason-Nemotron 1.1, §3.1.1); how is not
said. Here a prompt is dropped only as a duplicate of a kept prompt, verified against that prompt itself, so chains of
small differences do not drift:

``exact``      the canonical texts are equal (``canonical_text``), whatever the answers: the majority's answer is kept;
``sentences``  the same sentences in another order, and no other answer;
``near``       similar, with harmless differences alone (``near_duplicates``), and no other answer;
``copy``       a row of a kept prompt that repeats the response of another row (or its having none).

Prompts come in an order of preference that their content gives (``_prompts``), so nothing depends on the order of
rows or the number of parts. Rows of one id are samples of one prompt and go with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recipes.data.canonical_text import canonical_text
from recipes.data.duplicate_search import Candidates, Verified, find_duplicates
from recipes.data.prompt_signatures import NGRAM, sign_part
from recipes.data.rows import canonical
from recipes.data.tables import DECISIONS, write_table

__all__ = ["CLUSTERS", "decide_duplicates", "same_text_answer", "sign_part"]

SameAnswer = Callable[[str, str], bool]

CLUSTERS = pa.schema(
    [
        ("kept", pa.string()),  # id of a kept prompt
        ("dropped", pa.string()),  # id of a prompt that is its duplicate; the same id for copies of rows
        ("kind", pa.string()),  # exact, sentences, near or copy
        ("similarity", pa.float64()),  # Jaccard, of shingles; 1 but for near ones
        ("kept_source", pa.string()),
        ("dropped_source", pa.string()),
        ("rows", pa.int64()),  # dropped rows of this source
        ("conflict", pa.bool_()),  # both prompts have an answer and the answers differ
    ]
)
LARGEST = 20
"""Clusters and conflicts that the report lists."""


def same_text_answer(left: str, right: str) -> bool:
    """Whether two answers are equal as text, but for layout and leading zeros (``016`` and ``16``)."""
    return left == right or _plain_answer(left) == _plain_answer(right)


def decide_duplicates(
    signature_paths: Sequence[Path],
    rows_paths: Sequence[Path],
    out_decisions_path: str | Path,
    out_clusters_path: str | Path,
    threshold: float,
    same_answer: SameAnswer = same_text_answer,
    sources: Sequence[str] = (),
) -> dict[str, Any]:
    """Write a decision for each dropped row (``tables.DECISIONS``) and the clusters (``CLUSTERS``).

    Args:
        signature_paths: what ``sign_part`` wrote.
        rows_paths: the parts of rows, in the same order; only problems of candidates are read.
        threshold: Jaccard similarity from which prompts may be near duplicates.
        same_answer: whether two answers, neither of them empty, are the same.
        sources: the preferred ones first; others come after them.

    Returns:
        The report: prompts and rows by kind, cluster sizes, the largest clusters, rows by kept and by dropped source,
        and exact duplicates with conflicting answers.
    """
    rows = _rows(signature_paths, sources)
    prompts = _prompts(signature_paths, rows)
    winners, verified = _exact(prompts, same_answer)
    answers = prompts["answer"].to_list()
    ngram = int(pq.read_schema(signature_paths[0]).metadata[NGRAM])
    candidates = Candidates.read(signature_paths, rows_paths, prompts["row"].to_numpy(), winners)
    verified += find_duplicates(candidates, answers, ngram, threshold, same_answer)
    drops = _resolved(prompts, verified, same_answer)
    decided = _decided(rows, drops)
    write_table(out_decisions_path, _decisions(decided))
    clusters = _clusters(decided, prompts)
    write_table(out_clusters_path, clusters.to_arrow().cast(CLUSTERS))
    return _report(rows, prompts, clusters)


def _rows(paths: Sequence[Path], sources: Sequence[str]) -> pl.DataFrame:
    """All rows, with the rank of their source."""
    rows = pl.read_parquet(list(paths), columns=["row", "id", "digest", "source", "response", "solution"])
    ranks = {source: rank for rank, source in reversed(list(enumerate(sources)))}
    return rows.with_columns(
        rank=pl.col("source").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64)
        if ranks
        else pl.lit(0, dtype=pl.Int64)
    )


def _prompts(paths: Sequence[Path], rows: pl.DataFrame) -> pl.DataFrame:
    """The prompts in the order of preference.

    First those with an answer or tests, then with more tests, with a reference solution, of a preferred source, with a
    text that more sources have (a misspelt one has fewer); then by id. ``row`` is the first row of the prompt,
    ``source`` its best source and ``votes`` how many sources have it.
    """
    first = pl.scan_parquet(list(paths)).select("row", "id", "exact", "answer", "tests_length")
    first = first.filter(pl.col("exact").is_not_null())
    of_id = rows.lazy().group_by("id").agg(
        pl.col("solution").any(),
        pl.col("source").sort_by("rank", "source").first(),
        pl.col("rank").min(),
        pl.col("source").n_unique().alias("votes"),
    )  # fmt: skip
    referenced = (pl.col("answer") != "") | (pl.col("tests_length") > 0)
    agreeing = pl.col("votes").sum().over("exact")
    worst_last = [~referenced, -pl.col("tests_length"), ~pl.col("solution"), pl.col("rank"), -agreeing.cast(pl.Int64)]
    return first.join(of_id, on="id").sort(*worst_last, "id").collect()


def _exact(prompts: pl.DataFrame, same_answer: SameAnswer) -> tuple[npt.NDArray[np.int64], list[Verified]]:
    """Places of the prompts that are kept or the best of equal ones, ascending, and the others."""
    numbered = prompts.lazy().select("exact").with_row_index("place")
    groups = numbered.group_by("exact").agg(pl.col("place").sort()).filter(pl.col("place").list.len() > 1).collect()
    answers, votes = prompts["answer"], prompts["votes"]
    best = np.ones(len(prompts), dtype=np.bool_)
    verified = []
    for group in sorted(groups["place"].to_list()):
        winner = _majority(group, answers, votes, same_answer)
        for place in group:
            if place != winner:
                best[place] = False
                verified.append(Verified(place, winner, "exact", 1.0))
    return np.flatnonzero(best), verified


def _majority(group: Sequence[int], answers: pl.Series, votes: pl.Series, same_answer: SameAnswer) -> int:
    """The most preferred prompt of those with the answer that most sources agree on."""
    classes: list[tuple[str, int, int]] = []  # answer, votes, minus the first place
    known: dict[str, int] = {}
    for place in group:
        answer = answers[place]
        if not answer:
            continue
        if answer not in known:
            same = (number for number, (other, _, _) in enumerate(classes[:LARGEST]) if same_answer(other, answer))
            known[answer] = next(same, len(classes))
            if known[answer] == len(classes):
                classes.append((answer, 0, -place))
        other, count, first = classes[known[answer]]
        classes[known[answer]] = (other, count + votes[place], first)
    return -max(classes, key=lambda counted: counted[1:])[2] if classes else group[0]


def _resolved(prompts: pl.DataFrame, verified: Iterable[Verified], same_answer: SameAnswer) -> pl.DataFrame:
    """Dropped id -> kept id. Equal texts go with the one of them that was compared."""
    of = {found.dropped: found for found in verified}
    ids, answers = prompts["id"], prompts["answer"]
    table: list[tuple[str, str, str, float, bool]] = []
    for dropped, found in sorted(of.items()):
        final = of.get(found.kept)
        kept = found if final is None else Verified(dropped, final.kept, final.kind, final.similarity)
        left, right = answers[dropped], answers[kept.kept]
        conflict = bool(left and right) and not same_answer(right, left)
        table.append((ids[dropped], ids[kept.kept], kept.kind, round(kept.similarity, 4), conflict))
    types = {"id": pl.String, "kept": pl.String, "kind": pl.String, "similarity": pl.Float64, "conflict": pl.Boolean}
    return pl.DataFrame(table, schema=types, orient="row")


def _decided(rows: pl.DataFrame, drops: pl.DataFrame) -> pl.DataFrame:
    """Every dropped row with its reason, by row."""
    kept = rows.lazy().join(drops.lazy(), on="id", how="anti")
    copies = (
        kept.sort(
            ["id", "response", "solution", "rank", "digest", "row"],
            descending=[False, False, True, False, False, False],
        )
        .filter(~pl.struct("id", "response").is_first_distinct())
        .select("row", "id", "source", pl.col("id").alias("kept"), pl.lit("copy").alias("kind"))
        .with_columns(similarity=pl.lit(1.0), conflict=pl.lit(False))
    )
    dropped = rows.lazy().select("row", "id", "source").join(drops.lazy(), on="id")
    return pl.concat([dropped, copies]).sort("row").collect()


def _decisions(decided: pl.DataFrame) -> pa.Table:
    details = [
        canonical({"of": kept, "kind": kind, "similarity": similarity})
        for kept, kind, similarity in decided.select("kept", "kind", "similarity").iter_rows()
    ]
    rows = decided["row"].to_arrow()
    return pa.table([rows, pa.array(["duplicate"] * len(rows), pa.string()), pa.array(details, pa.string())], DECISIONS)


def _clusters(decided: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    sources = prompts.lazy().select(pl.col("id").alias("kept"), pl.col("source").alias("kept_source"))
    named = decided.lazy().rename({"id": "dropped", "source": "dropped_source"}).join(sources, on="kept")
    counted = named.group_by(pl.exclude("row")).agg(pl.len().cast(pl.Int64).alias("rows"))
    return counted.select(CLUSTERS.names).sort("kept", "dropped", "dropped_source", "kind").collect()


def _report(rows: pl.DataFrame, prompts: pl.DataFrame, clusters: pl.DataFrame) -> dict[str, Any]:
    dropped = clusters.filter(pl.col("kind") != "copy")
    pairs = dropped.select("kept", "dropped", "kind", "conflict").unique()
    sizes = pairs.group_by("kept").agg((pl.len() + 1).alias("size")).sort(["size", "kept"], descending=[True, False])
    between: dict[str, dict[str, int]] = {}
    counted = clusters.group_by("kept_source", "dropped_source").agg(pl.col("rows").sum())
    for kept, source, count in counted.sort("kept_source", "dropped_source").iter_rows():
        between.setdefault(kept, {})[source] = count
    kinds = clusters.group_by("kind").agg(pl.col("rows").sum()).sort("kind")
    histogram = sizes.group_by("size").agg(pl.len().alias("clusters")).sort("size")
    conflicts = pairs.filter("conflict").select("kept", "dropped").sort("kept", "dropped")
    return {
        "rows": len(rows),
        "prompts": len(prompts),
        "kept_prompts": len(prompts) - len(pairs),
        "dropped_prompts": dict(sorted(Counter(pairs["kind"]).items())),
        "dropped_rows": dict(kinds.iter_rows()),
        "clusters": len(sizes),
        "clusters_by_size": {str(size): count for size, count in histogram.iter_rows()},
        "largest_clusters": sizes.head(LARGEST).to_dicts(),
        "rows_by_kept_and_dropped_source": between,
        "conflicting_answers": len(conflicts),
        "conflicts": conflicts.head(LARGEST).to_dicts(),
    }


def _plain_answer(answer: str) -> str:
    words = canonical_text(answer).split()
    return " ".join(word.lstrip("0") or "0" if word.isdigit() else word for word in words)
