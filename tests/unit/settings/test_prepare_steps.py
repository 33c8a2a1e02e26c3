"""The steps of ``recipes.prepare_data``: whatever is proposed for steps that cannot go together is accepted."""

from __future__ import annotations

import copy
from itertools import combinations

import pytest

from recipes.settings.compose import compose
from recipes.settings.errors import SettingsProblem
from recipes.settings.prepare_checks import STEPS, prepare_problems

SETTINGS = compose("prepare", ["data.inputs=[a.jsonl]", "data.against=[b.jsonl]", "output=out"])


def problems(*steps: str) -> list[SettingsProblem]:
    settings = copy.deepcopy(SETTINGS)
    settings.steps = list(steps)
    return [problem for problem in prepare_problems(settings) if problem.key == "steps"]


def proposed(problem: SettingsProblem) -> list[str]:
    return problem.fix.partition("[")[2].partition("]")[0].split(",")


@pytest.mark.parametrize("count", range(1, len(STEPS) + 1))
def test_every_fix_is_accepted(count: int) -> None:
    refused = 0
    for steps in combinations(STEPS, count):
        for problem in problems(*steps):
            refused += 1
            assert problems(*proposed(problem)) == [], (steps, problem)
    assert refused > 0


def test_all_that_is_needed_at_once() -> None:
    (problem,) = problems("deduplicate", "sft")
    assert proposed(problem) == ["deduplicate", "keep", "blend", "sft"]


@pytest.mark.parametrize("steps", [("blendd",), ("sft", "sft"), ("deduplicat", "sft"), ("nothing_like_it",)])
def test_misspelt_and_repeated_ones_too(steps: tuple[str, ...]) -> None:
    found = problems(*steps)
    assert found
    for problem in found:
        assert problems(*proposed(problem)) == [], problem
