"""How long responses will be, by what the ledgers say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from recipes.rollouts.expected_lengths import ExpectedLengths
from recipes.rollouts.ledger import Ledger
from tests.unit.rollouts.groups import group


def prompt(name: str, tokens: tuple[int, ...]) -> SimpleNamespace:
    return SimpleNamespace(problem=SimpleNamespace(id=name), tokens=tokens)


PROMPTS = [prompt("a", (1,)), prompt("b", (2, 2)), prompt("c", (3,))]


def test_earlier_runs_then_this_runs_steps_as_they_come(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    expected = ExpectedLengths(PROMPTS, {"a": 100.0, "b": 50.0}, ledger)
    assert expected([[1], [2, 2], [3], [9]]) == [100.0, 50.0, None, None]
    ledger.write(0, 0, 0, [_group("b", 7), _group("c", 3)])
    assert expected([[1], [2, 2], [3]]) == [100.0, 7.0, 3.0]
    ledger.write(1, 1, 0, [_group("b", 5)])
    assert expected([[2, 2], [3]]) == [5.0, 3.0]


def test_without_a_ledger() -> None:
    assert ExpectedLengths(PROMPTS, {"c": 2.0})([[3], [1]]) == [2.0, None]


def _group(name: str, length: int):
    found = group(name, [1, 0])
    rollouts = tuple(replace(rollout, response_tokens=tuple(range(length))) for rollout in found.rollouts)
    return replace(found, rollouts=rollouts)
