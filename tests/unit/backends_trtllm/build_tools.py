"""Programs that stand for TensorRT-LLM's converter and builder, started as they are: same flags, same files, no GPU.

They take exactly the recorded flags, carry the weights through and write what the real ones write: ``config.json`` and
``rank{r}.safetensors`` of a checkpoint (models/modeling_utils.py, ``save_checkpoint``), ``config.json`` and
``rank{r}.engine`` of an engine (builder.py, ``Engine.save``, at 008b2b8d). An "engine" is the weights' bytes, so that
the stand-in of the runtime can compute with what went through.

The variable STAND_IN names what goes wrong: ``exit`` (status 1 after some output), ``kill`` (half-way), ``full`` (no
space left), ``hang``, ``no_rank`` (a rank is missing), ``short`` (another max_seq_len), ``no_bias`` (the QKV bias is
dropped, as NeMo's in-flight export does for model_type=llama).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.unit.backends_trtllm.recorded_flags import BUILD, CONVERT, parse

ROOT = Path(__file__).resolve().parents[3]
VERSION = "0.17.0"


def install(folder: Path) -> tuple[Path, Path]:
    """Write the two programs; the folder of the examples and the builder."""
    examples, build = folder / "examples", folder / "bin" / "trtllm-build"
    script = examples / "qwen" / "convert_checkpoint.py"
    for path, function in ((script, "convert"), (build, "build")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from tests.unit.backends_trtllm.build_tools import {function}\n{function}(sys.argv[1:])\n"
        )
        path.chmod(0o755)
    return examples, build


def convert(words: list[str]) -> None:
    """``convert_checkpoint.py``."""
    print(VERSION)
    given = parse(words, CONVERT, "convert_checkpoint.py")
    _go_wrong("convert")
    source, target = Path(str(given["model_dir"])), Path(str(given["output_dir"]))
    hugging_face = json.loads((source / "config.json").read_text())
    (weights,) = source.glob("*.safetensors")
    tensor, pipeline = int(str(given["tp_size"])), int(str(given["pp_size"]))
    target.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": "QWenForCausalLM",
        "dtype": given["dtype"],
        "qwen_type": hugging_face["model_type"],
        "num_hidden_layers": hugging_face["num_hidden_layers"],
        "num_key_value_heads": hugging_face["num_key_value_heads"],
        "max_position_embeddings": hugging_face["max_position_embeddings"],
        "rotary_base": hugging_face["rope_theta"],
        "mapping": {"world_size": tensor * pipeline, "tp_size": tensor, "pp_size": pipeline},
        "hugging_face": hugging_face,  # of the stand-in alone
    }
    (target / "config.json").write_text(json.dumps(config, indent=4))
    for rank in range(tensor * pipeline):
        shutil.copyfile(weights, target / f"rank{rank}.safetensors")
    print("Total time of converting checkpoints: 00:00:00")


def build(words: list[str]) -> None:
    """``trtllm-build``."""
    given = parse(words, BUILD, "trtllm-build")
    source, target = Path(str(given["checkpoint_dir"])), Path(str(given["output_dir"]))
    config = json.loads((source / "config.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    trouble = os.environ.get("STAND_IN", "")
    sizes = {key: given[key] for key in ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens")}
    if trouble == "short":
        sizes["max_seq_len"] = 7
    config["dropped_bias"] = trouble == "no_bias"
    plugins = ("gemm_plugin", "gpt_attention_plugin", "remove_input_padding", "use_paged_context_fmha")
    engine = {
        "version": VERSION,
        "pretrained_config": config,
        "build_config": {
            **sizes,
            "max_beam_width": given["max_beam_width"],
            "kv_cache_type": str(given["kv_cache_type"]).upper(),
            "plugin_config": {name: given[name] for name in plugins},
        },
    }
    ranks = range(config["mapping"]["world_size"])
    for rank in ranks[: -1 if trouble == "no_rank" else None]:
        (target / f"rank{rank}.engine").write_bytes((source / f"rank{rank}.safetensors").read_bytes())
        if rank == 0:
            _go_wrong("build")
    (target / "config.json").write_text(json.dumps(engine, indent=4))
    print("[TRT-LLM] [I] Total time of building all engines: 00:00:00")


def _go_wrong(step: str) -> None:
    trouble = os.environ.get("STAND_IN", "").removeprefix(f"{step}:")
    if trouble == "exit":
        print(*(f"line {number}" for number in range(40)), sep="\n")
        print("AssertionError: 151665 is not divisible by 2", file=sys.stderr)
        sys.exit(1)
    if trouble == "kill":
        print("half-way", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "full":
        raise OSError(28, "No space left on device")
    if trouble == "hang":
        print("hanging", flush=True)
        Path(os.environ["STAND_IN_PID"]).write_text(str(os.getpid()))
        time.sleep(600)
