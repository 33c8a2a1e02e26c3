"""The command lines that make an engine of a Hugging Face folder and serve it: pure functions of the settings.

Checked against sources of TensorRT-LLM, not run. ``convert_checkpoint.py``: examples/qwen/convert_checkpoint.py at
aaacc9bd. ``trtllm-build``: tensorrt_llm/commands/build.py at 008b2b8d with the options of plugin/plugin.py. The exact
files of v0.17.0 could not be read: the container's own tools have the last word.
``trtllm-serve``: its page of 0.18.2 and commands/serve.py at 00209af1 (1.x).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.checkpoints.export_rules import staging_of
from recipes.settings.schema import DeploymentSettings


@dataclass(frozen=True, slots=True)
class Tools:
    """Programs of the machine that builds."""

    python: str
    """Interpreter that has ``tensorrt_llm``."""
    convert_script: Path
    """``convert_checkpoint.py`` of examples/qwen."""
    build: str
    """``trtllm-build``."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the parts of an engine lie while it grows."""

    hugging_face: Path
    checkpoint: Path
    """TensorRT-LLM's own form of the weights, cut into ranks."""
    engine: Path
    """Becomes the output."""

    @classmethod
    def of(cls, output: Path, hugging_face: Path | None = None) -> Workplace:
        """Beside the output; ``hugging_face`` is a folder that is there already."""
        staging = staging_of(output)
        return cls(hugging_face or staging / "hf", staging / "checkpoint", staging / "engine")


def convert_command(tools: Tools, place: Workplace, deployment: DeploymentSettings) -> list[str]:
    """Hugging Face folder -> TensorRT-LLM checkpoint: ``config.json`` and ``rank{r}.safetensors``."""
    command = [tools.python, str(tools.convert_script)]
    command += ["--model_dir", str(place.hugging_face), "--output_dir", str(place.checkpoint)]
    command += ["--dtype", deployment.dtype]
    command += ["--tp_size", str(deployment.tp_size), "--pp_size", str(deployment.pp_size)]
    command += ["--workers", str(deployment.workers)]
    return command + (["--load_model_on_cpu"] if deployment.load_model_on_cpu else [])


def build_command(tools: Tools, place: Workplace, deployment: DeploymentSettings, max_seq_len: int) -> list[str]:
    """TensorRT-LLM checkpoint -> engine: ``config.json`` and ``rank{r}.engine``.

    Args:
        max_seq_len: tokens of prompt and response; given even where it is the model's own limit, so that the command
            says what the engine takes.
    """
    flags: dict[str, str | int | bool] = {
        "checkpoint_dir": str(place.checkpoint),
        "output_dir": str(place.engine),
        "max_batch_size": deployment.max_batch_size,
        "max_input_len": deployment.max_input_len,
        "max_seq_len": max_seq_len,
        "max_num_tokens": deployment.max_num_tokens,
        "max_beam_width": 1,
        "gemm_plugin": deployment.gemm_plugin,
        "gpt_attention_plugin": deployment.gpt_attention_plugin,
        "kv_cache_type": deployment.kv_cache_type,
        "remove_input_padding": deployment.remove_input_padding,
        "use_paged_context_fmha": deployment.use_paged_context_fmha,
        "workers": deployment.workers,
    }
    words = [tools.build]
    for name, value in flags.items():
        words += [f"--{name}", ("enable" if value else "disable") if isinstance(value, bool) else str(value)]
    return words


def build_commands(tools: Tools, place: Workplace, deployment: DeploymentSettings, max_seq_len: int) -> list[list[str]]:
    """Both steps in order; none for the PyTorch backend."""
    if deployment.backend != "tensorrt":
        return []
    return [convert_command(tools, place, deployment), build_command(tools, place, deployment, max_seq_len)]


def serve_command(
    folder: str, deployment: DeploymentSettings, *, major: int, max_seq_len: int, serving_config: str | None
) -> list[str]:
    """``trtllm-serve``: an OpenAI-compatible server.

    Args:
        folder: the exported one.
        major: of TensorRT-LLM's version; from 1 on the PyTorch backend is the default and an engine asks for the other.
        max_seq_len: of the PyTorch backend; an engine knows its own.
        serving_config: YAML of the PyTorch backend; None for an engine.
    """
    command = ["trtllm-serve", folder, "--host", "0.0.0.0", "--port", "8000"]
    if serving_config is None:
        fraction = deployment.kv_cache_free_gpu_memory_fraction
        command += ["--tokenizer", folder, "--kv_cache_free_gpu_memory_fraction", f"{fraction:g}"]
        return command + (["--backend", "tensorrt"] if major >= 1 else [])
    command += ["--backend", "pytorch", "--tp_size", str(deployment.tp_size)]
    command += ["--pp_size", str(deployment.pp_size)]
    command += ["--max_batch_size", str(deployment.max_batch_size), "--max_num_tokens", str(deployment.max_num_tokens)]
    return [*command, "--max_seq_len", str(max_seq_len), "--extra_llm_api_options", serving_config]


def serving_options(deployment: DeploymentSettings) -> dict[str, Any]:
    """What ``--extra_llm_api_options`` has to say beside the flags; keys of TensorRT-LLM 1.x (llmapi/llm_args.py:
    ``BaseLlmArgs``, ``KvCacheConfig``, ``CudaGraphConfig``, read at about 1.0).

    ``max_input_len`` has no flag, and without it prompts end at 1,024 tokens. ``kv_cache_config`` replaces the one that
    the flags make, so it carries the memory's share too.
    """
    return {
        "max_input_len": deployment.max_input_len,
        "kv_cache_config": {
            "free_gpu_memory_fraction": deployment.kv_cache_free_gpu_memory_fraction,
            "enable_block_reuse": True,
        },
        "cuda_graph_config": {"enable_padding": True, "max_batch_size": deployment.max_batch_size},
    }


def shell_line(command: Sequence[str]) -> str:
    """As one would type it."""
    return shlex.join(command)
