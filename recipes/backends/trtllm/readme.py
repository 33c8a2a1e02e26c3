"""``README.md`` of an exported folder: how it is served, with a request to copy.

Triton: triton-inference-server/tensorrtllm_backend at v0.17.0 (docs/llama.md, README.md, tools/fill_template.py,
all_models/inflight_batcher_llm) and its support matrix. trtllm-serve: see ``build_commands``. Not run here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recipes.backends.trtllm.build_commands import serve_command, shell_line
from recipes.settings.schema import DeploymentSettings

SERVING_CONFIG = "serving.yaml"
TRITON_TAGS = {
    "0.15": "24.11",
    "0.16": "24.12",
    "0.17": "25.01",
    "0.20": "25.06",
    "0.21": "25.08",
    "1.0": "25.10",
    "1.1": "25.12",
}
"""TensorRT-LLM -> nvcr.io/nvidia/tritonserver:TAG-trtllm-python-py3."""
PAPERS_BUDGET = 32768
"""Tokens of a response in the paper's evaluations (1.1 §4.1), the default of ``python -m evaluation.run``."""
PINNED = "0.17"
"""Of nvcr.io/nvidia/nemo:25.02.01."""
FIRST_SERVE = (0, 18)
"""The first version whose documentation has trtllm-serve."""


def readme(record: Mapping[str, Any], deployment: DeploymentSettings, max_seq_len: int, example: str) -> str:
    """The text.

    Args:
        record: content of ``export.json``.
        deployment: what the folder was made with.
        max_seq_len: tokens of prompt and response together.
        example: a question in the model's chat template, as the raw endpoint of Triton takes it.
    """
    source = record["source"]
    what = (
        "An engine of TensorRT-LLM"
        if deployment.backend == "tensorrt"
        else "A model for TensorRT-LLM's PyTorch backend"
    )
    stage = f" (stage {source['stage']})" if source["stage"] else ""
    parts = [
        f"# {what}",
        f"Made by `python -m recipes.export` from `{source['checkpoint']}`{stage}, sha256 `{source['sha256']}`. "
        "`export.json` has the commands, the flags, the versions and the commit.",
        _limits(deployment, max_seq_len),
    ]
    if deployment.backend == "tensorrt":
        parts += _engine(record, deployment, max_seq_len, example)
    else:
        parts += _pytorch(deployment, max_seq_len)
    return "\n\n".join(parts) + "\n"


def _limits(deployment: DeploymentSettings, max_seq_len: int) -> str:
    gpus = deployment.world_size
    rows = [
        ("GPUs of one copy", f"{gpus} (TP {deployment.tp_size} x PP {deployment.pp_size})"),
        ("prompt", f"{deployment.max_input_len:,} tokens"),
        ("prompt and response", f"{max_seq_len:,} tokens"),
        ("requests in flight", f"{deployment.max_batch_size:,}"),
        ("tokens of a step", f"{deployment.max_num_tokens:,}"),
    ]
    return "\n".join(["| limit | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _engine(record: Mapping[str, Any], deployment: DeploymentSettings, max_seq_len: int, example: str) -> list[str]:
    version = record["tensorrt_llm"]
    minor = ".".join((version or PINNED).split(".")[:2])
    built = f"TensorRT-LLM {version}" if version else f"an unknown TensorRT-LLM (nemo:25.02.01 has {PINNED})"
    number = tuple(int(part) for part in minor.split("."))
    serve = serve_command("/engine", deployment, major=number[0], max_seq_len=0, serving_config=None)
    gpu = f", on {record['gpu']}" if record.get("gpu") else ""
    note = (
        ""
        if number >= FIRST_SERVE
        else f"\n\nThe documentation of {minor} has no trtllm-serve yet (0.18 has); if "
        "`trtllm-serve --help` knows nothing, use Triton below."
    )
    return [
        f"Built by {built}{gpu}. An engine loads in this version and on this kind of GPU alone; for another one it is "
        "built again, which takes minutes.",
        "## trtllm-serve",
        f"This folder as `/engine`, in a container with TensorRT-LLM {minor}:",
        _code(shell_line(serve)) + note,
        "A request, with the chat template of this folder's tokenizer:",
        _request("/engine", _answer(max_seq_len)),
        "## Triton",
        *_triton(deployment, minor, _answer(max_seq_len), example),
        *_evaluation(
            deployment,
            max_seq_len,
            "engine=trtllm engine.checkpoint=THIS_FOLDER",
            "engine=openai engine.url=http://HOST:8000/v1 engine.model=/engine",
        ),
    ]


def _triton(deployment: DeploymentSettings, minor: str, max_tokens: int, example: str) -> list[str]:
    tag = TRITON_TAGS.get(minor)
    image = f"nvcr.io/nvidia/tritonserver:{tag or 'TAG'}-trtllm-python-py3"
    choice = "" if tag else f" (TAG: the one whose support matrix names TensorRT-LLM {minor})"
    batch = f"triton_max_batch_size:{deployment.max_batch_size}"
    fraction = f"{deployment.kv_cache_free_gpu_memory_fraction:g}"
    reuse = str(deployment.use_paged_context_fmha)
    fill = {
        "preprocessing": f"tokenizer_dir:/engine,{batch},preprocessing_instance_count:1",
        "postprocessing": f"tokenizer_dir:/engine,{batch},postprocessing_instance_count:1,skip_special_tokens:False",
        "ensemble": f"{batch},logits_datatype:TYPE_FP32",
        "tensorrt_llm_bls": f"{batch},decoupled_mode:False,bls_instance_count:1,accumulate_tokens:False,"
        "logits_datatype:TYPE_FP32",
        "tensorrt_llm": f"triton_backend:tensorrtllm,{batch},decoupled_mode:False,max_beam_width:1,engine_dir:/engine,"
        f"kv_cache_free_gpu_mem_fraction:{fraction},exclude_input_in_output:True,enable_kv_cache_reuse:{reuse},"
        "batching_strategy:inflight_fused_batching,max_queue_delay_microseconds:0,"
        "encoder_input_features_data_type:TYPE_FP16,logits_datatype:TYPE_FP32",
    }
    lines = ["git clone --branch vVERSION --depth 1 https://github.com/triton-inference-server/tensorrtllm_backend"]
    lines[0] = lines[0].replace("VERSION", f"{minor}.0")
    lines += ["cd tensorrtllm_backend", "cp -r all_models/inflight_batcher_llm models"]
    lines += [f"python3 tools/fill_template.py -i models/{name}/config.pbtxt {keys}" for name, keys in fill.items()]
    lines.append(f"python3 scripts/launch_triton_server.py --world_size {deployment.world_size} --model_repo models")
    body = {"text_input": example, "max_tokens": max_tokens, "bad_words": "", "stop_words": ""}
    return [
        f"`{image}`{choice}, with this folder as `/engine`; under Slurm `srun --mpi=pmix`.",
        _code("\n".join(lines)),
        "The raw endpoint lays no chat template over the text, so the request carries it:",
        _code(f"curl -s localhost:8000/v2/models/ensemble/generate -d {_quoted(body)}"),
    ]


def _pytorch(deployment: DeploymentSettings, max_seq_len: int) -> list[str]:
    serve = serve_command(
        "/model", deployment, major=1, max_seq_len=max_seq_len, serving_config=f"/model/{SERVING_CONFIG}"
    )
    return [
        "No engine: TensorRT-LLM 1.x serves the Hugging Face folder itself, on any GPU that it supports. "
        "`transformers`, vLLM and this recipe's evaluation load it too.",
        "## trtllm-serve",
        "This folder as `/model`, in nvcr.io/nvidia/tensorrt-llm/release:1.0.0 or a later 1.x:",
        _code(shell_line(serve)),
        _request("/model", _answer(max_seq_len)),
        "## Triton",
        "nvcr.io/nvidia/tritonserver:25.10-trtllm-python-py3 or later: triton_backend/all_models/llmapi of "
        f"TensorRT-LLM, with `model: /model` and the keys of `{SERVING_CONFIG}` in tensorrt_llm/1/model.yaml.",
        *_evaluation(
            deployment,
            max_seq_len,
            "engine=hf engine.checkpoint=THIS_FOLDER",
            "engine=openai engine.url=http://HOST:8000/v1 engine.model=/model",
        ),
    ]


def _evaluation(deployment: DeploymentSettings, max_seq_len: int, *engines: str) -> list[str]:
    """The paper's evaluation of what is here; at a shorter budget where the lengths leave no 32,768 tokens."""
    room = max_seq_len - deployment.max_input_len
    budget = f" max_response_length={room}" if room < PAPERS_BUDGET else ""
    line = "python -m evaluation.run benchmark=aime24 {engine}{budget} output=scores"
    return [
        "## Evaluation of this recipe",
        _code("\n".join(line.format(engine=engine, budget=budget) for engine in engines)),
    ]


def _answer(max_seq_len: int) -> int:
    """Tokens that the examples ask for."""
    return min(4096, max_seq_len // 2)


def _request(model: str, max_tokens: int) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "What is 17 + 4 * 3? Put the answer in \\boxed{}."}],
        "max_tokens": max_tokens,
        "temperature": 0.6,
        "top_p": 0.95,
    }
    return _code(
        "curl -s http://localhost:8000/v1/chat/completions -H 'Content-Type: application/json' \\\n"
        f"  -d {_quoted(body)}"
    )


def _quoted(body: Mapping[str, Any]) -> str:
    """JSON for a shell, between single quotes."""
    return "'" + json.dumps(body).replace("'", "\\u0027") + "'"


def _code(text: str) -> str:
    return f"```bash\n{text}\n```"
