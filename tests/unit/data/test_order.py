"""Prompt order as a pure function of seed, epoch and participants."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.order import Epoch, OrderPosition, PromptOrder, batches_digest, epoch_permutation, plan_epoch


@settings(deadline=None)
@given(st.sets(st.integers(0, 99), min_size=1, max_size=60), st.integers(0, 5), st.integers(0, 1000), st.data())
def test_an_epoch_never_repeats_a_prompt_and_batches_are_full(
    participants: set[int], number: int, seed: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(participants)))
    lengths = data.draw(st.none() | st.dictionaries(st.integers(0, 99), st.floats(1, 1e4)))
    epoch = plan_epoch(number, 7, sorted(participants), size, seed, lengths)
    visited = [index for batch in epoch.batches for index in batch]
    assert len(visited) == len(set(visited)) == len(epoch.batches) * size
    assert set(visited) <= participants == set(epoch.participants)
    assert len(participants) - len(visited) < size
    assert epoch == plan_epoch(number, 7, sorted(participants, reverse=True), size, seed, lengths)


@settings(deadline=None)
@given(st.integers(4, 60), st.integers(0, 1000), st.data())
def test_batches_of_like_length_do_not_overlap(count: int, seed: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, count))
    lengths = {index: float(data.draw(st.integers(1, 500))) for index in range(count)}
    epoch = plan_epoch(0, 0, range(count), size, seed, lengths)
    spans = sorted((min(lengths[i] for i in batch), max(lengths[i] for i in batch)) for batch in epoch.batches)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    plain = plan_epoch(0, 0, range(count), size, seed)
    same = [sorted(index for batch in e.batches for index in batch) for e in (epoch, plain)]
    assert same[0] == same[1]  # sorting changes who goes together, not who takes part


def test_batches_of_like_length_come_in_random_order() -> None:
    lengths = {index: float(index) for index in range(40)}
    firsts = [min(batch) for batch in plan_epoch(0, 0, range(40), 4, 1, lengths).batches]
    assert sorted(firsts) == list(range(0, 40, 4))
    assert firsts != sorted(firsts)
    assert firsts != [min(batch) for batch in plan_epoch(1, 0, range(40), 4, 1, lengths).batches]


def test_problems_without_a_length_count_as_average() -> None:
    lengths = {0: 10.0, 1: 20.0, 4: 80.0, 5: 90.0}
    batches = plan_epoch(0, 0, range(6), 2, 3, lengths).batches
    assert sorted(map(sorted, batches)) == [[0, 1], [2, 3], [4, 5]]


def test_steps_of_an_epoch() -> None:
    epoch = plan_epoch(2, 10, range(9), 4, 0)
    assert (epoch.first_step, epoch.end_step) == (10, 12)
    assert epoch.batch(11) == epoch.batches[1]
    for step in (9, 12):
        with pytest.raises(ValueError, match=f"step {step} is not in epoch 2"):
            epoch.batch(step)


def test_epochs_seeds_and_purposes_differ() -> None:
    orders = {epoch_permutation(100, seed, epoch) for seed in range(5) for epoch in range(5)}
    assert len(orders | {epoch_permutation(100, 0, 0, "calibration")}) == 26


def test_another_process_gives_the_same_order() -> None:
    """No dependence on hash randomisation."""
    code = "from recipes.data.order import epoch_permutation as p; print(p(12, 3, 1))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(epoch_permutation(12, 3, 1))


def test_left_over_problems_come_back_in_other_epochs() -> None:
    order = PromptOrder(range(10), 0, 4)
    epochs = [order.plan(number, 2 * number, range(10)) for number in range(15)]
    assert {
        index for epoch in epochs for step in range(2) for index in order.batch(epoch, epoch.first_step + step)
    } == {*range(10)}


def test_the_digest_is_of_the_epochs_so_far() -> None:
    first, second = (Epoch(number, 2 * number, (0, 1), ((0,), (1,))) for number in (0, 1))
    other = Epoch(1, 2, (0, 1), ((1,), (0,)))
    assert batches_digest([first, second], 2) == batches_digest([first], 2) == batches_digest([first, other], 1)
    assert batches_digest([first, second], 3) != batches_digest([first, other], 3)


def test_resume() -> None:
    order = PromptOrder(range(30), 5, 4)
    epochs = [order.plan(0, 0, range(30))]
    saved = order.position(epochs, 5)
    restored = OrderPosition(**saved.as_dict())
    assert restored == saved
    order.require_same(restored)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (PromptOrder(range(30), 6, 4), "seed was 5, is 6"),
        (PromptOrder(range(31), 5, 4), "problems was 30, is 31"),
        (PromptOrder(range(30), 5, 3), "prompts_per_step was 4, is 3"),
    ],
)
def test_resume_refuses_another_order(order: PromptOrder[int], named: str) -> None:
    before = PromptOrder(range(30), 5, 4)
    with pytest.raises(ValueError, match=named):
        order.require_same(before.position([before.plan(0, 0, range(30))], 5))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no problem"):
        PromptOrder([], 0, 1)
    with pytest.raises(ValueError, match="prompts_per_step is 5 with 4 problems"):
        PromptOrder(range(4), 0, 5)
