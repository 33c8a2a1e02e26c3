"""The problems of each RL stage, by difficulty (paper §3.2.2, §3.2.3): the rules of ``selection``, one stage at a time.

The rules are those that a stage applies itself when it starts (``recipes.rollouts.selection``), so what is known here
need not be known there; a rule about which nothing is known here is left to the stage, and the table says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recipes.atomic_files import write_text
from recipes.data.keyed_draws import draws
from recipes.data.rows import canonical
from recipes.data.tables import DECISIONS, write_table
from recipes.preparation.part_rows import live_rows
from recipes.preparation.selection_facts import DIFFICULTY, TOKENS, Fact, merged, own_fact, read_facts
from recipes.preparation.solve_rates import solve_rates_of
from recipes.records import Problem
from recipes.rollouts.ledger import SolveRate
from recipes.rollouts.selection import SelectionRules, select_problems
from recipes.settings.prepare_schema import SelectionSettings
from recipes.settings.stage_rules import STAGES, StageRules, rules_of

HELD_OUT = {"math": "heldout", "code": "heldout_code"}
"""Domain -> name of the file that no stage trains on (``data.validation``)."""
HELD_OUT_SHARE = 10
"""One problem of so many is held out at most."""
CHOSEN = pa.schema(
    [
        ("row", pa.int64()),
        ("file", pa.string()),  # a stage, or one of HELD_OUT
        ("teacher_tokens", pa.float64()),  # null: not known
        ("difficulty", pa.float64()),  # failures of 8; null: not known
        ("teacher_responses", pa.int32()),  # that were graded; null: none
    ]
)
LEFT_OUT = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("stage", pa.string()),
        ("rule", pa.string()),  # of recipes.settings.stage_rules.StageRules; held_out
        ("found", pa.float64()),  # what the rule looked at; null: nothing
    ]
)
_RULES = tuple(field.name for field in fields(SelectionRules))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that can be graded by, and what is known of it."""

    row: int
    id: str
    domain: str
    fact: Fact

    @property
    def problem(self) -> Problem:
        """As the rules look at it, without its texts."""
        known = {TOKENS: self.fact.tokens, DIFFICULTY: self.fact.difficulty}
        return Problem(self.id, "", "", {key: value for key, value in known.items() if value is not None})


@dataclass(frozen=True, slots=True)
class StageChoice:
    """The problems of one stage and an account of all others of its domain."""

    kept: frozenset[str]
    left_out: dict[str, tuple[str, float | None]]
    """Problem id -> (rule, what it looked at)."""
    not_applied: tuple[str, ...]
    """Rules about which nothing is known of any problem."""
    unseen_kept: int
    """Problems that a rule asked about in vain and that stay."""


def choose_stage(
    problems: Sequence[Problem], rules: StageRules, rates: dict[str, SolveRate], seed: int, stage: str
) -> StageChoice:
    """The rules of a stage on the problems of its domain; which row stands where does not matter.

    Args:
        problems: in any order, each id once.
        rates: of earlier runs, by problem id.
        seed: of the draws of ``share`` and ``at_most``, which belong to a problem and the stage.
    """
    known = _known(problems, rates)
    asked = {name: getattr(rules, name) for name in _RULES}
    not_applied = tuple(name for name, there in known.items() if asked[name] is not None and not there)
    selection = select_problems(problems, SelectionRules(**asked | dict.fromkeys(not_applied)), rates, 0)
    left_out: dict[str, tuple[str, float | None]] = {one.problem_id: (one.rule, one.found) for one in selection.dropped}
    ids = sorted(problem.id for problem in selection.kept)
    drawn = draws(ids, seed, f"select.{stage}")
    order = [ids[place] for place in np.argsort(drawn, kind="stable")]
    if rules.share is not None:
        staying = int(np.count_nonzero(drawn < np.uint64(min(int(rules.share * 2.0**64), 2**64 - 1))))
        left_out |= dict.fromkeys(order[staying:], ("share", None))
        order = order[:staying]
    if rules.at_most is not None:
        left_out |= dict.fromkeys(order[rules.at_most :], ("at_most", None))
        order = order[: rules.at_most]
    return StageChoice(frozenset(order), left_out, not_applied, selection.unseen_kept)


def select_task(
    rows: Path,
    decided: Sequence[Path],
    facts: Path | None,
    lengths: Path | None,
    parts: int,
    selection: SelectionSettings,
    seed: int,
    folder: Path,
    task: int,
) -> None:
    """The one task that chooses: ``decisions``, ``chosen`` and ``left_out.parquet``, and ``selection.json``.

    A row that no file takes is sampled out, with the rule of each stage that left it out.

    Args:
        decided: folders of the steps before, the checks of golds and suites among them.
        facts, lengths: as ``selection_facts.read_facts``.

    Raises:
        ValueError: ``selection.runs`` names what is no run.
    """
    rates = solve_rates_of([Path(run) for run in selection.runs])
    candidates = _candidates(rows, decided, read_facts(facts, lengths, range(parts)), parts)
    held_out = _held_out(candidates, selection.held_out, seed)
    by_domain = {
        domain: [one.problem for one in candidates if one.domain == domain and one.id not in held_out]
        for domain in HELD_OUT
    }
    choices = {
        stage: choose_stage(by_domain[domain], rules_of(selection, stage), rates, seed, stage)
        for stage, domain in STAGES.items()
    }
    _write(folder, candidates, held_out, choices)
    report = {
        "stages": {stage: _row_of_table(choice, rules_of(selection, stage)) for stage, choice in choices.items()},
        "held_out": {name: sum(one.id in held_out and one.domain == domain for one in candidates)
                     for domain, name in HELD_OUT.items()},
        "candidates": dict(sorted(Counter(one.domain for one in candidates).items())),
        "with_solve_rate": sum(one.id in rates for one in candidates),
        "with_teacher_tokens": sum(one.fact.tokens is not None for one in candidates),
        "with_difficulty": sum(one.fact.difficulty is not None for one in candidates),
    }  # fmt: skip
    write_text(folder / "selection.json", json.dumps(report, indent=1) + "\n")


def _known(problems: Sequence[Problem], rates: dict[str, SolveRate]) -> dict[str, bool]:
    """Rule -> whether anything is known that it could look at."""
    rate = any(problem.id in rates for problem in problems)
    tokens = rate or any(TOKENS in problem.metadata for problem in problems)
    difficulty = any(DIFFICULTY in problem.metadata for problem in problems)
    return {
        "min_solve_rate": rate,
        "max_solve_rate": rate,
        "min_response_tokens": tokens,
        "max_response_tokens": tokens,
        "max_difficulty": difficulty,
    }


def _candidates(rows: Path, decided: Sequence[Path], known: dict[str, Fact], parts: int) -> list[Candidate]:
    return [
        Candidate(
            row["row"], row["id"], row["domain"], merged(known.get(row["id"]), own_fact(json.loads(row["metadata"])))
        )
        for part in range(parts)
        for row in live_rows(rows, decided, part, ("id", "domain", "metadata"))
    ]


def _held_out(candidates: Sequence[Candidate], count: int, seed: int) -> frozenset[str]:
    found: set[str] = set()
    for domain in HELD_OUT:
        ids = sorted(one.id for one in candidates if one.domain == domain)
        order = np.argsort(draws(ids, seed, "select.held_out"), kind="stable")
        found |= {ids[place] for place in order[: min(count, len(ids) // HELD_OUT_SHARE)]}
    return frozenset(found)


def _write(
    folder: Path, candidates: Sequence[Candidate], held_out: frozenset[str], choices: dict[str, StageChoice]
) -> None:
    chosen: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    for one in candidates:
        fact = {"teacher_tokens": one.fact.tokens, "difficulty": one.fact.difficulty}
        fact["teacher_responses"] = one.fact.responses
        stages = [stage for stage, domain in STAGES.items() if domain == one.domain]
        if one.id in held_out:
            files = [HELD_OUT[one.domain]]
            reasons: dict[str, tuple[str, float | None]] = dict.fromkeys(stages, ("held_out", None))
        else:
            files = [stage for stage in stages if one.id in choices[stage].kept]
            reasons = {stage: choices[stage].left_out[one.id] for stage in stages if stage not in files}
        chosen += [{"row": one.row, "file": file, **fact} for file in files]
        left_out += [
            {"row": one.row, "id": one.id, "stage": stage, "rule": rule, "found": found}
            for stage, (rule, found) in reasons.items()
        ]
        if not files:
            told = {stage: {"rule": rule, "found": found} for stage, (rule, found) in reasons.items()}
            detail = canonical({"step": "select", "reason": "no stage takes it", "stages": told})
            decisions.append({"row": one.row, "kind": "sampled_out", "detail": detail})
    write_table(folder / "chosen.parquet", pa.Table.from_pylist(chosen, CHOSEN))
    write_table(folder / "left_out.parquet", pa.Table.from_pylist(left_out, LEFT_OUT))
    write_table(folder / "decisions.parquet", pa.Table.from_pylist(decisions, DECISIONS))


def _row_of_table(choice: StageChoice, rules: StageRules) -> dict[str, Any]:
    """One stage: its rules, how many each of them left out, how many stay. kept + the counts = its candidates."""
    counts = Counter(rule for rule, _ in choice.left_out.values())
    named = {name: value for name, value in asdict(rules).items() if value is not None}
    return {
        "kept": len(choice.kept),
        "left_out": {name: counts[name] for name in (*named, "unseen") if name in counts},
        "rules": named,
        "not_applied": list(choice.not_applied),
        "unseen_kept": choice.unseen_kept,
    }
