"""What is refused before an engine of TensorRT-LLM is built."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.settings.checks import value_problems
from recipes.settings.compose import compose

H100 = ["cluster=h100", "rollouts.engine=trtllm", "model.restore_from=m.nemo", "data.directory=d"]


def problems(*words: str, command: Any = "grpo") -> dict[str, Any]:
    return {problem.key: problem for problem in value_problems(compose(command, [*H100, *words]), command)}


def test_the_papers_model_passes() -> None:
    assert not problems()
    assert not problems(command="calibrate")


def test_tensor_parallel_beyond_the_key_value_heads() -> None:
    found = problems("model.tensor_model_parallel_size=8")["model.tensor_model_parallel_size"]
    assert "num_query_groups=4" in found.expected and found.fix.startswith("model.tensor_model_parallel_size=4")


def test_a_long_stage_on_a_short_table_of_positions() -> None:
    found = problems("stage=code2", "model.max_position_embeddings=24576")
    fix = "grpo.max_response_length=22528, or model.max_position_embeddings=34816"
    assert found["grpo.max_response_length"].fix == fix
    held_out = problems("model.max_position_embeddings=24576", "validation.every_steps=50")
    assert held_out["evaluation.max_response_length"].fix.startswith("evaluation.max_response_length=22528")


def test_packed_prompts_beyond_a_tensor_of_tensorrt() -> None:
    # 2^31 - 1 elements / (2 x 18,944 channels) = 56,679 tokens; 64 prompts of 2,048 are 131,072.
    words = "model.tensor_model_parallel_size=1", "model.sequence_parallel=false", "cluster.memory_gib=null"
    every = "trtllm.max_num_tokens=null"
    assert not problems(*words, every)  # the batches are cut
    assert compose("grpo", [*H100, *words, every]).packed_prompt_tokens == 56679
    found = problems(*words, "trtllm.max_num_tokens=131072")["trtllm.max_num_tokens"]
    assert found.found == "131072 tokens" and "at most 56679" in found.expected
    assert found.fix.startswith("trtllm.max_num_tokens=16384")
    assert not problems(*words, found.fix.split(":")[0])
    (prompt,) = problems(*words, every, "data.max_prompt_length=60000").values()
    assert (prompt.key, prompt.fix) == ("data.max_prompt_length", "data.max_prompt_length=56679")


def test_a_bound_below_one_prompt() -> None:
    found = problems("trtllm.max_num_tokens=1000")["trtllm.max_num_tokens"]
    assert found.found == "1000 tokens" and found.fix.startswith("trtllm.max_num_tokens=2048")


def test_an_engine_over_nodes() -> None:
    found = problems("cluster.devices_per_node=2", "cluster.nodes=4")["model.tensor_model_parallel_size"]
    assert "NeMo loads no engine over nodes" in found.expected


def test_nothing_of_it_matters_to_the_megatron_engine() -> None:
    assert not problems("rollouts.engine=megatron", "trtllm.max_num_tokens=1")


def test_unknown_engine() -> None:
    with pytest.raises(AssertionError):
        assert not problems("rollouts.engine=vllm")
    assert problems("rollouts.engine=vllm")["rollouts.engine"].expected == "one of megatron, trtllm"
