"""Epoch-wise filtering: from the second epoch on, without what every rollout of the epoch before solved."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.order import PromptOrder
from recipes.rollouts.ledger import Ledger
from recipes.training.epochs import EpochPlanner
from tests.unit.rollouts.groups import group
from tests.unit.training.one_process import OneRank, prompt

SIZE = 4


def planner(folder: Path, count: int = 10, **options) -> EpochPlanner:
    order = PromptOrder([prompt(index) for index in range(count)], 3, SIZE)
    options = {"drop_solved": True, "length_sorted": False, "patience_seconds": 0.0} | options
    return EpochPlanner(order, Ledger(folder), OneRank(), **options)


def train(epochs: EpochPlanner, step: int, solved: set[str], folder: Path, replicas: int = 1) -> list[str]:
    """One step: every rollout of ``solved`` is right, of the others one of two."""
    visited = [p.problem.id for p in epochs.batch(step)]
    number = epochs.at(step).number  # type: ignore[union-attr]
    for replica in range(replicas):
        groups = [group(name, [1, int(name in solved)], 5 + int(name[1:])) for name in visited[replica::replicas]]
        Ledger(folder).write(step, number, replica, groups)
    return visited


def test_solved_problems_leave_for_good(tmp_path: Path) -> None:
    epochs = planner(tmp_path)
    first = [name for step in range(2) for name in train(epochs, step, {"p1", "p2"}, tmp_path)]
    left_out = {f"p{index}" for index in range(10)} - set(first)
    assert len(left_out) == 2
    second = epochs.at(2)
    assert second is not None and second.first_step == 2
    names = {f"p{index}" for index in second.participants}
    assert names == {f"p{index}" for index in range(10)} - ({"p1", "p2"} & set(first))
    assert left_out <= names  # what the first epoch did not visit stays
    # In the second epoch p1 and p2 are not sampled; nothing says that they would be wrong now.
    for step in (2, 3) if second.end_step == 4 else (2,):
        train(epochs, step, {"p3"}, tmp_path)
    third = epochs.at(second.end_step)
    assert third is not None
    visited = {f"p{index}" for batch in second.batches for index in batch}
    assert {f"p{index}" for index in third.participants} == names - ({"p3"} & visited)


def test_one_wrong_rollout_keeps_a_problem(tmp_path: Path) -> None:
    epochs = planner(tmp_path)
    for step in range(2):
        train(epochs, step, set(), tmp_path)
    assert epochs.at(2).participants == tuple(range(10))  # type: ignore[union-attr]


def test_nothing_left_ends_the_stage(tmp_path: Path) -> None:
    epochs = planner(tmp_path, count=8)
    everything = {f"p{index}" for index in range(8)}
    for step in range(2):
        train(epochs, step, everything - {"p1", "p2", "p3"}, tmp_path)
    assert epochs.at(1) is not None
    assert epochs.at(2) is None  # three are left, a batch holds four
    assert epochs.at(2) is None
    with pytest.raises(ValueError, match="every problem is solved"):
        epochs.batch(2)


def test_without_filtering_the_ledger_is_not_read(tmp_path: Path) -> None:
    epochs = planner(tmp_path, drop_solved=False)
    assert epochs.at(7).number == 3  # type: ignore[union-attr]
    assert [epoch.first_step for epoch in epochs.epochs] == [0, 2, 4, 6]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sets(st.integers(0, 11)), min_size=6, max_size=6), st.integers(1, 6), st.integers(1, 4))
def test_a_resumed_run_visits_the_same_problems(
    tmp_path_factory: pytest.TempPathFactory, solved: list[set[int]], killed_at: int, replicas: int
) -> None:
    """Whatever step the checkpoint has, and with rows of later steps of the killed attempt still there."""
    folder = tmp_path_factory.mktemp("ledger")
    whole = planner(folder, 12, length_sorted=True)
    visited, step = [], 0
    position = whole.position(0)
    for step in range(6):
        if step == killed_at:
            position = whole.position(step)
        if whole.at(step) is None:
            break
        names = {f"p{index}" for index in solved[step]}
        visited.append(train(whole, step, names, folder, replicas))
    resumed = planner(folder, 12, length_sorted=True)
    if position.step > 0:
        resumed.resume(position)
    for step in range(position.step, len(visited)):
        assert [p.problem.id for p in resumed.batch(step)] == visited[step]
    if len(visited) < 6:
        assert resumed.at(len(visited)) is None


def test_lengths_come_from_the_epoch_before_and_from_earlier_runs(tmp_path: Path) -> None:
    earlier = {f"p{index}": 100.0 - index for index in range(8)} | {"unknown": 5.0}
    epochs = planner(tmp_path, 8, drop_solved=False, length_sorted=True, lengths=earlier)
    assert sorted(map(sorted, epochs.epochs[0].batches)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    for step in range(2):
        train(epochs, step, set(), tmp_path)
    # Lengths are 5 + index now, in both samples but for one token.
    assert sorted(map(sorted, epochs.at(2).batches)) == [[0, 1, 2, 3], [4, 5, 6, 7]]  # type: ignore[union-attr]
    assert epochs._lengths[0] < epochs._lengths[7]


def test_a_ledger_that_was_changed_is_refused(tmp_path: Path) -> None:
    epochs = planner(tmp_path)
    for step in range(2):
        train(epochs, step, {"p1"}, tmp_path)
    train(epochs, 2, set(), tmp_path)
    saved = epochs.position(3)
    for step in range(2):
        number = planner(tmp_path)
        train(number, step, {"p5", "p6", "p7"}, tmp_path)
    with pytest.raises(ValueError, match="the batches of the first 3 steps are not those of the checkpoint"):
        planner(tmp_path).resume(saved)


def test_missing_rollouts_are_named(tmp_path: Path) -> None:
    epochs = planner(tmp_path)
    train(epochs, 0, set(), tmp_path)
    with pytest.raises(ValueError, match=r"rollouts of 4 of the 8 problems that epoch 0 \(steps 0 to 1\)"):
        epochs.at(2)
