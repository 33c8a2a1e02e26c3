"""Writing the ``.nemo`` file: Megatron weights that load at any TP and PP, NeMo's configuration, side files.

Its layout and everything that reads it without the frameworks: ``recipes.checkpoints.nemo_archive``.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from recipes.checkpoints.nemo_archive import (
    CONFIG_NAME,
    HF_NAME,
    WEIGHTS_NAME,
    CheckpointMismatch,
    architecture_differences,
    load_config,
    read_config,
    unpacked,
)
from recipes.settings.schema import ModelSettings

__all__ = ["CheckpointMismatch", "load_config", "read_config", "require_same_architecture", "unpacked"]

WEIGHT_PATTERNS = (
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.gguf",
    "*.onnx",
    "*.h5",
    "*.msgpack",
    "*.index.json",
    "*.md",
)
"""Files of a Hugging Face folder that are not carried along: weights, their indices and the model card."""


def write_nemo(model, path: Path, hf_assets: Path) -> None:
    """Write ``path`` from a model on its ranks; called on every rank, atomic.

    Args:
        model: NeMo ``MegatronGPTModel``.
        path: the ``.nemo`` file to write; an existing one is replaced.
        hf_assets: folder whose files go into ``hf/``: configuration and tokenizer, no weights.
    """
    from nemo.utils.callbacks.dist_ckpt_io import (
        DistributedCheckpointIO,
    )  # here: a reader of configurations waits seconds

    rank = torch.distributed.get_rank()
    staging = path.with_name(f".{path.name}.partial")
    if rank == 0:
        shutil.rmtree(staging, ignore_errors=True)
        (staging / WEIGHTS_NAME).mkdir(parents=True)
    torch.distributed.barrier()
    checkpoint_io = DistributedCheckpointIO.from_config(model.cfg, async_save=False)
    checkpoint_io.save_checkpoint(model.sharded_state_dict(), str(staging / WEIGHTS_NAME))
    torch.distributed.barrier()
    if rank == 0:
        write_side_files(staging, model.cfg, hf_assets)
        pack(staging, path)
    torch.distributed.barrier()


def write_stage_model(model, path: Path, settings: ModelSettings) -> None:
    """``write_nemo`` with the side files of the checkpoint that the stage started from, or the tokenizer's folder."""
    if settings.restore_from is None:
        write_nemo(model, path, Path(settings.tokenizer))
        return
    with unpacked(Path(settings.restore_from), HF_NAME) as folder:
        write_nemo(model, path, folder / HF_NAME)


def write_side_files(folder: Path, config: DictConfig, hf_assets: Path) -> None:
    """Put NeMo's configuration and the Hugging Face side files beside the weights."""
    OmegaConf.save(config, folder / CONFIG_NAME)
    copy_hf_assets(hf_assets, folder / HF_NAME)


def copy_hf_assets(source: Path, target: Path) -> None:
    """Copy the files of a Hugging Face folder that are no weights; subfolders and hidden files stay behind.

    Permissions are not copied: a read-only model folder must not make a folder that cannot be removed.
    """
    target.mkdir(exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.name.startswith(".") and not any(map(file.match, WEIGHT_PATTERNS)):
            shutil.copyfile(file, target / file.name)


def pack(folder: Path, path: Path) -> None:
    """Tar ``folder`` into ``path`` through a temporary name, then remove the folder."""
    partial = folder.with_suffix(".tar")
    with tarfile.open(partial, "w:") as archive:
        for entry in sorted(folder.iterdir()):
            archive.add(entry, arcname=entry.name)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    shutil.rmtree(folder)


def require_same_architecture(path: Path, model: ModelSettings) -> None:
    """Compare a checkpoint with the settings before anything long starts.

    Raises:
        CheckpointMismatch: lists every key that differs, with both values.
    """
    if not path.exists():
        raise CheckpointMismatch(f"model.restore_from={path}: no such file or folder")
    if wrong := architecture_differences(path, vars(model)):
        raise CheckpointMismatch(
            f"{path} is a checkpoint of another architecture:\n" + "\n".join(f"  {line}" for line in wrong) + "\n"
            "Choose the model group that fits it (model=...), or import the right checkpoint."
        )
