"""A chain of checkpoints as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from recipes.reporting.uncut_table import print_uncut

NOTHING = "\N{EN DASH}"
_HEADINGS = ("", "stage", "kind", "steps", "score", "wall h", "GPU h")


def print_lineage(chain: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The links in order, the first weights first; below the table what they were made with and where they are, then
    everything that is wrong with them."""
    rows = [_row(number, link) for number, link in enumerate(chain)]
    print_uncut(console, _HEADINGS, rows, wrapped="score", left=("", "stage", "kind"))
    for number, link in enumerate(chain):
        made = f"\n{number} {link['stage'] or '?'}: commit {_commit(link['git'])}, data {_data(link)}"
        for line in (made, f"  {link['checkpoint']}"):  # whole paths, to copy
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    problems = [problem for link in chain for problem in link["problems"]]
    for line in ["", *(f"problem: {problem}" for problem in problems)] if problems else []:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _row(number: int, link: Mapping[str, Any]) -> list[str]:
    return [
        f"{number}{'!' if link['problems'] else ''}",
        link["stage"] or "?",
        link["kind"] or "?",
        _shown(link["steps"], ","),
        _score(link),
        _shown(link["wall_hours"], ".2f"),
        _shown(link["gpu_hours"], ".2f"),
    ]


def _commit(git: Mapping[str, Any] | None) -> str:
    return f"{git['sha'][:10]}{' + changes' if git['dirty'] else ''}" if git else NOTHING


def _data(link: Mapping[str, Any]) -> str:
    """File and the first characters of its hash; an import names its source."""
    if link["source"]:
        return f"{link['source']['folder']} {link['source']['config_sha256'][:8]}"
    files = (f"{file['path'].rpartition('/')[2]} {file['sha256'][:8]}" for file in link["data"].values())
    return ", ".join(files) or NOTHING


def _score(link: Mapping[str, Any]) -> str:
    """avg@n of the evaluation, else the newest held-out value of the stage itself."""
    if link["scores"]:
        return "\n".join(
            f"{name} {_shown(score['avg'], '.1%')} (avg@{score['n']})" for name, score in link["scores"].items()
        )
    held_out = link["validation"] or {}
    if "validation_avg" in held_out:
        return f"held out {held_out['validation_avg']:.1%}"
    losses = [value for key, value in held_out.items() if key.startswith("val/") and "loss" in key]
    return f"held-out loss {losses[0]:.3f}" if losses else NOTHING


def _shown(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)
