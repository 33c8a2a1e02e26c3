"""Every rollout of every step as JSONL, and the solve rates that follow from it.

One file a step and replica (``rollouts/step_00000012.replica_000.jsonl``), written in one rename: a step that is done
again after a kill overwrites its own file, so no rollout is lost and none is there twice.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.records import Group

_NAME = re.compile(r"step_(\d{8})\.replica_(\d{3})\.jsonl")


@dataclass(frozen=True, slots=True)
class SolveRate:
    """How often one problem was solved."""

    correct: int
    rollouts: int

    @property
    def rate(self) -> float:
        """correct / rollouts, in [0, 1]."""
        return self.correct / self.rollouts


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rollouts of one run, below ``directory``."""

    directory: Path

    def write(self, step: int, epoch: int, replica: int, groups: Sequence[Group]) -> Path:
        """Write the groups that one replica sampled in one step; atomic.

        Args:
            step: update that the rollouts feed, from 0.
            epoch: pass over the prompts, from 0.
            replica: data-parallel rank.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"step_{step:08d}.replica_{replica:03d}.jsonl"
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("w", encoding="utf-8") as file:
            for group in groups:
                for row in _rows(step, epoch, group):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        os.replace(partial, path)
        return path

    def rows(self, first_step: int = 0, last_step: int | None = None) -> Iterator[dict[str, Any]]:
        """Every rollout of the steps ``first_step``..``last_step`` (inclusive), oldest step first."""
        for path in sorted(self.directory.glob("step_*.jsonl")):
            match = _NAME.fullmatch(path.name)
            if match is None or int(match[1]) < first_step or (last_step is not None and int(match[1]) > last_step):
                continue
            with path.open(encoding="utf-8") as file:
                yield from (json.loads(line) for line in file)

    def forget_from(self, step: int) -> None:
        """Remove the rollouts of ``step`` and later: a resumed run samples them again."""
        for path in self.directory.glob("step_*.jsonl"):
            match = _NAME.fullmatch(path.name)
            if match and int(match[1]) >= step:
                path.unlink()

    def solve_rates(self, first_step: int = 0, last_step: int | None = None) -> dict[str, SolveRate]:
        """Problem id -> solve rate over the steps ``first_step``..``last_step`` (inclusive)."""
        counts: dict[str, tuple[int, int]] = {}
        for row in self.rows(first_step, last_step):
            correct, rollouts = counts.get(row["problem_id"], (0, 0))
            counts[row["problem_id"]] = (correct + int(row["reward"]), rollouts + 1)
        return {problem: SolveRate(*count) for problem, count in counts.items()}


def _rows(step: int, epoch: int, group: Group) -> Iterator[dict[str, Any]]:
    for rollout, verdict, reward in zip(group.rollouts, group.verdicts, group.rewards, strict=True):
        yield {
            "step": step,
            "epoch": epoch,
            "problem_id": rollout.problem_id,
            "sample": rollout.sample,
            "text": rollout.text,
            "prompt_tokens": len(rollout.prompt_tokens),
            "response_tokens": len(rollout.response_tokens),
            "truncated": rollout.truncated,
            "reward": reward,
            "verdict": verdict.verdict,
            "extracted": verdict.extracted,
            "answer": group.problem.answer,
            "sample_seconds": round(rollout.seconds, 4),
            "grade_seconds": round(verdict.seconds, 4),
        }
