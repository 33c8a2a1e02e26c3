"""What an export may write over, and which checkpoints it can convert; read without the frameworks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from omegaconf import DictConfig

from recipes.checkpoints.hf_config import Architecture, ConversionError
from recipes.checkpoints.nemo_archive import ARCHITECTURE_KEYS
from recipes.checkpoints.nemo_archive import CONFIG_NAME as NEMO_CONFIG_NAME

MARKER_NAME = "export.json"
"""Tells a folder that this command wrote, and may replace, from one that it must not touch."""


def require_writable(output: Path) -> None:
    """Refuse an output that this command did not write.

    Raises:
        ConversionError: ``output`` is a file, or a folder with files and without the marker of this command.
    """
    if output.is_file():
        raise ConversionError(f"{output}: is a file; expected the name of a folder")
    if output.is_dir() and any(output.iterdir()) and not (output / MARKER_NAME).is_file():
        raise ConversionError(
            f"{output}: this folder has files and was not written by recipes.export (no {MARKER_NAME}); "
            "choose another output or remove it"
        )


def staging_of(output: Path) -> Path:
    """Where an output grows until it is whole: beside its place, so that one rename puts it there."""
    return output.parent / f".{output.name}.partial"


def put_in_place(staging: Path, output: Path) -> None:
    """Rename ``staging`` to ``output``; an older output goes."""
    old = output.parent / f".{output.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        os.replace(output, old)
    os.replace(staging, output)
    shutil.rmtree(old, ignore_errors=True)


def architecture_of_nemo(config: DictConfig, source: Path) -> Architecture:
    """The architecture that NeMo's model node describes.

    Raises:
        ConversionError: keys are missing, or the model is not one that this recipe writes; every problem is listed.
    """
    values = {ours: config.get(nemo) for ours, nemo in ARCHITECTURE_KEYS.items()}
    problems = [f"  {nemo}: missing" for ours, nemo in ARCHITECTURE_KEYS.items() if values[ours] is None]
    expected = {
        "normalization": "rmsnorm",
        "activation": "fast-swiglu",
        "position_embedding_type": "rope",
        "bias": False,
    }
    problems += [
        f"  {key}: {config.get(key)!r}, expected {value!r}"
        for key, value in expected.items()
        if config.get(key) != value
    ]
    if problems:
        listing = "\n".join(problems)
        raise ConversionError(
            f"{source}: {NEMO_CONFIG_NAME} is not that of a Qwen2 or Llama of this recipe:\n{listing}"
        )
    return Architecture(
        family="qwen2" if config.get("qkv_bias") else "llama",
        max_position_embeddings=config.max_position_embeddings,
        initializer_range=config.get("init_method_std", 0.02),
        **values | {"rope_theta": float(values["rope_theta"])},
    )
