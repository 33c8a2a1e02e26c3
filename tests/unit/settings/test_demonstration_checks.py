"""SFT's settings against the number of demonstrations: what is refused, and that what is proposed is not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from recipes.settings.checks import value_problems
from recipes.settings.demonstration_checks import (
    Fitting,
    demonstration_problems,
    enough_to_measure,
    enough_to_train,
    left_out,
    updates,
)
from recipes.settings.schema import Settings
from tests.unit.settings.composing import by_key, changed, composed

SMALL = {"sft.global_batch_size": 8, "sft.micro_batch_size": 4, "sft.epochs": 2, "sft.max_steps": -1}
"""40 demonstrations make ten updates of it."""


def small(**values: Any) -> Settings:
    keys = {name.replace("__", "."): value for name, value in values.items()}
    return changed(composed("sft"), {**SMALL, "cluster.devices_per_node": 1, "optimizer.warmup_steps": 0, **keys})


def found(settings: Settings, train: int, validation: int = 1000) -> dict[str, Any]:
    return by_key(demonstration_problems(settings, Fitting(train), Fitting(validation)))


@pytest.mark.parametrize(("max_steps", "count"), [(-1, 10), (4, 4), (400, 10)])
def test_a_warm_up_ends_before_the_training_does(max_steps: int, count: int) -> None:
    settings = small(sft__max_steps=max_steps)
    assert updates(settings.sft, 40) == count
    for warmup in (0, count - 1, count, 3000):
        settings.optimizer.warmup_steps = warmup
        problems = found(settings, 47)  # an epoch leaves out seven
        assert set(problems) == ({"optimizer.warmup_steps"} if warmup >= count else set())
    problem = problems["optimizer.warmup_steps"]
    assert f"3,000 steps of {count} updates in all (47 demonstrations" in problem.found
    assert problem.fix == "optimizer.warmup_steps=0"


def test_three_percent_are_proposed() -> None:
    settings = small(sft__epochs=40, optimizer__warmup_steps=200)
    assert found(settings, 40)["optimizer.warmup_steps"].fix == "optimizer.warmup_steps=6"


def test_a_number_that_is_not_known_is_said_to_be_a_bound() -> None:
    settings = small(optimizer__warmup_steps=3000)
    (problem,) = demonstration_problems(settings, Fitting(40, at_most=True), None)
    assert "of at most 10 updates in all (at most 40 demonstrations" in problem.found
    assert demonstration_problems(settings, None, None) == []


def test_a_held_out_batch_is_filled() -> None:
    settings = small(cluster__devices_per_node=2)
    assert enough_to_measure(settings) == 8
    assert found(settings, 40, 8) == {}
    problem = found(settings, 40, 7)["data.validation"]
    assert problem.found.startswith("7 demonstrations that fit")
    assert "8 (sft.micro_batch_size=4 x 2 data-parallel)" in problem.expected
    assert problem.fix == "sft.micro_batch_size=2, or data.validation=FILE of at least 8 that fit"
    assert found(settings, 40, 1)["data.validation"].fix == "data.validation=FILE of at least 8 that fit"


def test_held_out_demonstrations_that_are_left_out_are_counted() -> None:
    settings = small(cluster__devices_per_node=2)
    assert left_out(settings, 16) is None
    batches = "which come in batches of 8 (sft.micro_batch_size=4 x 2 data-parallel)"
    assert left_out(settings, 17) == f"held-out loss: 1 is left out of 17 demonstrations, {batches}"
    assert left_out(settings, 23) == f"held-out loss: the last 7 are left out of 23 demonstrations, {batches}"


def test_whatever_is_proposed_is_accepted() -> None:
    """Each fix by itself where it is the only problem, and all of them together."""
    sizes = itertools.product(
        (1, 2, 3), (1, 2, 4), (1, 6), (-1, 3), (0, 2, 50), (1, 2, 5, 9, 20, 40, 500), (1, 2, 5, 9, 30)
    )
    tried = 0
    for copies, micro, epochs, max_steps, warmup, train, validation in sizes:
        batch = 4 * copies * micro
        settings = small(sft__global_batch_size=batch, sft__micro_batch_size=micro, sft__epochs=epochs)
        settings.cluster.devices_per_node = copies
        settings.sft.max_steps, settings.optimizer.warmup_steps = max_steps, warmup
        if value_problems(settings, "sft"):
            continue
        problems = found(settings, train, validation)
        assert ("optimizer.warmup_steps" in problems or "sft.global_batch_size" in problems) == (
            train < enough_to_train(settings)
        )
        fixes = [problem.fix.partition(", or ")[0] for problem in problems.values()]
        if not fixes or any("data." in fix for fix in fixes):
            continue
        tried += 1
        words = {key: int(value) for fix in fixes for key, value in (word.split("=") for word in fix.split())}
        assert len(words) == len({word for fix in fixes for word in fix.split()}), "no two fixes contradict each other"
        mended = changed(settings, words)
        assert value_problems(mended, "sft") == [] and found(mended, train, validation) == {}, fixes
    assert tried > 100
