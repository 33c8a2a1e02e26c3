"""The tables of an evaluation's report; every number is one of ``scores.json`` or of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.paired import Paired
from evaluation.reporting.numbers import interval, p_value, points, signed, tokens
from evaluation.reporting.paper_table import COLUMNS, DEVIATIONS, OURS, ROWS, SFT, column_of, projected, score_of
from recipes.reporting.table import NOTHING

Rows = Mapping[str, Mapping[str, Any]]
"""Content of ``scores.json``: benchmark -> its row."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and the number that it was made from."""

    text: str
    value: float | Sequence[float] | None = None
    """As it stands in ``scores.json``: fractions, tokens; points for the paper's."""
    loud: bool = False
    """Something that a reader must not miss."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """Headings, rows of cells (the first is the row's name), and which row stands out."""

    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    marked: frozenset[str] = frozenset()


def score_table(rows: Rows) -> TextTable:
    """avg@n with both kinds of doubt, beside the paper's two models."""
    headings = ["benchmark", "avg@n", "± sampling", "95% over problems"]
    models = {"paper: 1.1-7B": OURS, "paper: SFT-7B": SFT} if any(column_of(name) is not None for name in rows) else {}
    found = []
    for name, row in rows.items():
        best = list((row.get("pass@k") or {}).values())
        cells = [
            Cell(points(row["avg"]), row["avg"], loud=row["avg"] is None),
            _points(row, "stderr_sampling", 2),
            Cell(interval(row.get("ci95_problems")), row.get("ci95_problems")),
            *(_paper(model, name) for model in models.values()),
            Cell(_or_dash(row.get("majority@n")), row.get("majority@n")),
            Cell(points(best[-1] if best else None), best[-1] if best else None),
            Cell(f"{row['n']}", row["n"]),
            Cell(f"{row['problems']:,}", row["problems"]),
            Cell(f"{row['samples']:,}", row["samples"]),
            Cell(f"{row['missing']:,}", row["missing"], loud=row["missing"] != 0),
        ]
        found.append((name, cells))
    counts = ("majority@n", "pass@n", "n", "problems", "samples", "missing")
    return TextTable([*headings, *models, *counts], found)


def response_table(rows: Rows) -> TextTable:
    """Fractions of the responses, and their mean lengths in tokens."""
    headings = ("benchmark", "truncated", "no answer", "mean length", "of the right", "of the wrong")
    lengths = ("mean_length", "mean_length_right", "mean_length_wrong")
    return TextTable(
        headings,
        [
            (
                name,
                [
                    *(_points(row, key, 1, "%") for key in ("truncated_fraction", "no_answer_fraction")),
                    *(Cell(tokens(row.get(key)), row.get(key)) for key in lengths),
                ],
            )
            for name, row in rows.items()
        ],
    )


def pass_table(rows: Rows) -> TextTable:
    """Closed form, and below each the paper's resamplings, mean +- standard deviation."""
    sizes = sorted({int(k) for row in rows.values() for k in row.get("pass@k") or {}})
    found = []
    for name, row in rows.items():
        chances, drawn = row.get("pass@k") or {}, row.get("pass@k_resampled") or {}
        closed = [chances.get(str(k)) for k in sizes]
        found.append((name, [Cell(_or_dash(chance), chance) for chance in closed]))
        again = [drawn.get(str(k)) for k in sizes]
        cells = [
            Cell(f"{points(one['mean'])} ± {points(one['sd'])}", (one["mean"], one["sd"])) if one else Cell(NOTHING)
            for one in again
        ]
        found.append((f"{name}, resampled", cells))
    return TextTable(("benchmark", *(f"pass@{k}" for k in sizes)), found)


def paper_table(rows: Rows, label: str) -> TextTable:
    """The paper's Table 1 with this evaluation as its last row."""
    own: list[float | None] = [None] * len(COLUMNS)
    counts = [column.n for column in COLUMNS]
    for name, row in rows.items():
        index = column_of(name)
        if index is not None:
            own[index], counts[index] = row["avg"], row["n"]
    found = [
        (f"{row.model} *" if row.placed else row.model, [_paper_cell(score) for score in row.scores]) for row in ROWS
    ]
    mine = [
        Cell(NOTHING) if score is None else Cell(points(score) + ("" if n == column.n else f" (n={n})"), score)
        for score, n, column in zip(own, counts, COLUMNS, strict=True)
    ]
    headings = [f"{column.heading} avg@{column.n}" for column in COLUMNS]
    return TextTable(("model", *headings), [*found, (label, mine)], frozenset({OURS, label}))


def deviation_table(rows: Rows) -> TextTable:
    """The paper's standard deviations of AIME24 and this evaluation's own error, projected to the same n."""
    found: list[tuple[str, Sequence[Cell]]] = [
        ("paper: AIME 2024, 30 problems", [Cell(NOTHING), *(Cell(f"{value}", value) for value in DEVIATIONS.values())]),
        (
            f"1/√n law from the paper's {DEVIATIONS[16]}",
            [Cell(NOTHING), *(Cell(f"{(value := projected(DEVIATIONS[16], 16, n)):.2f}", value) for n in DEVIATIONS)],
        ),
    ]
    for name, row in rows.items():
        stderr, n = row.get("stderr_sampling"), row["n"]
        cells = [Cell(f"{points(stderr, 2)} (n={n})", stderr)]
        for wanted in DEVIATIONS:
            own = None if stderr is None else projected(stderr, n, wanted)
            cells.append(Cell(points(own, 2), own))
        found.append((f"{name}, {row['problems']:,} problems", cells))
    return TextTable(("points of 100", "measured", *(f"n={n}" for n in DEVIATIONS)), found)


def comparison_table(pairs: Mapping[str, Paired], names: tuple[str, str]) -> TextTable:
    """One row a benchmark: the second against the first."""
    headings = ("benchmark", *names, "difference", "± sampling", "95% over problems", "p", "gained", "lost")
    rows = [
        (
            benchmark,
            [
                Cell(points(found.avg_a), found.avg_a),
                Cell(points(found.avg_b), found.avg_b),
                Cell(signed(found.difference), found.difference),
                Cell(points(found.stderr_sampling, 2), found.stderr_sampling),
                Cell(interval(found.ci95_problems), found.ci95_problems),
                Cell(p_value(found.p_value), found.p_value),
                Cell(str(len(found.gained)), len(found.gained)),
                Cell(str(len(found.lost)), len(found.lost)),
            ],
        )
        for benchmark, found in pairs.items()
    ]
    return TextTable(headings, rows)


def _points(row: Mapping[str, Any], key: str, decimals: int, unit: str = "") -> Cell:
    value = row.get(key)
    return Cell(points(value, decimals) + (unit if value is not None else ""), value)


def _or_dash(value: float | None) -> str:
    """A value that this benchmark cannot have (majority@n of programs) is no unknown one."""
    return NOTHING if value is None else points(value)


def _paper(model: str, benchmark: str) -> Cell:
    index, score = column_of(benchmark), score_of(model, benchmark)
    return Cell(NOTHING) if index is None or score is None else Cell(f"{score:.1f} (n={COLUMNS[index].n})", score)


def _paper_cell(score: float | None) -> Cell:
    return Cell(NOTHING) if score is None else Cell(f"{score:.1f}", score)
