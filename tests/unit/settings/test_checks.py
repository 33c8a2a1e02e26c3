"""Every preflight check: it fires, names the key, and proposes something that works."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from recipes.settings.bounds import CHOICES, RANGES, value_of
from recipes.settings.checks import check, check_files, file_problems, value_problems
from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.fields import fields_of
from recipes.settings.schema import Settings
from recipes.settings.typed import converted
from tests.unit.settings.composing import PRETRAINED, by_key, changed, composed

PREPARE = compose("prepare", ["data.inputs=[a.jsonl]", "data.against=[b.jsonl]", "output=out"])
TP, PP = "model.tensor_model_parallel_size", "model.pipeline_model_parallel_size"
DEVICES = "cluster.devices_per_node"

# command, composed from, changes, the key of the only problem, the fix, something that it must say
CASES: list[tuple[SettingsCommand, tuple[str, ...], dict[str, Any], str, str, str]] = [
    ("grpo", (), {TP: 3, DEVICES: 3}, TP, f"{TP}=2", "model.num_query_groups=2"),
    ("grpo", (), {TP: 4, DEVICES: 4}, TP, f"{TP}=2", "model.num_query_groups=2"),
    ("grpo", (), {TP: 2, DEVICES: 2, "model.vocab_size": 513}, TP, f"{TP}=1", "model.vocab_size=513"),
    ("grpo", (), {TP: 2, DEVICES: 2, "model.ffn_hidden_size": 385}, TP, f"{TP}=1", "model.ffn_hidden_size=385"),
    ("grpo", (), {"model.num_layers": 4, PP: 3, DEVICES: 3}, PP, f"{PP}=2", "model.num_layers=4"),
    ("grpo", (), {TP: 2, DEVICES: 3}, DEVICES, f"{DEVICES}=4", "a multiple of 2"),
    ("grpo", ("cluster=h100", PRETRAINED), {PP: 4}, "cluster.nodes", "cluster.nodes=2", "a multiple of 16"),
    ("grpo", (), {"model.sequence_parallel": True}, "model.sequence_parallel", "model.sequence_parallel=false", TP),
    (
        "grpo",
        (),
        {TP: 2, DEVICES: 2, "model.sequence_parallel": True},
        "model.sequence_parallel",
        "model.sequence_parallel=false",
        "false with cluster.layer_spec=local",
    ),
    ("grpo", (), {"model.hidden_size": 130}, "model.hidden_size", "model.hidden_size=136", "num_attention_heads=4"),
    ("grpo", (), {"model.num_query_groups": 3}, "model.num_query_groups", "model.num_query_groups=2", "heads=4"),
    (
        "grpo",
        (),
        {DEVICES: 3, "grpo.prompts_per_step": 16},
        "grpo.prompts_per_step",
        "grpo.prompts_per_step=18",
        "a multiple of 3",
    ),
    (
        "grpo",
        (),
        {"grpo.prompts_per_step": 3, "grpo.rollouts_per_prompt": 4, "grpo.micro_batch_size": 5},
        "grpo.micro_batch_size",
        "grpo.micro_batch_size=4",
        "a divisor of 12",
    ),
    (
        "sft",
        (),
        {DEVICES: 3, "sft.global_batch_size": 32, "sft.micro_batch_size": 4},
        "sft.global_batch_size",
        "sft.global_batch_size=36",
        "a multiple of 12",
    ),
    (
        "sft",
        (),
        {DEVICES: 4, "sft.global_batch_size": 32, "sft.micro_batch_size": 16},
        "sft.micro_batch_size",
        "sft.micro_batch_size=8",
        "a divisor of 8",
    ),
    (
        "grpo",
        (),
        {"grpo.max_response_length": 500, "data.max_prompt_length": 128},
        "grpo.max_response_length",
        "grpo.max_response_length=384",
        "model.max_position_embeddings=512",
    ),
    (
        "evaluate",
        ("engine.checkpoint=a.nemo",),
        {"evaluation.max_response_length": 500, "data.max_prompt_length": 128},
        "evaluation.max_response_length",
        "evaluation.max_response_length=384",
        "model.max_position_embeddings=512",
    ),
    (
        "sft",
        (),
        {"sft.max_sequence_length": 513},
        "sft.max_sequence_length",
        "sft.max_sequence_length=512",
        "model.max_position_embeddings=512",
    ),
    ("grpo", (), {"cluster.precision": "bf16"}, "cluster.precision", "cluster.precision=32", "accelerator=cpu"),
    (
        "grpo",
        (),
        {"cluster.layer_spec": "transformer_engine"},
        "cluster.layer_spec",
        "cluster.layer_spec=local",
        "CUDA",
    ),
    ("grpo", (), {"cluster.fused_kernels": True}, "cluster.fused_kernels", "cluster.fused_kernels=false", "CUDA"),
    ("grpo", (), {"optimizer.betas": [0.9]}, "optimizer.betas", "optimizer.betas=[0.9,0.999]", "two numbers"),
    ("grpo", (), {"optimizer.betas": [0.9, 1.0]}, "optimizer.betas", "optimizer.betas=[0.9,0.999]", "below 1"),
    (
        "grpo",
        (),
        {"optimizer.learning_rate": 1e-4, "optimizer.min_learning_rate": 1e-3},
        "optimizer.min_learning_rate",
        "optimizer.min_learning_rate=1e-05",
        "learning_rate=0.0001",
    ),
    (
        "grpo",
        (),
        {"optimizer.warmup_steps": 30, "grpo.max_steps": 20},
        "optimizer.warmup_steps",
        "optimizer.warmup_steps=2",
        "fewer than grpo.max_steps=20",
    ),
    (
        "sft",
        (),
        {"optimizer.warmup_steps": 30, "sft.max_steps": 30},
        "optimizer.warmup_steps",
        "optimizer.warmup_steps=3",
        "fewer than sft.max_steps=30",
    ),
    (
        "grpo",
        (),
        {"logging.mlflow_experiment": "x"},
        "logging.mlflow_tracking_uri",
        "logging.mlflow_tracking_uri=http://HOST:5000",
        "mlflow_experiment",
    ),
    ("grpo", ("stage=sft",), {}, "stage", "stage=math1", "python -m recipes.run_sft stage=sft"),
    ("sft", ("stage=math2",), {}, "stage", "stage=sft", "python -m recipes.run_grpo stage=math2"),
    ("grpo", ("curriculum=demo",), {}, "curriculum", "leave curriculum=demo out", "run_curriculum curriculum=demo"),
    ("evaluate", ("output=there",), {}, "engine.checkpoint", "engine.checkpoint=FILE.nemo", "the model to evaluate"),
    ("curriculum", ("curriculum.stages=[]",), {}, "curriculum.stages", "curriculum.stages=[sft,math1]", "at least one"),
]


@pytest.mark.parametrize(("command", "base", "changes", "key", "fix", "says"), CASES)
def test_a_check_names_key_and_fix(
    command: SettingsCommand, base: tuple[str, ...], changes: dict[str, Any], key: str, fix: str, says: str
) -> None:
    settings = changed(composed(command, *base), changes)
    (problem,) = value_problems(settings, command)
    assert problem.key == key
    assert problem.fix.replace(",", " ").startswith(fix.replace(",", " "))
    assert says in f"{problem.expected} {problem.fix}"


@pytest.mark.parametrize(("command", "base", "changes", "key", "fix", "says"), CASES)
def test_the_fix_works(
    command: SettingsCommand, base: tuple[str, ...], changes: dict[str, Any], key: str, fix: str, says: str
) -> None:
    settings = changed(composed(command, *base), changes)
    name, _, value = fix.partition("=")
    if name == "stage":
        repaired = composed(command, *base, fix)
    elif name.startswith("leave "):
        repaired = composed(command)
    else:
        field = fields_of(Settings)[name]
        typed_value = converted(
            field, yaml.safe_load(value) if value[0] == "[" else value, OmegaConf.structured(field.owner)
        )
        repaired = changed(settings, {name: typed_value})
    if key in (TP, PP):  # as many processes as the repaired cut needs
        repaired = changed(repaired, {DEVICES: repaired.model.tensor_model_parallel_size})
        repaired.cluster.devices_per_node *= repaired.model.pipeline_model_parallel_size
    assert value_problems(repaired, command) == []


def test_a_fix_for_a_prompt_that_leaves_no_room_gives_both_lengths() -> None:
    settings = changed(composed(), {"data.max_prompt_length": 600})
    (problem,) = value_problems(settings, "grpo")
    assert problem.fix == "data.max_prompt_length=128 grpo.max_response_length=384"


def test_the_right_settings_pass() -> None:
    check(composed("grpo"), "grpo")
    check(composed("sft"), "sft")
    cut = {TP: 2, PP: 2, DEVICES: 8, "model.num_layers": 4}
    check(changed(composed(), cut), "grpo")
    check(composed("grpo", "cluster=h100", PRETRAINED), "grpo")  # with sequence parallelism


def test_greedy_evaluation_is_allowed_and_greedy_training_is_not() -> None:
    greedy = changed(composed("evaluate", "engine.checkpoint=a.nemo"), {"evaluation.temperature": 0.0})
    check(greedy, "evaluate")
    assert set(by_key(value_problems(changed(composed(), {"grpo.temperature": 0.0}), "grpo"))) == {"grpo.temperature"}


def test_checks_look_only_at_what_the_command_reads() -> None:
    """The positions of an HF checkpoint are its own, and an SFT batch is of no concern to GRPO."""
    check(changed(composed("grpo"), {"sft.global_batch_size": 7, "sft.max_sequence_length": 9999}), "grpo")
    long = {"engine.name": "hf", "evaluation.max_response_length": 9999}
    check(changed(composed("evaluate", "engine.checkpoint=a"), long), "evaluate")


def test_all_problems_at_once() -> None:
    settings = changed(composed(), {TP: 4, "cluster.precision": "bf16", "optimizer.betas": [0.9]})
    with pytest.raises(SettingsError) as caught:
        check(settings, "grpo")
    assert set(by_key(caught.value.problems)) == {TP, "cluster.precision", "optimizer.betas"}


def problems_of(key: str, value: Any) -> list[SettingsProblem]:
    """What is wrong with this value, in the settings that have the key."""
    if key in fields_of(Settings):
        return value_problems(changed(composed(), {key: value}), "grpo")
    settings = copy.deepcopy(PREPARE)
    section, _, name = key.rpartition(".")
    setattr(getattr(settings, section) if section else settings, name, value)
    return value_problems(settings, "prepare")


@pytest.mark.parametrize("key", RANGES)
def test_every_range_is_watched(key: str) -> None:
    allowed = RANGES[key]
    outside = [math.nan, allowed.low - 1 if allowed.or_also is None else allowed.low - 3]
    outside += [allowed.low] if allowed.above_low else []
    outside += [allowed.high * 2] if allowed.high < math.inf else [math.inf]
    for value in outside:
        (problem,) = problems_of(key, value)
        assert (problem.key, problem.fix) == (key, f"{key}={allowed.works}")
        assert f"{allowed.low:g}" in problem.expected


@pytest.mark.parametrize("key", [key for key in CHOICES if "." in key])
def test_every_choice_is_watched_and_its_values_named(key: str) -> None:
    misspelt = CHOICES[key][-1][:-1] + "_"
    (problem,) = problems_of(key, misspelt)
    assert problem.key == key
    assert all(choice in problem.expected for choice in CHOICES[key])
    assert problem.fix.partition("=")[2] in CHOICES[key]


def test_choices_propose_the_nearest() -> None:
    (problem,) = value_problems(changed(composed(), {"cluster.layer_spec": "transformerengine"}), "grpo")
    assert problem.fix == "cluster.layer_spec=transformer_engine"


def test_export_checks_its_format() -> None:
    (problem,) = value_problems(compose("export", ["checkpoint=a.nemo", "output=out", "format=gguf"]), "export")
    assert (problem.key, problem.fix) == ("format", "format=hf")


def test_each_word_of_a_list_is_watched() -> None:
    (problem,) = value_problems(composed("grpo", "export.on_finish=[hf,trtlm]"), "grpo")
    assert (problem.key, problem.found, problem.fix) == ("export.on_finish", "trtlm", "export.on_finish=[trtllm]")


def test_values_by_dotted_key() -> None:
    settings = composed()
    assert value_of(settings, "grpo.top_p") == settings.grpo.top_p
    assert len(fields_of(Settings)) > 80


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("sft_train", "sft_validation", "math1", "heldout"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n", encoding="utf-8")
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "weights.nemo").write_bytes(b"")
    return tmp_path


def test_files_that_are_there(data: Path) -> None:
    where = f"data.directory={data}"
    check_files(compose("sft", [where]), "sft")
    check_files(compose("grpo", [where, f"model.restore_from={data}/weights.nemo"]), "grpo")
    check_files(compose("evaluate", [where, f"engine.checkpoint={data}/weights.nemo"]), "evaluate")
    check_files(compose("curriculum", [f"curriculum.initial_model={data}/weights.nemo"]), "curriculum")
    check_files(compose("export", [f"checkpoint={data}/weights.nemo", "output=out"]), "export")


def test_files_that_are_missing_are_all_named(tmp_path: Path) -> None:
    overrides = [f"data.directory={tmp_path}/none", f"model.restore_from={tmp_path}/w.nemo"]
    with pytest.raises(SettingsError) as caught:
        check_files(compose("sft", overrides), "sft")
    found = by_key(caught.value.problems)
    assert set(found) == {"data.train", "data.validation", "model.tokenizer", "model.restore_from"}
    assert f"the folder {tmp_path}/none is missing too" in found["data.train"].fix
    assert f"python -m recipes.prepare_demo {tmp_path}/none" in found["data.train"].fix
    assert found["model.restore_from"].expected == "a .nemo file or folder"


def test_the_nearest_file_is_proposed(data: Path) -> None:
    settings = compose("grpo", [f"data.directory={data}", f"data.train={data}/mth1.jsonl"])
    (problem,) = file_problems(settings, "grpo")
    assert problem.fix.startswith(f"data.train={data}/math1.jsonl")


def test_a_folder_is_no_file_and_a_file_no_folder(data: Path) -> None:
    settings = compose("grpo", [f"data.train={data}", f"model.tokenizer={data}/math1.jsonl"])
    found = by_key(file_problems(settings, "grpo"))
    assert set(found) == {"data.train", "model.tokenizer"}
    assert all("another kind" in problem.found for problem in found.values())


def test_an_hf_evaluation_needs_a_folder_and_no_tokenizer_of_ours(data: Path) -> None:
    settings = compose(
        "evaluate",
        ["engine=hf", f"engine.checkpoint={data}/weights.nemo", f"benchmark.path={data}/math1.jsonl"],
    )
    assert set(by_key(file_problems(settings, "evaluate"))) == {"engine.checkpoint"}


def test_no_hint_at_the_demo_for_other_models(tmp_path: Path) -> None:
    settings = compose("grpo", ["cluster=h100", PRETRAINED, f"data.directory={tmp_path}"])
    assert all("prepare_demo" not in problem.fix for problem in file_problems(settings, "grpo"))
