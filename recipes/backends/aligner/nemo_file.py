"""The ``.nemo`` file: Megatron weights that load at any TP and PP, NeMo's configuration, Hugging Face side files.

Layout (a plain tar, or the same files in a folder)::

    model_config.yaml     NeMo's model node
    model_weights/        Megatron distributed checkpoint (torch_dist), independent of TP and PP
    hf/                   config.json, generation_config.json, tokenizer files: what ``recipes.export`` hands on
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from recipes.backends.aligner.nemo_config import ARCHITECTURE_KEYS
from recipes.settings.schema import ModelSettings

CONFIG_NAME = "model_config.yaml"
WEIGHTS_NAME = "model_weights"
HF_NAME = "hf"
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


class CheckpointMismatch(ValueError):
    """A checkpoint that does not fit the settings, every difference listed."""


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


@contextmanager
def unpacked(path: Path, *names: str) -> Iterator[Path]:
    """The parts ``names`` of a ``.nemo`` file or folder as a folder for the time of the block; all when none named.

    Raises:
        CheckpointMismatch: the path is no ``.nemo`` file or folder, or one that is cut short.
    """
    if path.is_dir():
        if not (path / CONFIG_NAME).is_file():
            raise CheckpointMismatch(f"{path}: no {CONFIG_NAME} in this folder, so it is no unpacked .nemo checkpoint")
        yield path
        return
    if not path.is_file() or not tarfile.is_tarfile(path):
        raise CheckpointMismatch(
            f"{path}: not a .nemo file. Make one with: python -m recipes.import_hf HF_DIR OUT.nemo"
        )
    # Beside the file, where there is room for it; a read-only model store leaves the system's temporary folder.
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=beside, prefix=f".{path.name}.") as scratch:
        try:
            with tarfile.open(path) as archive:
                # Absent from the oldest patch releases of Python 3.10 and 3.11.
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                members = archive.getmembers()
                archive.extractall(scratch, members=[m for m in members if not names or _first_part(m.name) in names])
        except (tarfile.ReadError, EOFError) as error:
            raise CheckpointMismatch(f"{path}: cut short or damaged ({error}); copy or convert it again") from error
        missing = {CONFIG_NAME, WEIGHTS_NAME} - {_first_part(member.name) for member in members}
        if missing:
            raise CheckpointMismatch(f"{path}: no {' and no '.join(sorted(missing))} in it; copy or convert it again")
        yield Path(scratch)


def _first_part(name: str) -> str:
    return name.removeprefix("./").split("/")[0]


def read_config(path: Path) -> DictConfig:
    """NeMo's model node of a ``.nemo`` file or folder."""
    with unpacked(path, CONFIG_NAME) as folder:
        return load_config(folder)


def load_config(folder: Path) -> DictConfig:
    """NeMo's model node of an unpacked ``.nemo``.

    Raises:
        CheckpointMismatch: it is no YAML mapping.
    """
    config = OmegaConf.load(folder / CONFIG_NAME)
    if not isinstance(config, DictConfig):
        raise CheckpointMismatch(f"{folder / CONFIG_NAME}: expected a mapping")
    return config


def require_same_architecture(path: Path, model: ModelSettings) -> None:
    """Compare a checkpoint with the settings before anything long starts.

    Raises:
        CheckpointMismatch: lists every key that differs, with both values.
    """
    if not path.exists():
        raise CheckpointMismatch(f"model.restore_from={path}: no such file or folder")
    found = read_config(path)
    expected = {f"model.{ours}": (getattr(model, ours), found.get(nemo)) for ours, nemo in ARCHITECTURE_KEYS.items()}
    expected["model.architecture"] = (model.architecture, "qwen2" if found.get("qkv_bias") else "llama")
    wrong = [
        f"  {key}: the settings say {ours}, the checkpoint {theirs}"
        for key, (ours, theirs) in expected.items()
        if ours != theirs
    ]
    if wrong:
        raise CheckpointMismatch(
            f"{path} is a checkpoint of another architecture:\n" + "\n".join(wrong) + "\n"
            "Choose the model group that fits it (model=...), or import the right checkpoint."
        )
