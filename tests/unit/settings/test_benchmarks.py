"""Several benchmarks in one evaluation: ``benchmark=a,b``."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.settings.benchmarks import benchmark_problems, benchmarks
from recipes.settings.checks import file_problems, value_problems
from recipes.settings.compose import compose
from recipes.settings.errors import SettingsError
from recipes.settings.overrides import literal

CHECKPOINT = "engine.checkpoint=model.nemo"


@pytest.mark.parametrize("word", ["benchmark=tiny_math,tiny_code", "benchmark='tiny_math, tiny_code'"])
def test_commas_choose_several(word: str) -> None:
    first, second = benchmarks(compose("evaluate", [word.replace("'", ""), CHECKPOINT, "data.directory=there"]))
    assert (first.name, first.grader, first.path) == ("tiny_math", "math", "there/heldout.jsonl")
    assert (second.name, second.grader, second.path) == ("tiny_code", "code", "there/heldout_code.jsonl")
    assert "boxed" in first.instruction and "```python" in second.instruction


def test_each_is_what_it_would_be_alone() -> None:
    both = benchmarks(compose("evaluate", ["benchmark=tiny_code,tiny_math", CHECKPOINT]))
    for found in both:
        alone = compose("evaluate", [f"benchmark={found.name}", CHECKPOINT]).benchmark
        assert replace(found, others=[]) == alone


def test_a_curriculum_names_its_own_and_a_word_replaces_them() -> None:
    def names(*words: str) -> list[str]:
        return [benchmark.name for benchmark in benchmarks(compose("curriculum", list(words)))]

    assert names("curriculum=demo") == ["tiny_math", "tiny_code"]
    assert names("curriculum=demo", "benchmark=tiny_code") == ["tiny_code"]
    assert names("benchmark=tiny_code", "curriculum=demo") == ["tiny_code"]
    assert [b.name for b in benchmarks(compose("evaluate", [CHECKPOINT]))] == ["tiny_math"]


@pytest.mark.parametrize(
    ("word", "found", "fix"),
    [
        ("benchmark=tiny_math,tiny_cod", "no such option", "benchmark=tiny_math,tiny_code"),
        ("benchmark=tiny_code,tiny_code", "tiny_code,tiny_code", "benchmark=tiny_code"),
        ("stage=math1,math2", "stage=math1,math2", "stage=math1"),
        ("benchmark=range(1,3)", "no such option", "benchmark=aime24"),
    ],
)
def test_what_cannot_be_chosen(word: str, found: str, fix: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(found)) as raised:
        compose("evaluate", [word, CHECKPOINT])
    assert f"fix:      {fix}" in str(raised.value)


def test_names_beside_the_first_are_checked(tmp_path: Path) -> None:
    words = ["benchmark.others=[tiny_cod,tiny_math]", CHECKPOINT, f"data.directory={tmp_path}"]
    settings = compose("evaluate", words)
    unknown, twice = benchmark_problems(settings)
    assert (unknown.found, unknown.fix) == ("tiny_cod", "benchmark.others=[tiny_code,tiny_math]")
    assert (twice.found, twice.fix) == ("tiny_math", "benchmark.others=[tiny_cod]")
    assert [problem.key for problem in file_problems(settings, "evaluate")].count("benchmark.path") == 1


def test_every_file_is_looked_for(tmp_path: object) -> None:
    settings = compose("evaluate", ["benchmark=tiny_math,tiny_code", CHECKPOINT, f"data.directory={tmp_path}"])
    missing = [problem.found for problem in file_problems(settings, "evaluate") if problem.key == "benchmark.path"]
    assert missing == [f"{tmp_path}/{name}.jsonl: nothing there" for name in ("heldout", "heldout_code")]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("a/b", "a_b"),
        ("", "mine"),
        ("..", "mine"),
        (".hidden", "hidden"),
        ("a+b(c)", "a_b_c"),
        ("scores.json", "scores.json_1"),
        ("x" * 101, "x" * 100),
        (" my, set", """'"my_ set"'"""),
    ],
)
def test_a_name_that_is_no_folder_of_its_own(name: str, fix: str) -> None:
    settings = compose("evaluate", [literal("benchmark.name", name), CHECKPOINT])
    (problem,) = benchmark_problems(settings)
    assert problem.key == "benchmark.name"
    key, _, value = problem.fix.rpartition("benchmark.name=")
    assert key + value == fix
    word = shlex.split(problem.fix)[0]
    assert list(benchmark_problems(compose("evaluate", [word, CHECKPOINT]))) == []
    assert "benchmark.name" in [found.key for found in value_problems(settings, "evaluate")]


@pytest.mark.parametrize("name", ["aime24", "AIME 2024-1.b", "größe_2", "-"])
def test_names_of_ones_own(name: str) -> None:
    settings = compose("evaluate", [literal("benchmark.name", name), CHECKPOINT])
    assert list(benchmark_problems(settings)) == []
