"""Prompt order as a pure function of seed and step."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.order import OrderPosition, PromptOrder, epoch_permutation


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 5), st.integers(0, 1000), st.data())
def test_an_epoch_never_repeats_a_prompt_and_batches_are_full(
    count: int, epoch: int, seed: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, count))
    order = PromptOrder(range(count), seed)
    steps = order.steps_per_epoch(size)
    visited = [problem for step in range(epoch * steps, (epoch + 1) * steps) for problem in order.batch(step, size)]
    assert len(visited) == len(set(visited)) == steps * size
    assert count - len(visited) < size
    assert {order.epoch(step, size) for step in range(epoch * steps, (epoch + 1) * steps)} == {epoch}


def test_batches_depend_on_the_step_alone() -> None:
    forward = [PromptOrder(range(50), 7).batch(step, 8) for step in range(20)]
    fresh = PromptOrder(range(50), 7)
    assert [fresh.batch(step, 8) for step in reversed(range(20))] == forward[::-1]


def test_epochs_and_seeds_differ() -> None:
    assert len({epoch_permutation(100, seed, epoch) for seed in range(5) for epoch in range(5)}) == 25


def test_another_process_gives_the_same_order() -> None:
    """No dependence on hash randomisation."""
    code = "from recipes.data.order import epoch_permutation as p; print(p(12, 3, 1))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(epoch_permutation(12, 3, 1))


def test_left_over_problems_come_back_in_other_epochs() -> None:
    order = PromptOrder(range(10), 0)
    assert {problem for step in range(30) for problem in order.batch(step, 4)} == set(range(10))


def test_resume() -> None:
    order = PromptOrder(range(30), 5)
    saved = order.position(7, 4)
    restored = OrderPosition(**saved.as_dict())
    assert restored == saved
    assert PromptOrder(range(30), 5).resume(restored, 4) == 7


@pytest.mark.parametrize(
    ("order", "size", "named"),
    [
        (PromptOrder(range(30), 6), 4, "seed was 5, is 6"),
        (PromptOrder(range(31), 5), 4, "problems was 30, is 31"),
        (PromptOrder(range(30), 5), 3, "prompts_per_step was 4, is 3"),
    ],
)
def test_resume_refuses_another_order(order: PromptOrder[int], size: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        order.resume(PromptOrder(range(30), 5).position(7, 4), size)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no problem"):
        PromptOrder([], 0)
    with pytest.raises(ValueError, match="prompts_per_step is 5 with 4 problems"):
        PromptOrder(range(4), 0).batch(0, 5)
    with pytest.raises(ValueError, match="step is -1"):
        PromptOrder(range(4), 0).batch(-1, 2)
