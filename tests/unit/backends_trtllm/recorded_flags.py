"""The command lines that TensorRT-LLM's tools accept, as recorded from their sources: another flag or value is refused.

``CONVERT``   examples/qwen/convert_checkpoint.py, ``parse_arguments`` at aaacc9bd (``--dtype auto``: 0.12 or newer).
``BUILD``     tensorrt_llm/commands/build.py, ``parse_arguments`` at 008b2b8d, with the options of
              tensorrt_llm/plugin/plugin.py, ``cli_plugin_args`` and ``add_plugin_argument``: 0.17's neighbours, since
              the files of the tag v0.17.0 could not be read. Flags of quantisation, LoRA, speculative decoding and
              debugging are left out: this recipe gives none of them.
``SERVE``     the page of trtllm-serve 0.18.2.
``SERVE_1``   tensorrt_llm/commands/serve.py at 00209af1 (1.x).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Flag:
    """One option: its type, or the words that it takes."""

    type: type = str
    choices: tuple[str, ...] | None = None
    default: object = None
    required: bool = False
    switch: bool = False
    """Takes no value."""


_ON_OFF = Flag(choices=("enable", "disable"))
_PLUGIN = Flag(choices=("auto", "float16", "float32", "bfloat16", "int32", "disable"))

CONVERT: Mapping[str, Flag] = {
    "--model_dir": Flag(required=True),
    "--output_dir": Flag(default="tllm_checkpoint"),
    "--tp_size": Flag(int, default=1),
    "--pp_size": Flag(int, default=1),
    "--dtype": Flag(choices=("auto", "float16", "bfloat16", "float32"), default="auto"),
    "--load_model_on_cpu": Flag(switch=True),
    "--use_parallel_embedding": Flag(switch=True),
    "--embedding_sharding_dim": Flag(int, default=0),
    "--workers": Flag(int, default=1),
    "--moe_tp_size": Flag(int, default=-1),
    "--moe_ep_size": Flag(int, default=-1),
}
BUILD: Mapping[str, Flag] = {
    "--checkpoint_dir": Flag(),
    "--model_config": Flag(),
    "--build_config": Flag(),
    "--output_dir": Flag(default="engine_outputs"),
    "--max_batch_size": Flag(int, default=2048),
    "--max_input_len": Flag(int, default=1024),
    "--max_seq_len": Flag(int),
    "--max_beam_width": Flag(int, default=1),
    "--max_num_tokens": Flag(int, default=8192),
    "--opt_num_tokens": Flag(int),
    "--kv_cache_type": Flag(choices=("continuous", "paged", "disabled")),
    "--input_timing_cache": Flag(),
    "--output_timing_cache": Flag(default="model.cache"),
    "--profiling_verbosity": Flag(choices=("layer_names_only", "detailed", "none")),
    "--weight_sparsity": Flag(switch=True),
    "--weight_streaming": Flag(switch=True),
    "--fast_build": Flag(switch=True),
    "--workers": Flag(int, default=1),
    "--log_level": Flag(choices=("internal_error", "error", "warning", "info", "verbose", "debug", "trace")),
    "--monitor_memory": Flag(switch=True),
    "--logits_dtype": Flag(choices=("float16", "float32")),
    "--gather_context_logits": Flag(switch=True),
    "--gather_generation_logits": Flag(switch=True),
    "--gpt_attention_plugin": _PLUGIN,
    "--gemm_plugin": Flag(choices=("auto", "float16", "float32", "bfloat16", "int32", "fp8", "disable")),
    "--nccl_plugin": _PLUGIN,
    "--context_fmha": _ON_OFF,
    "--remove_input_padding": _ON_OFF,
    "--tokens_per_block": Flag(int),
    "--use_paged_context_fmha": _ON_OFF,
    "--use_fp8_context_fmha": _ON_OFF,
    "--multiple_profiles": _ON_OFF,
    "--reduce_fusion": _ON_OFF,
    "--use_fused_mlp": _ON_OFF,
}
SERVE: Mapping[str, Flag] = {
    "--tokenizer": Flag(),
    "--host": Flag(),
    "--port": Flag(int),
    "--backend": Flag(choices=("pytorch",)),
    "--max_beam_width": Flag(int),
    "--max_batch_size": Flag(int),
    "--max_num_tokens": Flag(int),
    "--max_seq_len": Flag(int),
    "--tp_size": Flag(int),
    "--pp_size": Flag(int),
    "--kv_cache_free_gpu_memory_fraction": Flag(float),
    "--trust_remote_code": Flag(switch=True),
}
SERVE_1: Mapping[str, Flag] = {
    **SERVE,
    "--backend": Flag(choices=("pytorch", "tensorrt", "trt", "_autodeploy")),
    "--free_gpu_memory_fraction": Flag(float),
    "--extra_llm_api_options": Flag(),
    "--config": Flag(),
    "--enable_chunked_prefill": Flag(switch=True),
    "--gpus_per_node": Flag(int),
    "--log_level": Flag(choices=("internal_error", "error", "warning", "info", "verbose", "debug", "trace")),
}
LLM_ARGS_1 = {
    "max_input_len": (),
    "kv_cache_config": ("free_gpu_memory_fraction", "enable_block_reuse", "max_tokens", "dtype", "host_cache_size"),
    "cuda_graph_config": ("batch_sizes", "max_batch_size", "enable_padding"),
    "enable_chunked_prefill": (),
}
"""Keys of the YAML of ``--extra_llm_api_options``: tensorrt_llm/llmapi/llm_args.py at about 1.0, ``BaseLlmArgs`` and
``TorchLlmArgs``, which forbid others; those that this recipe may give."""


def parse(
    words: Sequence[str], table: Mapping[str, Flag], program: str, positional: str | None = None
) -> dict[str, object]:
    """The values of a command line by flag, without dashes.

    Raises:
        SystemExit: 2, as argparse and click end, for an unknown flag, a wrong value or a missing one.
    """
    return vars(_parser(tuple(table.items()), program, positional).parse_args(words))


@cache
def _parser(table: Sequence[tuple[str, Flag]], program: str, positional: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, allow_abbrev=False)
    if positional:
        parser.add_argument(positional)
    for name, flag in table:
        if flag.switch:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(
                name, type=flag.type, choices=flag.choices, default=flag.default, required=flag.required
            )
    return parser
