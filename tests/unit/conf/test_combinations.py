"""Every file of ``conf/`` is loaded, and every combination that a user is told of composes and passes the checks."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

from recipes.settings.checks import value_problems
from recipes.settings.commands import COMMANDS
from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.errors import SettingsError
from recipes.settings.fields import sections_of
from recipes.settings.overrides import SHARED, group_options
from recipes.settings.plan import plan
from recipes.settings.prepare_checks import known_sources, source_settings
from recipes.settings.prepare_schema import PrepareSettings
from recipes.settings.schema import Settings
from recipes.settings.typed import CONF
from tests.unit.settings.composing import PRETRAINED, composed

OPTIONS = group_options(CONF)
MACHINES = {
    "laptop": ("cluster=cpu",),
    "laptop TP=2": ("cluster=cpu", "model.tensor_model_parallel_size=2"),
    "laptop PP=2": ("cluster=cpu", "model.pipeline_model_parallel_size=2"),
    "laptop DP=2": ("cluster=cpu", "cluster.devices_per_node=2"),
    "laptop SmolLM2": ("cluster=cpu", "model=smollm2_135m", PRETRAINED),
    "one GPU": ("cluster=one_gpu", "model=tiny"),
    "H100 node": ("cluster=h100", PRETRAINED),
    "16 H100 nodes": ("cluster=h100", "cluster.nodes=16", PRETRAINED),
}
EVERY_STAGE = ("laptop", "laptop SmolLM2", "H100 node")


def command_of(stage: str) -> SettingsCommand:
    return "sft" if stage == "sft" else "grpo"


@pytest.mark.parametrize("stage", OPTIONS["stage"])
@pytest.mark.parametrize("machine", EVERY_STAGE)
def test_every_stage_on_every_machine(machine: str, stage: str) -> None:
    command = command_of(stage)
    settings = composed(command, f"stage={stage}", *MACHINES[machine])
    assert value_problems(settings, command) == []
    assert len(plan(settings, command)) >= 7


@pytest.mark.parametrize("stage", ["sft", "math2"])
@pytest.mark.parametrize("machine", [name for name in MACHINES if name not in EVERY_STAGE])
def test_the_other_ways_to_cut_it(machine: str, stage: str) -> None:
    command = command_of(stage)
    assert value_problems(composed(command, f"stage={stage}", *MACHINES[machine]), command) == []


@pytest.mark.parametrize("benchmark", OPTIONS["benchmark"])
@pytest.mark.parametrize("machine", EVERY_STAGE)
def test_every_benchmark_on_every_machine(machine: str, benchmark: str) -> None:
    words = (f"benchmark={benchmark}", "engine.checkpoint=a.nemo", *MACHINES[machine])
    settings = composed("evaluate", *words)
    assert value_problems(settings, "evaluate") == []
    assert settings.benchmark.name == benchmark


@pytest.mark.parametrize("curriculum", OPTIONS["curriculum"])
def test_every_curriculum(curriculum: str) -> None:
    words = (f"curriculum={curriculum}", "curriculum.initial_model=a.nemo")
    settings = composed("curriculum", *words)
    assert value_problems(settings, "curriculum") == []
    assert settings.curriculum.name == curriculum
    assert set(settings.curriculum.stages) <= set(OPTIONS["stage"])


@pytest.mark.parametrize(("group", "option"), [(g, o) for g in ("stage", "model", "cluster") for o in OPTIONS[g]])
def test_names_are_file_names(group: str, option: str) -> None:
    words = () if group == "model" and option == "tiny" else (PRETRAINED,)
    settings = composed(command_of(option), f"{group}={option}", *words)
    assert getattr(settings, group).name == option


def test_every_small_model_has_a_scale_for_every_stage() -> None:
    """The paper's model changes what a GPU holds of single stages, the others every stage."""
    small = {"tiny", "smollm2_135m"}
    named = [tuple(name.split("/")) for name in OPTIONS["scale"]]
    assert {(engine, model) for engine, model, _ in named} == {("megatron", m) for m in small | {"qwen2_5_math_7b"}}
    assert {name[1:] for name in named if name[1] in small} == set(itertools.product(small, OPTIONS["stage"]))
    assert all((CONF / "scale" / "megatron" / model / f"{SHARED}.yaml").is_file() for model in small)
    assert {stage for _, model, stage in named if model not in small} < set(OPTIONS["stage"])


@pytest.mark.parametrize("engine", [name for name in OPTIONS["engine"] if name != "megatron"])
@pytest.mark.parametrize("machine", ["laptop", "laptop SmolLM2", "H100 node"])
def test_another_engine_s_model_is_sampled_as_the_paper_does(machine: str, engine: str) -> None:
    """The model that Megatron would build, a tiny one unless told, says nothing about the one that is evaluated."""
    settings = composed("evaluate", "benchmark=aime24", f"engine={engine}", "engine.checkpoint=a", *MACHINES[machine])
    evaluation = settings.evaluation
    assert (evaluation.n, settings.benchmark.n, evaluation.max_response_length) == (None, 64, 32768)
    assert (evaluation.temperature, evaluation.top_p) == (0.6, 0.95)
    assert settings.grading.require_thinking
    base = {name: yaml.safe_load((CONF / "base" / f"{name}.yaml").read_text()) for name in ("data", "engine")}
    assert settings.data.max_prompt_length == base["data"]["max_prompt_length"]
    assert settings.engine.batch_size == base["engine"]["batch_size"]
    assert engine != "hf" or settings.cluster.threads_per_process == 0


@pytest.mark.parametrize("command", ["sft", "grpo", "calibrate", "curriculum"])
def test_only_an_evaluation_chooses_an_engine(command: SettingsCommand) -> None:
    """In training the word would take away what a small model changes; it means another key."""
    with pytest.raises(SettingsError) as found:
        composed(command, "engine=trtllm", PRETRAINED)
    assert "rollouts.engine=trtllm" in found.value.problems[0].fix


@pytest.mark.parametrize("data", group_options(CONF, ("data",))["data"])
def test_every_data_set(data: str) -> None:
    words = [
        f"data={data}",
        "output=out",
        "data.against=[a.jsonl]",
        *(["data.inputs=[b.jsonl]"] if data == "local" else []),
    ]
    settings = compose("prepare", words)
    assert value_problems(settings, "prepare") == []
    assert settings.data.name == data
    assert len(plan(settings, "prepare")) >= 5
    for name in settings.data.sources:
        assert source_settings(name).name == name


def test_no_file_of_conf_is_left_out() -> None:
    """The tests above load every option of every group; the rest are the roots and base, which the roots list."""
    root = yaml.safe_load((CONF / "recipe.yaml").read_text(encoding="utf-8"))
    base = root["defaults"][0]["base"]
    assert base == list(sections_of(Settings)), "one file of base for each section, in the schema's order"
    expected = {Path(f"{command.root}.yaml") for command in COMMANDS.values()}
    expected |= {Path("base") / f"{name}.yaml" for name in base}
    expected |= {Path(group) / f"{option}.yaml" for group, options in OPTIONS.items() for option in options}
    expected |= {Path("scale") / "megatron" / model / f"{SHARED}.yaml" for model in ("tiny", "smollm2_135m")}
    prepare = yaml.safe_load((CONF / "prepare.yaml").read_text(encoding="utf-8"))["defaults"][0]["prepare"]
    assert prepare == list(sections_of(PrepareSettings)), "one file for each section, in the schema's order"
    expected |= {Path("prepare") / f"{name}.yaml" for name in prepare}
    expected |= {Path("data") / f"{name}.yaml" for name in group_options(CONF, ("data",))["data"]}
    expected |= {Path("source") / f"{name}.yaml" for name in known_sources()}
    assert {path.relative_to(CONF) for path in CONF.rglob("*") if path.is_file()} == expected
