"""Every word of a command line is sound, or its problem proposes the word that was meant."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from recipes.settings.errors import SettingsProblem
from recipes.settings.overrides import group_options, literal, nearest, sort_overrides
from recipes.settings.schema import Settings
from recipes.settings.typed import CONF

OPTIONS = group_options(CONF)


def rejected(override: str) -> SettingsProblem:
    accepted, (problem,) = sort_overrides([override], Settings, OPTIONS)
    assert accepted == []
    return problem


def test_sound_words_pass_in_their_order_and_the_others_are_all_reported() -> None:
    words = ["stage=math2", "grpo.temprature=1", "grpo.top_p=0.9", "stage=mth2", "run.name=null", "~run.name"]
    accepted, problems = sort_overrides(words, Settings, OPTIONS)
    assert accepted == ["stage=math2", "grpo.top_p=0.9", "run.name=null"]
    assert [problem.key for problem in problems] == ["grpo.temprature", "stage", "run.name"]


def test_a_right_last_part_beats_a_near_spelling() -> None:
    keys = ["grpo.top_p", "evaluation.top_p", "grpo.temperature", "sft.epochs"]
    assert nearest("evaluate.top_p", keys) == ["evaluation.top_p", "grpo.top_p"]
    assert nearest("grpo.temperatur", keys)[0] == "grpo.temperature"
    assert nearest("epochs", keys) == ["sft.epochs"]
    assert nearest("zzz", keys) == []


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("grpo.temprature=0.85", "grpo.temperature=0.85"),
        ("grp.temperature=0.85", "grpo.temperature=0.85"),
        ("temperature=0.85", "grpo.temperature=0.85"),
        ("sft.learning_rate=1e-5", "optimizer.learning_rate=1e-5"),
        ("model.tensor_parallel_size=2", "model.tensor_model_parallel_size=2"),
        ("grpo.temperature.value=1", "grpo.temperature=1"),
        ("clustr=cpu", "cluster=cpu"),
        ("stage=mth2", "stage=math2"),
        ("model=smollm2", "model=smollm2_135m"),
        ("scale=megatron/tiny/mth3", "scale=megatron/tiny/math3"),
        ("+grpo.temperature=1", "grpo.temperature=1"),
        ("++grpo.temprature=1", "grpo.temperature=1"),
        ("grpo.top_p=0.9,0.8", "grpo.top_p=0.9"),
        ("optimizer.betas=0.9,0.8", "optimizer.betas=[0.9,0.8]"),
        ("engine.name=hf", "engine=hf"),
    ],
)
def test_the_nearest_right_word_is_the_fix(override: str, fix: str) -> None:
    assert rejected(override).fix == fix
    assert sort_overrides([fix], Settings, OPTIONS) == ([fix], [])


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("model.restore_from=step=10.nemo", "model.restore_from", "step=10.nemo"),
        ("model.restore_from=~/model.nemo", "model.restore_from", "~/model.nemo"),
        (r"data.instruction=\boxed{}", "data.instruction", r"\boxed{}"),
        ('data.train=a="b".jsonl', "data.train", 'a="b".jsonl'),
        ("data.train=a,b.jsonl", "data.train", "a,b.jsonl"),
    ],
)
def test_a_value_that_hydra_cannot_read_is_quoted_for_the_shell(override: str, key: str, value: str) -> None:
    problem = rejected(override)
    assert problem.key == key
    (word,) = shlex.split(problem.fix.removeprefix("quoted: "))
    read = OverridesParser.create().parse_override(word)
    assert (read.key_or_group, read.value()) == (key, value)


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("stage=null", "stage", "math1"),
        ("stage=math1,math2", "stage", "math1"),
        ("~stage", "stage", "math1"),
        ("grpo=3", "grpo", "grpo.max_steps"),
        ("grpo={temperature:1}", "grpo", "grpo.max_steps"),
        ("~run.name", "run.name", "cannot be removed"),
        ("grpo.temperature", "grpo.temperature", "KEY=VALUE"),
        ("model@elsewhere=tiny", "model@elsewhere", "one of"),
        ("hydra.run.dir=x", "hydra.run.dir", "one of"),
        ("zzz=1", "zzz", "grpo.*"),
        ("--dryrun", "--dryrun", "--dry-run"),
    ],
)
def test_words_that_are_no_override(override: str, key: str, expected: str) -> None:
    problem = rejected(override)
    assert problem.key == key
    assert expected in f"{problem.expected} {problem.fix}"


@pytest.mark.parametrize("value", ["a b", 'say "x"', "it's", "back\\slash", 'both\\"', "end\\", "a=b,[c]{d}", "über"])
def test_a_literal_word_has_its_value_back(value: str) -> None:
    override = OverridesParser.create().parse_override(literal("run.name", value))
    assert (override.key_or_group, override.value()) == ("run.name", value)
