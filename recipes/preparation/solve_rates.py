"""How often a model solved each problem: from the ledger of a GRPO run, or from an evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from recipes.rollouts.ledger import SolveRate, read_solve_rates

SAMPLES = "samples.jsonl"
"""Of a benchmark's folder in an evaluation (``evaluation.store``)."""


def solve_rates_of(runs: Sequence[Path]) -> dict[str, SolveRate]:
    """Problem id -> solve rate in the last of the folders that has the problem.

    Args:
        runs: GRPO run folders (with ``rollouts/``), and folders of one benchmark in an evaluation (``samples.jsonl``);
            the ids are those of the published problems.

    Raises:
        ValueError: names every folder that is neither, and samples without a verdict.
    """
    wrong: list[str] = []
    found: dict[str, SolveRate] = {}
    for run in runs:
        try:
            found.update(_of_evaluation(run / SAMPLES) if (run / SAMPLES).is_file() else read_solve_rates([run]))
        except ValueError as error:
            wrong.append(f"{run}: {_told(run, error)}")
    if wrong:
        raise ValueError("\n".join(["selection.runs:", *(f"  {line}" for line in wrong)]))
    return found


def run_states(runs: Sequence[str]) -> list[list[str]]:
    """Each folder with a hash of the names, sizes and times of its files: another one where a run has gone on."""
    found = []
    for run in runs:
        files = [*sorted(Path(run).glob("rollouts/**/*.jsonl")), *Path(run).glob(SAMPLES)]
        states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        found.append([run, hashlib.sha256(repr(states).encode()).hexdigest()])
    return found


def _told(run: Path, error: ValueError) -> str:
    if (run / SAMPLES).is_file():
        return str(error)
    return f"neither rollouts of a GRPO stage nor {SAMPLES} of a benchmark; expected RUN or EVALUATION/BENCHMARK"


def _of_evaluation(path: Path) -> dict[str, SolveRate]:
    counts: dict[str, list[int]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            row = json.loads(line)
            if row["verdict"] is None:
                raise ValueError(
                    f"{SAMPLES}:{number}: no verdict; first: python -m evaluation.grade output={path.parents[1]}"
                )
            own = counts.setdefault(row["problem_id"], [0, 0, 0, 0])
            right = row["verdict"] in ("correct", "pass") and not row["truncated"]
            for place, value in enumerate((right, 1, row["tokens"] or 0, row["truncated"])):
                own[place] += int(value)
    return {problem: SolveRate(*own) for problem, own in counts.items()}
