"""Every rollout of every step as JSONL, and the solve rates that follow from it.

::

    rollouts/step_00000012.replica_000.jsonl          one row for each rollout
    rollouts/groups/step_00000012.replica_000.jsonl   one row for each group: what solve rates are counted from
    rollouts/solve_rates.jsonl                        one row for each problem and epoch, once the stage is done

One file a step and replica, written in one rename: a step that is done again after a kill overwrites its own files, so
no rollout is lost and none is there twice. The rollouts' texts are most of the bytes (tens of GB for a long stage);
without them the solve rates are still known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import atomic_file
from recipes.records import Group, Verdict

_NAME = re.compile(r"step_(\d{8})\.replica_(\d{3})\.jsonl")
_COUNTS = ("rollouts", "correct", "truncated", "response_tokens")


@dataclass(frozen=True, slots=True)
class SolveRate:
    """How often one problem was solved, and how long its responses were."""

    correct: int
    """Rollouts with reward 1."""
    rollouts: int
    """At least 1."""
    response_tokens: int
    """Sum over the rollouts."""
    truncated: int
    """Rollouts that hit the length budget."""

    @property
    def rate(self) -> float:
        """correct / rollouts, in [0, 1]."""
        return self.correct / self.rollouts

    @property
    def solved_by_all(self) -> bool:
        """Every rollout was right."""
        return self.correct == self.rollouts

    @property
    def mean_response_tokens(self) -> float:
        """response_tokens / rollouts."""
        return self.response_tokens / self.rollouts


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rollouts of one run, below ``directory``."""

    directory: Path

    @property
    def groups(self) -> Path:
        """Folder of the groups' counts."""
        return self.directory / "groups"

    @property
    def totals(self) -> Path:
        """The counts of a stage that is done."""
        return self.directory / "solve_rates.jsonl"

    def write(self, step: int, epoch: int, replica: int, groups: Sequence[Group]) -> Path:
        """Write the groups that one replica sampled in one step; atomic.

        Args:
            step: update that the rollouts feed, from 0.
            epoch: pass over the prompts, from 0.
            replica: data-parallel rank.
        """
        name = f"step_{step:08d}.replica_{replica:03d}.jsonl"
        path = self.directory / name
        _write(path, (row for group in groups for row in _rows(step, epoch, group)))
        _write(self.groups / name, (_counts(step, epoch, group) for group in groups))
        return path

    def rows(self, first_step: int = 0, last_step: int | None = None) -> Iterator[dict[str, Any]]:
        """Every rollout of the steps ``first_step``..``last_step`` (inclusive), oldest step first."""
        for path in _files(self.directory, first_step, last_step):
            yield from _read(path)

    def steps(self) -> list[int]:
        """Steps whose rollouts are there, ascending."""
        return sorted({_step_of(path) for path in _files(self.directory, 0, None)})

    def forget_from(self, step: int) -> None:
        """Remove the rollouts of ``step`` and later: a resumed run samples them again."""
        self.totals.unlink(missing_ok=True)
        for folder in (self.directory, self.groups):
            for path in _files(folder, step, None):
                path.unlink()

    def solve_rates(
        self, first_step: int = 0, last_step: int | None = None, *, epoch: int | None = None
    ) -> dict[str, SolveRate]:
        """Problem id -> solve rate over the steps ``first_step``..``last_step`` (inclusive), of one epoch or of all."""
        found: dict[str, list[int]] = {}
        for row in self._group_rows(first_step, last_step):
            if epoch is None or row["epoch"] == epoch:
                _add(found.setdefault(row["problem_id"], [0] * len(_COUNTS)), row)
        return {problem: _solve_rate(counts) for problem, counts in found.items()}

    def solve_rates_by_epoch(self) -> dict[int, dict[str, SolveRate]]:
        """Epoch -> problem id -> solve rate, of the whole run; epochs in order."""
        if self.totals.is_file():
            rows: Iterable[Mapping[str, Any]] = _read(self.totals)
        else:
            rows = self._group_rows(0, None)
        found: dict[int, dict[str, list[int]]] = {}
        for row in rows:
            _add(found.setdefault(row["epoch"], {}).setdefault(row["problem_id"], [0] * len(_COUNTS)), row)
        return {
            epoch: {problem: _solve_rate(counts) for problem, counts in found[epoch].items()} for epoch in sorted(found)
        }

    def latest_solve_rates(self) -> dict[str, SolveRate]:
        """Problem id -> solve rate in the last epoch that visited it: that of the newest weights."""
        latest: dict[str, SolveRate] = {}
        for rates in self.solve_rates_by_epoch().values():
            latest.update(rates)
        return latest

    def new_solve_rates(self, read: Collection[Path]) -> Iterator[tuple[Path, dict[str, SolveRate]]]:
        """(file of counts, problem id -> solve rate in it) of every step and replica not in ``read``, in order."""
        for path in _files(self.groups, 0, None):
            if path not in read:
                yield path, {row["problem_id"]: _solve_rate([row[name] for name in _COUNTS]) for row in _read(path)}

    def write_totals(self) -> None:
        """Keep the solve rates of a stage that is done in one file; atomic."""
        self.totals.unlink(missing_ok=True)
        rows = (
            {"epoch": epoch, "problem_id": problem, **{name: getattr(rate, name) for name in _COUNTS}}
            for epoch, rates in self.solve_rates_by_epoch().items()
            for problem, rate in sorted(rates.items())
        )
        _write(self.totals, rows)

    def _group_rows(self, first_step: int, last_step: int | None) -> Iterator[Mapping[str, Any]]:
        """Counts to be added up; from the rollouts themselves where a step has no file of counts."""
        counted = {path.name for path in _files(self.groups, first_step, last_step)}
        names = {path.name for path in _files(self.directory, first_step, last_step)} | counted
        for name in sorted(names):
            if name in counted:
                yield from _read(self.groups / name)
            else:
                yield from map(_count_of_one, _read(self.directory / name))


def read_solve_rates(runs: Sequence[Path]) -> dict[str, SolveRate]:
    """Problem id -> solve rate in the last run that has the problem, in the last epoch there that visited it.

    Earlier counts are not added: they are those of weaker weights, and would keep problems that are easy by now.

    Raises:
        ValueError: names every run folder without rollouts.
    """
    missing = [run for run in runs if not any(_files(run / "rollouts", 0, None)) and not _has_counts(run)]
    if missing:
        named = "\n".join(f"  {run}: no {run / 'rollouts'} with rollouts" for run in missing)
        raise ValueError(
            f"prompts.ledgers names {len(missing)} of {len(runs)} run folders without rollouts:\n{named}\n"
            "expected folders of GRPO stages that have trained; fix: prompts.ledgers=[RUN,...] with their paths"
        )
    found: dict[str, SolveRate] = {}
    for run in runs:
        found.update(Ledger(run / "rollouts").latest_solve_rates())
    return found


def _has_counts(run: Path) -> bool:
    ledger = Ledger(run / "rollouts")
    return ledger.totals.is_file() or any(_files(ledger.groups, 0, None))


def _step_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _files(folder: Path, first_step: int, last_step: int | None) -> list[Path]:
    """The files of steps ``first_step``..``last_step``, oldest first; none where there is no folder."""
    found = []
    for path in sorted(folder.glob("step_*.jsonl")):
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) >= first_step and (last_step is None or int(match[1]) <= last_step):
            found.append(path)
    return found


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _add(counts: list[int], row: Mapping[str, Any]) -> None:
    for place, name in enumerate(_COUNTS):
        counts[place] += row[name]


def _solve_rate(counts: Sequence[int]) -> SolveRate:
    return SolveRate(**dict(zip(_COUNTS, counts, strict=True)))


def _counts(step: int, epoch: int, group: Group) -> dict[str, Any]:
    return {
        "step": step,
        "epoch": epoch,
        "problem_id": group.problem.id,
        "rollouts": len(group.rollouts),
        "correct": int(sum(group.rewards)),
        "truncated": sum(group.truncated),
        "response_tokens": sum(len(rollout.response_tokens) for rollout in group.rollouts),
    }


def _count_of_one(row: Mapping[str, Any]) -> dict[str, Any]:
    counts = {"rollouts": 1, "correct": int(row["reward"]), "truncated": int(row["truncated"])}
    return {"epoch": row["epoch"], "problem_id": row["problem_id"], "response_tokens": row["response_tokens"], **counts}


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
            **_of_program(verdict),
            "sample_seconds": round(rollout.seconds, 4),
            "grade_seconds": round(verdict.seconds, 4),
        }


def _of_program(verdict: Verdict) -> dict[str, Any]:
    """What tests say; nothing for a math answer."""
    if verdict.total is None:
        return {}
    failure = None if verdict.first_failure is None else dict(verdict.first_failure)
    return {"passed": verdict.passed, "total": verdict.total, "first_failure": failure}
