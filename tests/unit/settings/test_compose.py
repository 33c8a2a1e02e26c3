"""Composition: overrides arrive, groups follow one another, and every structural mistake is named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from recipes.settings.checks import value_problems
from recipes.settings.compose import compose, compose_as_far, deployment_words, flatten, to_yaml
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.fields import fields_of
from recipes.settings.schema import Settings
from tests.unit.settings.composing import PRETRAINED, by_key, composed


def problems_of(*overrides: str, command="grpo") -> dict[str, SettingsProblem]:
    with pytest.raises(SettingsError) as caught:
        compose(command, overrides)
    return by_key(caught.value.problems)


def test_the_command_of_the_readme() -> None:
    settings = compose(
        "grpo", ["stage=math2", "cluster=cpu", "model.tensor_model_parallel_size=2", "grpo.temperature=0.85"]
    )
    assert isinstance(settings, Settings)
    assert settings.stage.name == "math2"
    assert settings.model.name == "tiny"
    assert settings.grpo.temperature == 0.85
    assert settings.cluster.devices_per_node == 2


def test_real_dataclasses_with_the_types_of_the_schema() -> None:
    settings = composed("grpo", "grpo.temperature=1", "cluster.precision=32", "optimizer.betas=[0, 1]")
    assert (settings.grpo.temperature, type(settings.grpo.temperature)) == (1.0, float)
    assert settings.cluster.precision == "32"
    assert settings.optimizer.betas == [0.0, 1.0]
    assert type(settings.optimizer.betas) is list


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("data.train=/data/a b/rows.jsonl", "data.train", "/data/a b/rows.jsonl"),
        ("model.restore_from=null", "model.restore_from", None),
        ('model.restore_from="step=10.nemo"', "model.restore_from", "step=10.nemo"),
        (r"data.instruction='In \boxed{}, please.'", "data.instruction", r"In \boxed{}, please."),
        ("optimizer.learning_rate=1e-6", "optimizer.learning_rate", 1e-6),
        ("grpo.overlong_filtering=False", "grpo.overlong_filtering", False),
        ("curriculum.stages=[math1,math2]", "curriculum.stages", ["math1", "math2"]),
        ("data.train='${data.directory}/mine.jsonl'", "data.train", "runs/demo/data/mine.jsonl"),
        ("logging.wandb_project=42", "logging.wandb_project", "42"),
    ],
)
def test_hydra_grammar(override: str, key: str, value: object) -> None:
    assert flatten(compose("grpo", [override]))[key] == value


def test_the_last_override_wins() -> None:
    settings = compose("grpo", ["stage=math1", "grpo.top_p=0.5", "stage=math4", "grpo.top_p=0.6"])
    assert (settings.stage.name, settings.grpo.top_p) == ("math4", 0.6)


def test_model_and_scale_follow_the_cluster_and_the_stage() -> None:
    assert composed("grpo").model.name == "tiny"
    assert composed("grpo", "cluster=h100", PRETRAINED).model.name == "qwen2_5_math_7b"
    assert composed("grpo", "cluster=h100", "model=tiny").model.name == "tiny"
    chosen = composed("grpo", "model=smollm2_135m", "cluster=cpu", "stage=math2", PRETRAINED)
    assert (chosen.model.name, chosen.cluster.name) == ("smollm2_135m", "cpu")
    # The paper's 16,384 tokens: one 64th for SmolLM2, a budget of its own for the tiny model.
    assert chosen.grpo.max_response_length == 256
    assert composed("grpo", "stage=math2").grpo.max_response_length == 80
    assert composed("grpo", "stage=math2", "cluster=h100", PRETRAINED).grpo.max_response_length == 16384


def test_cpu_processes_follow_the_model_unless_the_user_wants_more() -> None:
    assert composed("grpo").cluster.devices_per_node == 1
    cut = ("model.tensor_model_parallel_size=2", "model.pipeline_model_parallel_size=2")
    assert composed("grpo", *cut).cluster.devices_per_node == 4
    assert composed("grpo", *cut, "cluster.devices_per_node=8").cluster.devices_per_node == 8


def test_each_command_starts_from_its_own_stage() -> None:
    assert composed("sft").stage.kind == "sft"
    assert composed("grpo").stage.kind == "grpo"
    assert composed("curriculum").curriculum.name == "demo"


def test_folders() -> None:
    assert composed("grpo").run.directory == "runs/math1"
    assert composed("grpo").data.train == "runs/demo/data/math1.jsonl"
    assert composed("grpo", "cluster=h100", PRETRAINED).data.train == "data/math1.jsonl"
    assert composed("curriculum").run.directory == "runs/demo"
    assert composed("curriculum", "run.directory=there").data.directory == "there/data"


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["engine.checkpoint=runs/try/model.nemo"], "runs/try/evaluation"),
        (["engine.checkpoint=runs/try/model.nemo", "stage=math4", "run.directory=r"], "runs/try/evaluation"),
        (["engine.checkpoint=weights/base.nemo"], "weights/base_evaluation"),
        (["engine.checkpoint=final/hf", "engine=hf"], "final/hf_evaluation"),
        (["engine.checkpoint=Qwen2.5-Math-7B/", "engine=hf"], "Qwen2.5-Math-7B_evaluation"),
        (["engine.checkpoint=final/hf", "engine=hf", "output=here"], "here"),
        (["engine=openai", "engine.url=http://h/v1", "engine.model=m"], ""),
    ],
)
def test_an_evaluation_lies_beside_its_checkpoint(words: list[str], output: str) -> None:
    settings = composed("evaluate", *words)
    assert settings.evaluation.output == output
    assert [problem.key for problem in value_problems(settings, "evaluate")] == (
        [] if output else ["evaluation.output"]
    ), "a server has no folder to lie beside"


def test_the_demos_benchmarks_are_the_same_file_for_transformers() -> None:
    for words in ((), ("engine=hf",)):
        settings = composed("evaluate", "benchmark=tiny_math", *words)
        assert settings.benchmark.path == "runs/demo/data/heldout.jsonl"
    assert composed("evaluate", "engine=hf", "data.directory=d").benchmark.path == "d/heldout.jsonl"


def test_export_has_keys_of_its_own() -> None:
    settings = compose("export", ["checkpoint=a.nemo", "output=folder"])
    assert (settings.checkpoint, settings.format, settings.output) == ("a.nemo", "hf", "folder")
    assert settings.deployment == composed("grpo").deployment, "one default for each key"
    short = compose("export", ["checkpoint=a", "output=b", "max_seq_len=8192", "verify=true", 'examples="a b"'])
    assert (short.deployment.max_seq_len, short.deployment.verify) == (8192, True)
    words = deployment_words(short.deployment)
    assert words == ['deployment.examples="a b"', "deployment.max_seq_len=8192", "deployment.verify=true"]
    assert compose("export", ["checkpoint=a", "output=b", *words]) == short
    assert by_key_expected("export", "formt=hf") == {"formt": "format", "checkpoint": None, "output": None}


def by_key_expected(command, *overrides: str) -> dict[str, str | None]:
    """Key -> the key that its fix proposes, None where the fix is to give a value."""
    found = problems_of(*overrides, command=command)
    return {key: None if "=VALUE" in p.fix else p.fix.partition("=")[0] for key, p in found.items()}


@pytest.mark.parametrize(
    ("override", "found", "expected"),
    [
        ("grpo.max_steps=ten", "'ten' (str)", "int"),
        ("grpo.max_steps=1.5", "1.5 (float)", "int"),
        ("grpo.temperature=true", "True (bool)", "float"),
        ("run.resume=2", "2 (int)", "true or false"),
        ("run.name=null", "null", "str"),
        ("run.name=[a]", "['a'] (list)", "str"),
        ("optimizer.betas=3", "3 (int)", "list of float"),
        ("optimizer.betas=[a,b]", "['a', 'b'] (list)", "list of float"),
    ],
)
def test_a_value_of_another_type_names_key_found_and_expected(override: str, found: str, expected: str) -> None:
    (problem,) = problems_of(override).values()
    assert problem.key == override.partition("=")[0]
    assert problem.found == found
    assert problem.expected.startswith(expected)


def test_the_values_proposed_for_a_wrong_type_have_the_right_one() -> None:
    wrong = ["grpo.max_steps=ten", "grpo.temperature=true", "run.resume=2", "run.name=null", "optimizer.betas=3"]
    fixes = [problem.fix for problem in problems_of(*wrong, "cluster.precision=[32]").values()]
    assert len(fixes) == 6
    assert compose("grpo", fixes).cluster.precision == "32"


def test_a_reference_to_a_key_that_does_not_exist() -> None:
    (problem,) = problems_of("data.directory='${data.dir}/x'").values()
    assert (problem.key, problem.fix) == ("data.directory", "data.directory='${data.directory}/x'")


def test_a_key_that_must_be_given() -> None:
    (problem,) = problems_of("cluster=h100").values()
    assert (problem.key, problem.found) == ("model.restore_from", "not set")
    assert ".nemo" in problem.expected and problem.fix == "model.restore_from=FILE.nemo"
    settings, still_open = compose_as_far("grpo", ["cluster=h100"])
    assert isinstance(settings, Settings)
    assert (still_open, settings.model.restore_from) == ([problem], None), "so that the rest can be looked at"
    assert compose("evaluate", ["cluster=h100"]).model.restore_from is None, "evaluation does not read it"
    (problem,) = problems_of("curriculum=acereason_1_1", command="curriculum").values()
    assert problem.key == "curriculum.initial_model"


def test_all_mistakes_of_a_line_at_once() -> None:
    found = problems_of(
        "stage=mth2", "grpo.temprature=1", "grpo.max_steps=ten", "run.name=null", "model.restore_from=a=b"
    )
    assert set(found) == {"stage", "grpo.temprature", "grpo.max_steps", "run.name", "model.restore_from"}


def test_the_message_has_every_part() -> None:
    with pytest.raises(SettingsError) as caught:
        compose("grpo", ["grpo.temprature=0.85"])
    assert str(caught.value).splitlines() == [
        "1 problem in the settings:",
        "  1. grpo.temprature",
        "     found:    grpo.temprature=0.85, no such key",
        "     expected: the nearest right one is grpo.temperature or evaluation.temperature or "
        "calibration.temperatures",
        "     fix:      grpo.temperature=0.85",
    ]


def test_an_error_needs_a_problem() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SettingsError([])


def test_yaml_and_flat_forms_hold_every_value() -> None:
    settings = composed("grpo", "stage=math3")
    flat = flatten(settings)
    assert list(flat) == list(fields_of(Settings))
    assert flat["grpo.max_response_length"] == settings.grpo.max_response_length
    read = yaml.safe_load(to_yaml(settings))
    assert {f"{section}.{name}": value for section, values in read.items() for name, value in values.items()} == flat


def test_settings_come_back_from_their_own_flat_form() -> None:
    settings = composed("sft")
    again = compose("sft", [f"{key}={_word(value)}" for key, value in flatten(settings).items()])
    assert again == settings


def _word(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "null" if value is None else str(value)


def test_settings_import_without_torch() -> None:
    code = "import sys, recipes.settings.curriculum; print(sorted({'torch', 'numpy', 'nemo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
