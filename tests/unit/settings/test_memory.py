"""The memory check: what it refuses, and that each fix that it names works."""

from __future__ import annotations

import re
from typing import Any

import pytest

from recipes.memory.phases import GIB
from recipes.preflighting.memory import memory_lines
from recipes.settings.bounds import value_of
from recipes.settings.checks import value_problems
from recipes.settings.errors import SettingsProblem
from recipes.settings.memory_checks import memory_problems, most_sequences
from recipes.settings.memory_plan import phases, rollout_length
from recipes.settings.schema import Settings
from tests.unit.settings.composing import PRETRAINED, changed, composed

H100 = ("cluster=h100", "stage=math4", PRETRAINED, "rollouts.engine=megatron")
TP, PP, SP = "model.tensor_model_parallel_size", "model.pipeline_model_parallel_size", "model.sequence_parallel"
TYPES = {"true": True, "false": False}


def settings_with(values: dict[str, Any], command: str = "grpo") -> Settings:
    return changed(composed(command, *H100) if command != "sft" else composed("sft", H100[0], PRETRAINED), values)  # type: ignore[arg-type]


def with_words(settings: Settings, words: str) -> Settings:
    """``KEY=VALUE ...`` of a fix laid over settings."""
    values = {}
    for word in words.split(" (")[0].split():
        key, _, text = word.partition("=")
        values[key] = TYPES.get(text, text if not text.isdigit() else int(text))
    return changed(settings, values)


def total(settings: Settings, command: str, name: str) -> int:
    return next(phase.total for phase in phases(settings, command) if phase.name == name)


# command, changes, key of the only problem, fixes that it names, each of which works alone
REFUSED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    (
        "grpo",
        {"rollouts.batch_size": 200},
        "rollouts.batch_size",
        ["rollouts.batch_size=104", f"{PP}=2", "cluster.nodes=16"],
    ),
    ("grpo", {"grpo.micro_batch_size": 8}, "grpo.micro_batch_size", ["grpo.micro_batch_size=4"]),
    (
        "grpo",
        {"model.recompute": "none", "grpo.micro_batch_size": 2},
        "grpo.micro_batch_size",
        ["grpo.micro_batch_size=1", "model.recompute=full"],
    ),
    (
        "grpo",
        {"rollouts.engine": "trtllm", "rollouts.batch_size": 110, "trtllm.offload_optimizer": False},
        "rollouts.batch_size",
        ["rollouts.batch_size=102", "trtllm.offload_optimizer=true"],
    ),
    (
        "grpo",
        {"rollouts.batch_size": 60, SP: False, "model.recompute": "none"},
        "grpo.micro_batch_size",
        [f"{SP}=true", "model.recompute=full"],
    ),
    ("sft", {"sft.micro_batch_size": 8}, "sft.micro_batch_size", ["sft.micro_batch_size=4"]),
    ("sft", {TP: 1, SP: False}, "sft.micro_batch_size", [f"{TP}=2 {SP}=true"]),
    ("sft", {TP: 1, SP: False, "cluster.devices_per_node": 1}, "sft.micro_batch_size", ["cluster.nodes"]),
    ("calibrate", {"rollouts.batch_size": 300}, "rollouts.batch_size", ["rollouts.batch_size=142"]),
]


@pytest.mark.parametrize(("command", "values", "key", "fixes"), REFUSED)
def test_a_batch_that_cannot_fit_is_refused_with_fixes_that_work(
    command: str, values: dict[str, Any], key: str, fixes: list[str]
) -> None:
    settings = settings_with(values, command)
    (problem,) = value_problems(settings, command)
    assert problem.key == key
    assert "GiB of a GPU in" in problem.found and problem.expected == "at most cluster.memory_gib=79.6"
    for fix in fixes:
        assert fix in problem.fix
    for words in problem.fix.split(", or "):
        assert value_problems(with_words(settings, words), command) == [], words


def test_the_proposed_batch_is_the_largest() -> None:
    for values in ({}, {"rollouts.engine": "trtllm"}):
        settings = settings_with(values)
        size = most_sequences(settings, "grpo", "rollouts")
        assert size is not None
        fits, too_many = ({"rollouts.batch_size": number} for number in (size, size + 1))
        assert total(changed(settings, fits), "grpo", "rollouts") <= 79.6 * GIB
        assert total(changed(settings, too_many), "grpo", "rollouts") > 79.6 * GIB
    assert most_sequences(settings_with({"cluster.memory_gib": 20.0}), "grpo", "rollouts") is None


ENGINE_16 = {"rollouts.engine": "trtllm", "cluster.nodes": 16}
"""32 replicas, which have 64 rollouts each in a step."""


@pytest.mark.parametrize("stage", ["math4", "code2"])
def test_on_many_nodes_the_proposed_batch_is_all_that_a_replica_has(stage: str) -> None:
    settings = composed("grpo", "cluster=h100", f"stage={stage}", PRETRAINED, "cluster.nodes=16")
    rows = settings.grpo.prompts_per_step // 32 * settings.grpo.rollouts_per_prompt
    assert most_sequences(settings, "grpo", "rollouts") == rows
    assert value_problems(changed(settings, {"rollouts.batch_size": rows}), "grpo") == []
    (line,) = memory_lines(settings, "grpo")
    assert f"rollouts.batch_size={rows} (all that a replica samples in a step) would fit" in line
    for word in re.findall(r"[\w.]+=\d+", line.partition("at most ")[2]):
        assert value_problems(with_words(settings, word), "grpo") == [], word


def test_the_batch_that_makes_the_engine_too_large_for_training_is_named() -> None:
    problem = only(value_problems(settings_with({**ENGINE_16, "rollouts.batch_size": 65535}), "grpo"))
    assert problem.key == "rollouts.batch_size" and "GiB of a GPU in training (engine buffers" in problem.found
    assert problem.fix.startswith("rollouts.batch_size=64 (all that a replica samples in a step)")
    for words in problem.fix.split(", or "):
        assert value_problems(with_words(settings_with(ENGINE_16), words), "grpo") == [], words


TIGHT = {
    "rollouts.engine": "trtllm",
    "cluster.nodes": 2,
    "cluster.memory_gib": 66.0,
    "grpo.max_response_length": 24576,
    "validation.every_steps": 0,
}
"""Room for micro-batches of 4 in training, or for 125 rows of an engine that stays loaded meanwhile; not for both."""


def test_a_proposed_batch_fits_beside_training_too() -> None:
    settings = settings_with({**TIGHT, "grpo.micro_batch_size": 4})
    size = most_sequences(settings, "grpo", "rollouts")
    assert size is not None and size < 125
    fits, too_many = (changed(settings, {"rollouts.batch_size": number}) for number in (size, size + 1))
    assert value_problems(fits, "grpo") == []
    assert only(value_problems(too_many, "grpo")).found.partition(" in ")[2].startswith("training")


def test_what_fits_alone_only_is_said_so() -> None:
    for values, between in (({}, " or "), ({"cluster.memory_gib": 79.6}, ", ")):
        settings = settings_with({**TIGHT, **values})
        proposed = memory_lines(settings, "grpo")[0].partition("at most ")[2]
        words = re.findall(r"[\w.]+=\d+", proposed)
        assert between.join(words) in proposed
        for word in words:
            assert value_problems(with_words(settings, word), "grpo") == [], word
        assert (value_problems(with_words(settings, " ".join(words)), "grpo") == []) == (between == ", ")


def test_two_values_that_are_too_large_are_named_together() -> None:
    settings = settings_with({**ENGINE_16, "rollouts.batch_size": 65535, "grpo.micro_batch_size": 64})
    fix = only(value_problems(settings, "grpo")).fix
    assert fix == "rollouts.batch_size=64 grpo.micro_batch_size=4"
    assert value_problems(with_words(settings, fix), "grpo") == []


def test_found_names_every_item() -> None:
    (problem,) = value_problems(settings_with({"rollouts.batch_size": 200}), "grpo")
    assert problem.found.startswith("200: 123.95 GiB of a GPU in rollouts (KV cache 92.97, optimizer 10.64, ")
    items = re.findall(r"[\w ]+ ([\d.]+)[,)]", problem.found)
    assert sum(map(float, items)) == pytest.approx(123.95, abs=0.04)


def test_no_single_change_is_enough() -> None:
    """An H100 alone holds no fp32 master weights of 7.6 billion parameters: the smallest change of several values."""
    settings = settings_with({"cluster.devices_per_node": 1, TP: 1, SP: False})
    problems = {problem.key: problem for problem in value_problems(settings, "grpo")}
    for key, name in (("grpo.micro_batch_size", "training"), ("rollouts.batch_size", "rollouts")):
        words = problems[key].fix
        assert ", or " not in words and "cluster.nodes=" in words
        assert total(with_words(settings, words), "grpo", name) <= 79.6 * GIB


def test_no_change_is_enough() -> None:
    for problem in memory_problems(settings_with({"cluster.memory_gib": 7.0}), "grpo"):
        assert problem.fix == "a shorter length budget, or a GPU with more memory (cluster.memory_gib)"


def only(problems: list[SettingsProblem]) -> SettingsProblem:
    (problem,) = problems
    return problem


def test_what_the_engine_gives_back() -> None:
    engine = {"rollouts.engine": "trtllm"}
    training, rollouts = phases(settings_with(engine), "grpo")
    assert "optimizer" in training.items and "optimizer" not in rollouts.items
    kept = phases(settings_with({**engine, "trtllm.offload_optimizer": False}), "grpo")[1]
    assert kept.total - rollouts.total == training.items["optimizer"]
    alone = phases(settings_with({**engine, "trtllm.unload_after_sampling": True}), "grpo")[0]
    assert training.total - alone.total == training.items["engine weights"] + training.items["engine buffers"]
    whole = phases(settings_with({**engine, "trtllm.max_num_tokens": None}), "grpo")[1]
    assert rollouts.items["engine buffers"] < whole.items["engine buffers"] / 5


def test_unchecked_without_a_size() -> None:
    settings = settings_with({"cluster.memory_gib": None, "rollouts.batch_size": 4000})
    assert value_problems(settings, "grpo") == []
    assert composed("grpo").cluster.memory_gib is None


def test_the_held_out_score_samples_longer_than_its_stage() -> None:
    settings = composed("grpo", "cluster=h100", "stage=math1", PRETRAINED)
    assert rollout_length(settings, "grpo") == 2048 + 32768
    assert rollout_length(changed(settings, {"validation.every_steps": 0}), "grpo") == 2048 + 8192
    assert rollout_length(settings, "calibrate") == 2048 + 8192
    assert rollout_length(settings, "evaluate") == 2048 + 32768
    assert settings.packed_prompt_tokens == 16384
    assert changed(settings, {"trtllm.max_num_tokens": None}).packed_prompt_tokens == 64 * 2048


def test_a_replica_samples_no_more_rows_than_it_has() -> None:
    """Two replicas' 2048 rollouts are 1024 each; 32 replicas' 64."""
    many = {"rollouts.batch_size": 4096, "cluster.memory_gib": None}
    found = [phases(settings_with({**many, "cluster.nodes": nodes}), "grpo")[1].items["KV cache"] for nodes in (1, 16)]
    assert found == [1024 * 34816 * 14336, 64 * 34816 * 14336]


def test_the_fullest_pipeline_stage_counts() -> None:
    """The first stage has all micro-batches in flight, the last one the logits: whichever is larger."""
    none = {PP: 4, "cluster.nodes": 2, "model.recompute": "none"}
    first = phases(settings_with({**none, "grpo.max_response_length": 8192}), "grpo")[0]
    assert "logits" in phases(settings_with({PP: 4, "cluster.nodes": 2}), "grpo")[0].items
    assert "logits" not in first.items and "activations" in first.items


def test_the_optimizer_shrinks_with_nodes_and_gradients_with_bf16() -> None:
    one, two = (phases(settings_with({"cluster.nodes": nodes}), "grpo")[0].items for nodes in (1, 2))
    assert one["optimizer"] == 2 * two["optimizer"]
    assert one["gradients"] == two["gradients"]
    bf16 = phases(settings_with({"optimizer.gradient_dtype": "bf16"}), "grpo")[0].items
    assert 2 * bf16["gradients"] == one["gradients"]


def test_an_engine_of_its_own_has_weights_and_buffers() -> None:
    training, rollouts = phases(settings_with({"rollouts.engine": "trtllm"}), "grpo")
    for phase in (training, rollouts):
        assert phase.items["engine weights"] == phase.items["weights"]
        assert phase.items["engine buffers"] > 0
    assert "KV cache" not in training.items
    resharded = phases(settings_with({"rollouts.engine": "trtllm", PP: 2}), "grpo")[1].items
    assert resharded["engine weights"] > 1.9 * resharded["weights"]
    assert resharded["KV cache"] == rollouts.items["KV cache"]
    own = phases(settings_with({PP: 2}), "grpo")[1].items
    assert 2 * own["KV cache"] == rollouts.items["KV cache"]


def test_sampling_alone_has_no_optimizer() -> None:
    (rollouts,) = phases(composed("evaluate", "cluster=h100", "engine.checkpoint=a.nemo"), "evaluate")
    assert set(rollouts.items) == {"weights", "KV cache", "engine buffers", "reserve"}
    assert phases(composed("evaluate", "cluster=h100", "engine=hf", "engine.checkpoint=a"), "evaluate") == ()
    assert phases(composed("curriculum"), "curriculum") == ()


def test_unfused_attention_writes_its_matrix() -> None:
    plain = {"cluster.layer_spec": "local", "model.recompute": "none"}
    fused, local = (
        phases(settings_with(v), "grpo")[0].items["activations"]
        for v in ({**plain, "cluster.layer_spec": "transformer_engine"}, plain)
    )
    assert local - fused == 28 * 34816 * 28 * (34816 * 6 - 4) // 4
    assert value_of(settings_with({}), "cluster.layer_spec") == "transformer_engine"
