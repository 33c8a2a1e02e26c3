from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recipes.rollouts.ledger import Ledger, SolveRate, read_solve_rates
from tests.unit.rollouts.groups import group


def written(folder: Path) -> Ledger:
    """Two epochs of two steps on two replicas: problem a is solved by half, then by all; b by none; c by one of two."""
    ledger = Ledger(folder / "rollouts")
    ledger.write(0, 0, 0, [group("a", [1, 0], 10)])
    ledger.write(0, 0, 1, [group("b", [0, 0], 20)])
    ledger.write(1, 0, 0, [group("c", [1, 1], 30, truncated=[1])])
    ledger.write(2, 1, 0, [group("a", [1, 1], 5)])
    ledger.write(3, 1, 1, [group("b", [0, 0], 7)])
    return ledger


def test_solve_rates_by_hand(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    assert ledger.solve_rates() == {
        "a": SolveRate(correct=3, rollouts=4, response_tokens=10 + 11 + 5 + 6, truncated=0),
        "b": SolveRate(correct=0, rollouts=4, response_tokens=20 + 21 + 7 + 8, truncated=0),
        "c": SolveRate(correct=1, rollouts=2, response_tokens=30 + 31, truncated=1),  # a truncated rollout has reward 0
    }
    rate = ledger.solve_rates(epoch=1)["a"]
    assert (rate.rate, rate.mean_response_tokens, rate.solved_by_all) == (1.0, 5.5, True)
    assert ledger.solve_rates(epoch=0)["a"].rate == 0.5
    assert ledger.solve_rates(2, 2).keys() == {"a"}
    assert ledger.solve_rates(first_step=1, last_step=2).keys() == {"a", "c"}


def test_every_rollout_is_there_once(tmp_path: Path) -> None:
    rows = list(written(tmp_path).rows())
    places = [(row["epoch"], row["step"], row["problem_id"], row["sample"]) for row in rows]
    assert len(places) == len(set(places)) == 10
    assert rows[0]["text"] == "text 0" and rows[5]["truncated"] is True
    assert {row["problem_id"] for row in Ledger(tmp_path / "rollouts").rows(2, 2)} == {"a"}


def test_a_step_that_is_done_again_replaces_its_rollouts(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    ledger.write(3, 1, 1, [group("b", [1, 0], 7)])
    assert ledger.solve_rates(epoch=1)["b"].rate == 0.5
    assert len(list(ledger.rows())) == 10


def test_the_rollouts_alone_give_the_same_rates(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    counted = ledger.solve_rates_by_epoch()
    shutil.rmtree(ledger.groups)
    assert ledger.solve_rates_by_epoch() == counted


def test_the_texts_may_be_removed(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    counted = ledger.solve_rates_by_epoch()
    for path in ledger.directory.glob("step_*.jsonl"):
        path.unlink()
    assert ledger.solve_rates_by_epoch() == counted
    assert read_solve_rates([tmp_path]).keys() == {"a", "b", "c"}


def test_totals_say_what_the_rollouts_say(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    counted = ledger.solve_rates_by_epoch()
    ledger.write_totals()
    assert len(ledger.totals.read_text().splitlines()) == 5
    shutil.rmtree(ledger.groups)
    for path in ledger.directory.glob("step_*.jsonl"):
        path.unlink()
    assert ledger.solve_rates_by_epoch() == counted
    assert list(counted) == [0, 1]


def test_what_is_forgotten_is_in_no_count(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    ledger.write_totals()
    ledger.forget_from(2)
    assert ledger.solve_rates_by_epoch().keys() == {0}
    assert {row["step"] for row in ledger.rows()} == {0, 1}
    ledger.forget_from(0)
    assert ledger.solve_rates() == {}


def test_the_last_visit_counts(tmp_path: Path) -> None:
    written(tmp_path / "math2")
    later = Ledger(tmp_path / "math3" / "rollouts")
    later.write(0, 0, 0, [group("b", [1, 0])])
    rates = read_solve_rates([tmp_path / "math2", tmp_path / "math3"])
    assert {name: rate.rate for name, rate in rates.items()} == {"a": 1.0, "b": 0.5, "c": 0.5}
    assert rates["a"].rollouts == 2  # those of the second epoch alone


def test_missing_ledgers_are_named(tmp_path: Path) -> None:
    written(tmp_path / "math2")
    (tmp_path / "empty" / "rollouts").mkdir(parents=True)
    with pytest.raises(ValueError, match="2 of 3 run folders") as raised:
        read_solve_rates([tmp_path / "math2", tmp_path / "empty", tmp_path / "nowhere"])
    assert str(tmp_path / "empty") in str(raised.value) and str(tmp_path / "nowhere") in str(raised.value)
