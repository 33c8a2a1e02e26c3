"""What became of every stage, in numbers: ``RUN/summary.json``.

``*_first`` and ``*_last`` are means over the first and the last ``EDGE_STEPS`` steps of a stage (over all steps of a
shorter one). SFT samples nothing and has no temperature, so all of these are null there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

EDGE_STEPS = 3
"""Steps averaged at either end of a stage."""
EDGES = {"entropy": "entropy", "truncated_fraction": "truncated", "reward": "reward"}
"""Name in the summary -> key of ``metrics.jsonl``."""


@dataclass(frozen=True, slots=True)
class StageFolder:
    """One stage on disk: ``metrics.jsonl``, ``manifest.json``, ``evaluation/scores.json``."""

    name: str
    kind: str
    """``sft`` or ``grpo``."""
    folder: Path
    seconds: float | None
    """Wall seconds of the training process, start-up included; None while it is not done."""
    evaluation_seconds: float | None
    """Wall seconds of its evaluation, start-up included."""

    @property
    def finished(self) -> bool:
        """The stage was trained to its end."""
        return (self.folder / "manifest.json").is_file()

    def metrics(self) -> list[dict[str, Any]]:
        """Rows of ``metrics.jsonl``; a last line torn by a kill is left out."""
        return read_rows(self.folder / "metrics.jsonl")

    def solve_rates(self) -> dict[int, list[float]]:
        """Epoch -> solve rate of every problem that it visited; empty before the stage is done."""
        found: dict[int, list[float]] = {}
        for row in read_rows(self.folder / "rollouts" / "solve_rates.jsonl"):
            found.setdefault(row["epoch"], []).append(row["correct"] / row["rollouts"])
        return found

    def scores(self) -> dict[str, dict[str, Any]]:
        """Benchmark -> what ``evaluation.run`` wrote; empty before."""
        path = self.folder / "evaluation" / "scores.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def samples(self, benchmark: str) -> list[dict[str, Any]]:
        """Rows of the evaluation's samples; empty before."""
        return read_rows(self.folder / "evaluation" / benchmark / "samples.jsonl")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a JSONL file; none where there is no file."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def summarise(stages: Iterable[StageFolder], final_hf: Path) -> dict[str, Any]:
    """The finished stages in order, and the exported model's folder (null until it is there)."""
    return {
        "stages": [_entry(stage) for stage in stages if stage.finished],
        "final_hf": str(final_hf) if final_hf.is_dir() else None,
    }


def _entry(stage: StageFolder) -> dict[str, Any]:
    manifest = json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))
    rows = stage.metrics() if stage.kind == "grpo" else []
    entry: dict[str, Any] = {
        "name": stage.name,
        "steps": manifest["steps"],
        "temperature": rows[-1]["temperature"] if rows else None,
    }
    for name, key in EDGES.items():
        entry[f"{name}_first"], entry[f"{name}_last"] = edges(rows, key)
    entry["scores"] = {name: _score(score) for name, score in stage.scores().items()}
    return entry | {"seconds": stage.seconds, "evaluation_seconds": stage.evaluation_seconds}


def edges(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[float | None, float | None]:
    """Means of ``key`` over the first and over the last ``EDGE_STEPS`` rows; None without rows."""
    values = [row[key] for row in rows]
    return (fmean(values[:EDGE_STEPS]), fmean(values[-EDGE_STEPS:])) if values else (None, None)


def _score(score: Mapping[str, Any]) -> dict[str, Any]:
    """avg@n with its standard error over new samples of the same problems."""
    return {"avg": score["avg"], "n": score["n"], "problems": score["problems"], "stderr": score["stderr_sampling"]}
