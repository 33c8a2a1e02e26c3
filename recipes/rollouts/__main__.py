"""The rollouts that a stage trained on, with their verdicts.

    python -m recipes.rollouts RUN [--step N] [--prompt ID] [--limit K] [--json]

RUN is the folder of a GRPO stage. Without --prompt: the step's prompts with their solve counts; with it: the responses,
the verdict, reward and length of each, the gold answer or the first failing test. Steps count from 0, as in
metrics.jsonl; without --step it is the last one (with --prompt: the last one that drew it).
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from recipes.reporting.rollout_view import listed, prompt_view, prompts_table
from recipes.rollouts.ledger import Ledger

PIPE_WIDTH = 120


class NothingThere(ValueError):
    """What was asked for is not in the folder; the message says what is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.rollouts``."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.rollouts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--step", type=int, metavar="N", help="from 0; the last one when left out")
    parser.add_argument("--prompt", metavar="ID", help="one prompt's responses")
    parser.add_argument("--limit", type=int, metavar="K", help="the first K responses, or prompts")
    parser.add_argument("--json", action="store_true", help="the rows as JSON, one a line")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error(f"--limit {given.limit}: expected at least 1")
    try:
        _show(given)
    except NothingThere as error:
        parser.error(str(error))


def _show(given: argparse.Namespace) -> None:
    ledger = Ledger(given.run / "rollouts")
    steps = _steps(given.run, ledger)
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    if given.step is not None and given.step not in steps:
        near = min(steps, key=lambda step: abs(step - given.step))
        raise NothingThere(f"--step {given.step}: no rollouts of it; there are {_ranges(steps)}; the nearest is {near}")
    if given.prompt is None:
        counts = _counts(ledger, steps[-1] if given.step is None else given.step)[: given.limit]
        if given.json:
            print(*map(json.dumps, counts), sep="\n")
        else:
            console.print(f"step {counts[0]['step']} of {given.run}, {len(counts)} prompts", highlight=False)
            console.print(prompts_table(counts, _texts(given.run, {row["problem_id"] for row in counts})))
        return
    rows = _rows_of(ledger, steps, given.prompt, given.step)
    if given.json:
        print(*map(json.dumps, rows[: given.limit]), sep="\n")
    else:
        console.print(prompt_view(rows, _texts(given.run, {given.prompt}).get(given.prompt), given.limit))


def _steps(run: Path, ledger: Ledger) -> list[int]:
    if not run.is_dir():
        folders = [entry.name for entry in run.parent.iterdir() if entry.is_dir()] if run.parent.is_dir() else []
        near = difflib.get_close_matches(run.name, folders, n=1)
        raise NothingThere(f"{run}: no such folder" + (f"; is it {run.parent / near[0]}?" if near else ""))
    steps = ledger.steps()
    if not steps:
        stages = sorted(str(path.parent) for path in run.glob("*/rollouts"))
        hint = f"; name a stage: {listed(stages)}" if stages else "; expected the folder of a GRPO stage"
        raise NothingThere(f"{run}: no rollouts here{hint}")
    return steps


def _counts(ledger: Ledger, step: int) -> list[dict[str, Any]]:
    """Of every prompt of a step, the hardest first."""
    rates = ledger.solve_rates(step, step)
    rows = [
        {
            "step": step,
            "problem_id": problem,
            "correct": rate.correct,
            "rollouts": rate.rollouts,
            "truncated": rate.truncated,
            "response_tokens": rate.response_tokens,
        }
        for problem, rate in rates.items()
    ]
    return sorted(rows, key=lambda row: (row["correct"] / row["rollouts"], row["problem_id"]))


def _rows_of(ledger: Ledger, steps: Sequence[int], prompt: str, step: int | None) -> list[dict[str, Any]]:
    """The responses to one prompt in one step, by sample."""
    drew = [found for found in steps if prompt in ledger.solve_rates(found, found)] if step is None else [step]
    if drew:
        rows = [row for row in ledger.rows(drew[-1], drew[-1]) if row["problem_id"] == prompt]
        if rows:
            return sorted(rows, key=lambda row: row["sample"])
    drawn = ledger.solve_rates()
    if prompt in drawn:
        others = [found for found in steps if prompt in ledger.solve_rates(found, found)]
        raise NothingThere(f"--prompt {prompt}: not in step {step}, but in {_ranges(others)}")
    near = difflib.get_close_matches(prompt, drawn, n=3, cutoff=0.5) or sorted(drawn)[:10]
    raise NothingThere(f"--prompt {prompt}: no such prompt in {len(steps):,} steps; the nearest are {listed(near)}")


def _ranges(steps: Sequence[int]) -> str:
    """``steps 0 to 39``, or ``steps 3, 7, 12`` where there are gaps."""
    if len(steps) == 1:
        return f"step {steps[0]}"
    if all(after == before + 1 for before, after in pairwise(steps)):
        return f"steps {steps[0]} to {steps[-1]}"
    return f"steps {listed(steps)}"


def _texts(run: Path, wanted: set[str]) -> dict[str, str]:
    """Problem id -> the problem, from the stage's data file where that is still there."""
    settings = run / "settings.yaml"
    if not settings.is_file():
        return {}
    path = Path(str(OmegaConf.select(OmegaConf.load(settings), "data.train")))
    return {row["id"]: row["problem"] for row in _json_rows(path) if row.get("id") in wanted}


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the stage would have refused it; the file has changed since
            if isinstance(row, dict) and isinstance(row.get("problem"), str):
                yield row


if __name__ == "__main__":
    main()
