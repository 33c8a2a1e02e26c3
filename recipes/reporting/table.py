"""The table at the end of a run; the terminal and the page show the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

NOTHING = "\N{EN DASH}"


def columns(summary: Mapping[str, Any], benchmarks: Sequence[str]) -> list[str]:
    """Headings, one for each benchmark; the n of avg@n is the last evaluation's."""
    headings = [f"{name} {average(summary, name)}" for name in benchmarks]
    return ["stage", "steps", "temperature", "entropy", "truncated", "reward", *headings, "minutes"]


def average(summary: Mapping[str, Any], benchmark: str) -> str:
    """``avg@8``; ``avg@n`` before the first evaluation."""
    counts = [stage["scores"][benchmark]["n"] for stage in summary["stages"] if benchmark in stage["scores"]]
    return f"avg@{counts[-1]}" if counts else "avg@n"


def rows(summary: Mapping[str, Any], benchmarks: Sequence[str]) -> list[list[str]]:
    """One row a stage, as text; ``first → last`` where a stage changes a number."""
    return [
        [
            stage["name"],
            f"{stage['steps']:,}",
            _number(stage["temperature"], "g"),
            _change(stage["entropy_first"], stage["entropy_last"], ".2f"),
            _change(stage["truncated_fraction_first"], stage["truncated_fraction_last"], ".0%"),
            _change(stage["reward_first"], stage["reward_last"], ".2f"),
            *(_score(stage["scores"].get(benchmark)) for benchmark in benchmarks),
            _minutes(stage["seconds"], stage["evaluation_seconds"]),
        ]
        for stage in summary["stages"]
    ]


def print_table(summary: Mapping[str, Any], benchmarks: Sequence[str], console: Console | None = None) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left", caption=caption(summary))
    for index, heading in enumerate(columns(summary, benchmarks)):
        table.add_column(heading, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows(summary, benchmarks):
        table.add_row(*row)
    # A pipe has no width: the table keeps its natural one there.
    (console or Console(width=None if Console().is_terminal else 140)).print(table)


def caption(summary: Mapping[str, Any]) -> str:
    """What the columns mean."""
    seconds = [stage[key] or 0 for stage in summary["stages"] for key in ("seconds", "evaluation_seconds")]
    return (
        "entropy (nats), truncated and reward: first → last steps of the stage; ± one standard error over new samples; "
        f"minutes: training + evaluation, {sum(seconds) / 60:.1f} in all"
    )


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _change(first: float | None, last: float | None, form: str) -> str:
    return NOTHING if first is None else f"{_number(first, form)} → {_number(last, form)}"


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return NOTHING
    return f"{_number(score['avg'], '.3f')} ± {_number(score['stderr'], '.3f')}"


def _minutes(*seconds: float | None) -> str:
    parts: Sequence[str] = [NOTHING if value is None else f"{value / 60:.1f}" for value in seconds]
    return " + ".join(parts)
