"""A curriculum as the commands of its stages."""

from __future__ import annotations

import pytest

from recipes.settings.compose import compose
from recipes.settings.curriculum import stage_commands
from recipes.settings.errors import SettingsError
from tests.unit.settings.composing import by_key


def test_the_demo_in_order_with_the_users_words_in_every_stage() -> None:
    stages = stage_commands(["curriculum.stages=[sft,math1,math4]", "grpo.max_steps=2", "run.seed=7"])
    assert [(stage.name, stage.module) for stage in stages] == [
        ("sft", "recipes.run_sft"),
        ("math1", "recipes.run_grpo"),
        ("math4", "recipes.run_grpo"),
    ]
    assert [stage.settings.run.directory for stage in stages] == ["runs/demo/sft", "runs/demo/math1", "runs/demo/math4"]
    assert {stage.settings.data.directory for stage in stages} == {"runs/demo/data"}
    assert {stage.settings.run.seed for stage in stages} == {7}
    assert {stage.settings.grpo.max_steps for stage in stages} == {2}
    for stage in stages:
        again = compose(stage.command, [*stage.overrides, "model.restore_from=null"])
        assert again == stage.settings, "the words alone give the stage"


def test_the_papers_curriculum_on_the_papers_machine() -> None:
    words = ["curriculum=acereason_1_1", "cluster=h100", "curriculum.initial_model=q.nemo", "cluster.nodes=4"]
    stages = stage_commands(words)
    assert [stage.name for stage in stages] == ["sft", "math1", "math2", "math3", "code1", "code2", "math4"]
    assert [stage.settings.grpo.max_response_length for stage in stages[1:]] == [
        8192,
        16384,
        24576,
        24576,
        32768,
        32768,
    ]


def test_the_curriculums_folder_holds_its_stages_and_the_data() -> None:
    (stage,) = stage_commands(["curriculum.stages=[math2]", "run.directory='else \"where\"'"])
    assert stage.settings.run.directory == 'else "where"/math2'
    assert stage.settings.data.train == 'else "where"/data/math2.jsonl'


def problems_of(*words: str):
    with pytest.raises(SettingsError) as caught:
        stage_commands(words)
    return by_key(caught.value.problems)


def test_words_that_belong_to_one_stage() -> None:
    found = problems_of("stage=math1", "model.restore_from=a.nemo")
    assert found["stage"].fix == "curriculum.stages=[math1]"
    assert found["model.restore_from"].fix == "curriculum.initial_model=a.nemo"


def test_an_unknown_stage() -> None:
    found = problems_of("curriculum.stages=[sft,mth1]")
    assert found["curriculum.stages"].fix == "curriculum.stages=[sft,math1]"
    assert problems_of("curriculum.stages=[]")["curriculum.stages"].fix == "curriculum.stages=[sft,math1]"


def test_what_cannot_work_is_named_once_with_its_first_stage() -> None:
    found = problems_of("curriculum.stages=[sft,math1]", "cluster.precision=bf16", "grpo.max_response_length=4000")
    assert set(found) == {"cluster.precision (stage sft)", "grpo.max_response_length (stage math1)"}


def test_a_word_of_one_stage_goes_to_that_stage_alone_and_wins() -> None:
    words = ["math2.grpo.max_steps=9", "curriculum.stages=[sft,math1,math2]", "grpo.max_steps=4", "sft.epochs=3"]
    words += ["sft.optimizer.learning_rate=5e-4", "math2.evaluation.n=2"]
    sft, math1, math2 = stage_commands(words)
    assert [stage.settings.grpo.max_steps for stage in (math1, math2)] == [4, 9]
    assert {stage.settings.sft.epochs for stage in (sft, math1, math2)} == {3}, "sft.epochs is a key of section sft"
    assert sft.settings.optimizer.learning_rate == 5e-4 != math1.settings.optimizer.learning_rate
    assert compose("evaluate", [*math2.overrides, "engine.checkpoint=x"]).evaluation.n == 2
    assert math1.settings.evaluation.n == compose("curriculum", words).evaluation.n != 2


@pytest.mark.parametrize(
    ("word", "key", "fix"),
    [
        ("mth2.grpo.top_p=0.9", "mth2.grpo.top_p", "math2.grpo.top_p=0.9"),
        ("math2.grpo.overlong_filter=false", "math2.grpo.overlong_filter", "math2.grpo.overlong_filtering=false"),
        ("math2.overlong_filtering=false", "math2.overlong_filtering", "math2.grpo.overlong_filtering=false"),
        ("math2.grpo.max_steps=1,2", "math2.grpo.max_steps", "math2.grpo.max_steps=1"),
        ("math2.run.directory=x", "math2.run.directory", "run.directory=x, for all stages"),
        ("math2.model.restore_from=x.nemo", "math2.model.restore_from", "curriculum.initial_model=x.nemo, with"),
        ("math2.cluster=h100", "math2.cluster", "cluster=h100"),
        ("math2.curriculum.name=x", "math2.curriculum.name", "curriculum.name=x, for all stages"),
        ("code1.grpo.top_p=0.9", "code1.grpo.top_p", "leave the word out, or curriculum.stages=[sft,math2,code1]"),
        ("grpo.overlong.filtering=true", "grpo.overlong.filtering", ""),
        ("math2.grpo.max_steps=many", "math2.grpo.max_steps", "math2.grpo.max_steps="),
        ("math2.grpo.top_p=2", "math2.grpo.top_p", "math2.grpo.top_p="),
    ],
)
def test_wrong_words_of_one_stage(word: str, key: str, fix: str) -> None:
    found = problems_of("curriculum.stages=[sft,math2]", word)
    assert set(found) == {key}
    assert found[key].fix.startswith(fix)
