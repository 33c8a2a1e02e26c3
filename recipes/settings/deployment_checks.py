"""Values of ``deployment`` that TensorRT-LLM would refuse after minutes, or take and serve badly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.memory.engines import TENSORRT_ELEMENTS, trtllm_most_tokens
from recipes.settings.deployment_schema import DeploymentSettings
from recipes.settings.errors import SettingsProblem

CONVERT_SCRIPTS = ("qwen/convert_checkpoint.py", "models/core/qwen/convert_checkpoint.py")
"""Below ``deployment.examples``: TensorRT-LLM up to 0.18, and from 0.19 on."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What of an architecture bounds an engine; names as in the section ``model``."""

    architecture: str
    num_layers: int
    num_attention_heads: int
    num_query_groups: int
    ffn_hidden_size: int
    max_position_embeddings: int


def builds_engine(deployment: DeploymentSettings) -> bool:
    """Whether an export to TensorRT-LLM wants a GPU: to build an engine, or to compare one."""
    return deployment.backend == "tensorrt" or deployment.verify


def gpus_of_build(deployment: DeploymentSettings) -> int:
    """GPUs that ``builds_engine`` wants: one for each worker, or for each rank of the comparison."""
    return deployment.world_size if deployment.verify else deployment.workers


def convert_script(examples: str) -> Path:
    """The script that turns a Hugging Face folder of Qwen2 into a TensorRT-LLM checkpoint; the likeliest where none is
    there."""
    place = Path(examples)
    if place.suffix == ".py":
        return place
    candidates = [place / name for name in CONVERT_SCRIPTS]
    return next((path for path in candidates if path.is_file()), candidates[0])


def tool_problems(deployment: DeploymentSettings) -> list[SettingsProblem]:
    """Programs of the build that are not on this machine; none are asked for where nothing is built."""
    if deployment.backend != "tensorrt":
        return []
    problems, script = [], convert_script(deployment.examples)
    container = (
        "the NeMo container (CONTAINER_IMAGE of launcher/site.sh), or deployment.backend=pytorch, which builds nothing "
        "and is served by TensorRT-LLM 1.x"
    )
    if not script.is_file():
        problems.append(
            SettingsProblem(
                "deployment.examples",
                f"{deployment.examples}: no {' and no '.join(CONVERT_SCRIPTS)} there",
                "the examples of the TensorRT-LLM that is installed: git clone --branch vVERSION --depth 1 "
                "https://github.com/NVIDIA/TensorRT-LLM",
                f"deployment.examples=FOLDER or =SCRIPT.py, {container}",
            )
        )
    if shutil.which(deployment.build_tool) is None:
        problems.append(
            SettingsProblem(
                "deployment.build_tool",
                f"{deployment.build_tool}: no such program on this machine",
                "trtllm-build of TensorRT-LLM 0.17 to 1.2 (1.3 has none)",
                f"deployment.build_tool=PATH, {container}",
            )
        )
    return problems


def deployment_problems(deployment: DeploymentSettings) -> Iterator[SettingsProblem]:
    """What does not go together, whatever the model; for values that are sound one by one (``bounds``)."""
    if deployment.max_seq_len is not None:
        yield from _input_length(deployment, deployment.max_seq_len, f"deployment.max_seq_len={deployment.max_seq_len}")
    needed = max(deployment.max_input_len, deployment.max_batch_size)
    if deployment.max_num_tokens < needed:
        yield SettingsProblem(
            "deployment.max_num_tokens",
            f"{deployment.max_num_tokens:,} tokens a step",
            f"at least deployment.max_input_len={deployment.max_input_len:,}, so that the longest prompt is accepted, "
            f"and deployment.max_batch_size={deployment.max_batch_size:,}, a token for each running response",
            f"deployment.max_num_tokens={needed}",
        )
    if deployment.backend != "tensorrt":
        return
    if deployment.use_paged_context_fmha and deployment.kv_cache_type != "paged":
        yield SettingsProblem(
            "deployment.use_paged_context_fmha",
            f"true with deployment.kv_cache_type={deployment.kv_cache_type}",
            "a paged cache, whose blocks prompts share",
            "deployment.kv_cache_type=paged, or deployment.use_paged_context_fmha=false",
        )
    if deployment.kv_cache_type == "paged" and not deployment.remove_input_padding:
        yield SettingsProblem(
            "deployment.remove_input_padding",
            "false with deployment.kv_cache_type=paged",
            "true: in-flight batching packs the requests of a step",
            "deployment.remove_input_padding=true",
        )
    if deployment.workers > deployment.world_size:
        yield SettingsProblem(
            "deployment.workers",
            f"{deployment.workers} processes for {deployment.world_size} ranks",
            "at most one for each rank (tp_size x pp_size)",
            f"deployment.workers={deployment.world_size}",
        )


def fitting_problems(deployment: DeploymentSettings, limits: ModelLimits) -> Iterator[SettingsProblem]:
    """What the model does not allow; for values without ``deployment_problems``."""
    if limits.architecture != "qwen2" and deployment.backend == "tensorrt":
        yield SettingsProblem(
            "deployment.backend",
            f"tensorrt for a model of the family {limits.architecture}",
            "qwen2, the family that examples/qwen converts",
            "deployment.backend=pytorch",
        )
    tensor, groups = deployment.tp_size, limits.num_query_groups
    if groups % tensor or limits.num_attention_heads % tensor or limits.ffn_hidden_size % tensor:
        fitting = [
            size
            for size in range(1, min(tensor, groups) + 1)
            if groups % size == limits.num_attention_heads % size == limits.ffn_hidden_size % size == 0
        ]
        yield SettingsProblem(
            "deployment.tp_size",
            f"{tensor}, with {groups} key/value heads, {limits.num_attention_heads} heads and "
            f"{limits.ffn_hidden_size:,} MLP channels",
            "a number that divides all three",
            f"deployment.tp_size={fitting[-1]}; more copies of the model use more GPUs",
        )
    if limits.num_layers % deployment.pp_size:
        fitting = [size for size in range(1, deployment.pp_size) if limits.num_layers % size == 0]
        yield SettingsProblem(
            "deployment.pp_size",
            f"{deployment.pp_size}, with {limits.num_layers} layers",
            "a number that divides the layers",
            f"deployment.pp_size={fitting[-1]}",
        )
    positions = limits.max_position_embeddings
    if deployment.max_seq_len is None:
        yield from _input_length(deployment, positions, f"the model's {positions:,} positions")
    elif deployment.max_seq_len > positions:
        yield SettingsProblem(
            "deployment.max_seq_len",
            f"{deployment.max_seq_len:,} tokens",
            f"at most the model's {positions:,} positions: beyond them trtllm-build only warns, and the model was not "
            "trained there",
            f"deployment.max_seq_len={positions}",
        )
    yield from _tensor_volume(deployment, limits)


def _input_length(deployment: DeploymentSettings, longest: int, what: str) -> Iterator[SettingsProblem]:
    if deployment.max_input_len >= longest:
        yield SettingsProblem(
            "deployment.max_input_len",
            f"{deployment.max_input_len:,} tokens",
            f"fewer than {what}, prompt and response together",
            f"deployment.max_input_len={max(1, longest // 2)}",
        )


def _tensor_volume(deployment: DeploymentSettings, limits: ModelLimits) -> Iterator[SettingsProblem]:
    """The widest activation of a step: the MLP's gate and up projections in one, ``max_num_tokens`` x 2 ffn / TP."""
    if limits.ffn_hidden_size % deployment.tp_size or deployment.backend != "tensorrt":
        return
    width = 2 * limits.ffn_hidden_size // deployment.tp_size
    most = trtllm_most_tokens(limits.ffn_hidden_size, deployment.tp_size)
    if deployment.max_num_tokens > most:
        yield SettingsProblem(
            "deployment.max_num_tokens",
            f"{deployment.max_num_tokens:,} x {width:,} channels = {deployment.max_num_tokens * width:,} elements",
            f"at most {TENSORRT_ELEMENTS:,} elements in a tensor of TensorRT",
            f"deployment.max_num_tokens={min(most, 16384)}",
        )
