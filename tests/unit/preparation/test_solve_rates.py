from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.data.jsonl import write_jsonl
from recipes.preparation.solve_rates import run_states, solve_rates_of
from recipes.rollouts.ledger import Ledger, SolveRate
from tests.unit.rollouts.groups import group


def evaluation(folder: Path, samples: dict[str, list[tuple[str | None, bool, int | None]]]) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "problem_id": problem,
            "sample": index,
            "verdict": verdict,
            "truncated": truncated,
            "tokens": tokens,
            "text": "",
        }
        for problem, some in samples.items()
        for index, (verdict, truncated, tokens) in enumerate(some)
    ]
    write_jsonl(folder / "samples.jsonl", rows)
    return folder


def test_rates_of_an_evaluation(tmp_path: Path) -> None:
    samples = {"p": [("correct", False, 10), ("wrong", False, 20), ("correct", True, 30)], "q": [("pass", False, None)]}
    assert solve_rates_of([evaluation(tmp_path, samples)]) == {"p": SolveRate(1, 3, 60, 1), "q": SolveRate(1, 1, 0, 0)}


def test_the_last_run_that_has_a_problem_counts(tmp_path: Path) -> None:
    Ledger(tmp_path / "run" / "rollouts").write(0, 0, 0, [group("p", [1, 1, 0, 0]), group("r", [0, 0])])
    other = evaluation(tmp_path / "eval", {"p": [("correct", False, 5)]})
    assert solve_rates_of([tmp_path / "run", other])["p"].rate == 1.0
    assert solve_rates_of([other, tmp_path / "run"])["p"].rate == 0.5
    assert solve_rates_of([tmp_path / "run", other])["r"].rate == 0.0
    assert solve_rates_of([]) == {}


def test_folders_that_are_no_runs_are_all_named(tmp_path: Path) -> None:
    ungraded = evaluation(tmp_path / "ungraded" / "b", {"p": [(None, False, 5)]})
    with pytest.raises(
        ValueError, match=r"(?s)one: neither rollouts.*two: neither.*b: samples\.jsonl:1: no verdict"
    ) as error:
        solve_rates_of([tmp_path / "one", tmp_path / "two", ungraded])
    assert json.dumps(str(tmp_path / "ungraded"))[1:-1] in str(error.value)


def test_a_run_that_has_gone_on_is_in_another_state(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "run" / "rollouts")
    ledger.write(0, 0, 0, [group("p", [1, 0])])
    before = run_states([str(tmp_path / "run"), str(tmp_path / "none")])
    assert run_states([str(tmp_path / "run"), str(tmp_path / "none")]) == before
    ledger.write(1, 0, 0, [group("q", [1, 0])])
    after = run_states([str(tmp_path / "run"), str(tmp_path / "none")])
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)
