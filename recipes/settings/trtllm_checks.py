"""What the TensorRT-LLM rollout engine cannot do: found before an engine is built for minutes."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.memory.engines import trtllm_most_tokens
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings


def trtllm_problems(settings: Settings) -> Iterator[SettingsProblem]:
    """Nothing where another engine samples. What must divide, and lengths against positions: as for every engine."""
    if settings.rollouts.engine != "trtllm":
        return
    yield from _packed_tokens(settings)
    tensor, devices = settings.model.tensor_model_parallel_size, settings.cluster.devices_per_node
    if tensor > devices:
        yield SettingsProblem(
            "model.tensor_model_parallel_size",
            str(tensor),
            f"at most cluster.devices_per_node={devices}: NeMo loads no engine over nodes",
            f"model.tensor_model_parallel_size={devices}, or rollouts.engine=megatron",
        )


def _packed_tokens(settings: Settings) -> Iterator[SettingsProblem]:
    """The widest activation is one tensor: packed prompt tokens x both halves of the gated MLP, fused by the build."""
    prompt, given = settings.data.max_prompt_length, settings.trtllm.max_num_tokens
    tensor = settings.model.tensor_model_parallel_size
    channels = 2 * settings.model.ffn_hidden_size // tensor
    most = trtllm_most_tokens(settings.model.ffn_hidden_size, tensor)
    bound = f"times {channels} channels of the fused MLP it stays below TensorRT's 2^31 elements"
    if prompt > most:
        yield SettingsProblem(
            "data.max_prompt_length", f"{prompt} tokens", f"at most {most}: {bound}", f"data.max_prompt_length={most}"
        )
    elif given is not None and given < prompt:
        yield SettingsProblem(
            "trtllm.max_num_tokens",
            f"{given} tokens",
            f"at least data.max_prompt_length={prompt}: a prompt goes through in one pass",
            f"trtllm.max_num_tokens={prompt}, or null for all prompts of a batch",
        )
    elif given is not None and given > most:
        yield SettingsProblem(
            "trtllm.max_num_tokens",
            f"{given} tokens",
            f"at most {most}: {bound}",
            f"trtllm.max_num_tokens={max(prompt, min(most, 16384))}: batches whose prompts are longer are cut",
        )
