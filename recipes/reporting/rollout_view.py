"""The rollouts of one step for a terminal: a table of the step's prompts, or one prompt's responses in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from recipes.reporting.rollout_examples import SOLVED

FAILURE_KEYS = ("input", "expected", "found", "detail")


def prompts_table(counts: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> Table:
    """One row a prompt.

    Args:
        counts: ``problem_id``, ``correct``, ``rollouts``, ``truncated`` and ``response_tokens`` (a sum) of each.
        texts: problem id -> the problem, for those that are known.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("prompt", no_wrap=True)
    for heading in ("solved", "trunc.", "length"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("problem", no_wrap=True, overflow="ellipsis")
    for row in counts:
        solved = f"{row['correct']}/{row['rollouts']}"
        style = "green" if row["correct"] == row["rollouts"] else "red" if row["correct"] == 0 else ""
        length = f"{row['response_tokens'] / row['rollouts']:,.0f}"
        text = Text(" ".join(texts.get(row["problem_id"], "").split()))
        table.add_row(Text(row["problem_id"]), Text(solved, style=style), str(row["truncated"]), length, text)
    return table


def prompt_view(rows: Sequence[Mapping[str, Any]], problem: str | None, limit: int | None) -> Group:
    """A problem and its responses with their verdicts.

    Args:
        rows: of the ledger, all of one problem and step, one or more.
        problem: its text, None where the data file is gone.
        limit: responses to show; None for all.
    """
    first, solved = rows[0], sum(int(row["reward"]) for row in rows)
    answer = f", answer {first['answer']}" if first["answer"] else ""
    heading = (
        f"step {first['step']}, epoch {first['epoch']}, {first['problem_id']}: {solved}/{len(rows)} solved{answer}"
    )
    parts: list[RenderableType] = [Text(heading, style="bold")]
    parts.append(Text(problem if problem is not None else "(the problem's text is not in data.train any more)"))
    shown = rows[:limit]
    parts += [_response(row) for row in shown]
    if len(shown) < len(rows):
        parts.append(Text(f"{len(rows) - len(shown)} more rollouts", style="dim"))
    return Group(*parts)


def _response(row: Mapping[str, Any]) -> Panel:
    verdict = str(row["verdict"])
    good = verdict in SOLVED and not row["truncated"]
    facts = [f"sample {row['sample']}", verdict.replace("_", " "), f"reward {row['reward']:g}"]
    facts.append(f"{row['response_tokens']:,} tokens" + (", truncated" if row["truncated"] else ""))
    if row["extracted"] is not None:
        facts.append(f"found {row['extracted']}")
    if row.get("total") is not None:
        facts.append(f"{row['passed']}/{row['total']} tests passed")
    body = [Text(row["text"])]
    if failure := row.get("first_failure"):
        body.append(Text(f"first failing test: {failure.get('test')}", style="bold"))
        body += [Text(f"{key:<9} {failure[key]}") for key in FAILURE_KEYS if failure.get(key) not in (None, "")]
    style = "green" if good else "yellow" if row["truncated"] else "red"
    return Panel(Group(*body), title=Text(" · ".join(facts)), title_align="left", border_style=style)


def listed(values: Iterable[object], most: int = 10) -> str:
    """``0, 1, 2 ... (40 in all)``."""
    values = list(values)
    text = ", ".join(map(str, values[:most]))
    return text if len(values) <= most else f"{text} ... ({len(values):,} in all)"
