"""Hugging Face folder -> ``.nemo``: streamed, one process, no model in memory, no GPU.

The dtype of the weights stays what it is: a bf16 checkpoint becomes a bf16 ``.nemo``, and Megatron casts to the
precision of the run when it loads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from omegaconf import OmegaConf
from torch import Tensor
from tqdm import tqdm

from recipes.backends.aligner.nemo_config import architecture_config
from recipes.backends.aligner.nemo_file import pack, write_side_files
from recipes.backends.aligner.torch_dist import Chunk, write_weights
from recipes.checkpoints.hf_config import (
    CONFIG_NAME,
    Architecture,
    ConversionError,
    architecture_of,
    read_config,
    with_overrides,
)
from recipes.checkpoints.hf_names import Parameter, hf_shapes, merge, parameters
from recipes.checkpoints.manifest import manifest_path
from recipes.checkpoints.nemo_archive import HF_NAME, WEIGHTS_NAME
from recipes.checkpoints.provenance import write_import_manifest
from recipes.checkpoints.safetensors_folder import DTYPES, SafetensorsFolder
from recipes.settings.schema import ModelSettings


def import_hf(hf_dir: Path, output: Path, overrides: Mapping[str, object]) -> None:
    """Convert a Qwen2 or Llama checkpoint; ``output`` appears by one rename, an existing one is replaced.

    Its manifest (``manifest_path(output)``) is written last.

    Peak memory is a few times the largest tensor, whatever the size of the model.

    Args:
        hf_dir: folder with ``config.json``, safetensors, and the tokenizer files to carry along.
        output: the ``.nemo`` file to write.
        overrides: ``model.rope_theta`` and ``model.max_position_embeddings``; recorded in both formats.

    Raises:
        ConversionError: the architecture is not supported, the weights do not fit it, an override is wrong, the output
            is no ``.nemo``, or the disk is too small; every problem of one kind is listed at once.
    """
    if output.suffix != ".nemo" or output.is_dir():
        raise ConversionError(f"{output}: expected the name of a file that ends in .nemo")
    config = with_overrides(read_config(hf_dir), overrides)
    architecture = architecture_of(config, hf_dir / CONFIG_NAME)
    weights = SafetensorsFolder.open(hf_dir)
    dtype = weights.check(hf_shapes(architecture), ignored=_never_read(architecture))
    output.parent.mkdir(parents=True, exist_ok=True)
    _require_space(output.parent, weights.total_bytes)
    started = datetime.now(timezone.utc)
    manifest_path(output).unlink(missing_ok=True)  # it is about the weights that are replaced now

    staging = output.with_name(f".{output.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    (staging / WEIGHTS_NAME).mkdir(parents=True)
    chunks = [
        Chunk(
            parameter.checkpoint_key, parameter.layer, parameter.shape, partial(_load, weights, parameter, architecture)
        )
        for parameter in parameters(architecture)
    ]
    with tqdm(total=len(chunks), desc=f"importing {hf_dir.name}", unit="tensor") as progress:
        write_weights(staging / WEIGHTS_NAME, chunks, architecture.num_layers, DTYPES[dtype], progress.update)
    write_side_files(staging, OmegaConf.create(_nemo_config(architecture, hf_dir)), hf_dir)
    (staging / HF_NAME / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    pack(staging, output)
    write_import_manifest(output, hf_dir, overrides, started)


def _load(weights: SafetensorsFolder, parameter: Parameter, architecture: Architecture) -> Tensor:
    return merge(parameter, [weights.read(name) for name, _ in parameter.hf_shapes], architecture)


def _never_read(architecture: Architecture) -> set[str]:
    """What transformers ignores as well: the copy of a tied embedding, and a buffer of old Llama checkpoints."""
    names = {f"model.layers.{layer}.self_attn.rotary_emb.inv_freq" for layer in range(architecture.num_layers)}
    return names | {"lm_head.weight"} if architecture.tie_word_embeddings else names


def _nemo_config(architecture: Architecture, tokenizer: Path) -> dict[str, object]:
    model = ModelSettings(
        name=architecture.family,
        architecture=architecture.family,
        restore_from=None,
        tokenizer=str(tokenizer),
        num_layers=architecture.num_layers,
        hidden_size=architecture.hidden_size,
        ffn_hidden_size=architecture.ffn_hidden_size,
        num_attention_heads=architecture.num_attention_heads,
        num_query_groups=architecture.num_query_groups,
        vocab_size=architecture.vocab_size,
        max_position_embeddings=architecture.max_position_embeddings,
        rope_theta=architecture.rope_theta,
        rms_norm_eps=architecture.rms_norm_eps,
        tie_word_embeddings=architecture.tie_word_embeddings,
        init_method_std=architecture.initializer_range,
        tensor_model_parallel_size=1,
        pipeline_model_parallel_size=1,
        sequence_parallel=False,
        recompute="none",
    )
    return architecture_config(model) | {
        "dist_ckpt_format": "torch_dist",
        "tokenizer": {"library": "huggingface", "type": model.tokenizer, "use_fast": True},
    }


def _require_space(folder: Path, model_bytes: int) -> None:
    """The weights are on disk twice while the folder is packed."""
    free, needed = shutil.disk_usage(folder).free, 2 * model_bytes
    if free < needed:
        raise ConversionError(
            f"{folder}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed (the weights lie there twice "
            "while the .nemo is packed); free some space or choose another output"
        )
