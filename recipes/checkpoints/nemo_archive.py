"""The ``.nemo`` file as everything without the frameworks reads it.

Layout (a plain tar, or the same files in a folder)::

    model_config.yaml     NeMo's model node
    model_weights/        Megatron distributed checkpoint (torch_dist), independent of TP and PP
    hf/                   config.json, generation_config.json, tokenizer files: what ``recipes.export`` hands on
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CONFIG_NAME = "model_config.yaml"
WEIGHTS_NAME = "model_weights"
HF_NAME = "hf"
_IN_USE = ".in_use"
"""Locked by the process that unpacks into the folder that it lies in."""
ARCHITECTURE_KEYS = {
    "num_layers": "num_layers",
    "hidden_size": "hidden_size",
    "ffn_hidden_size": "ffn_hidden_size",
    "num_attention_heads": "num_attention_heads",
    "num_query_groups": "num_query_groups",
    "vocab_size": "override_vocab_size",
    "rope_theta": "rotary_base",
    "rms_norm_eps": "layernorm_epsilon",
    "tie_word_embeddings": "share_embeddings_and_output_weights",
}
"""Settings key -> NeMo key of what must agree between the settings and a checkpoint."""


class CheckpointMismatch(ValueError):
    """A checkpoint that does not fit the settings, every difference listed."""


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
    with _scratch(path) as scratch:
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
        yield scratch


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A temporary folder for the content of ``path``; those of killed processes are removed."""
    # Beside the file, where there is room for it; a read-only model store leaves the system's temporary folder.
    parent = path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir())
    prefix = f".{path.name}.unpacked-"
    for other in parent.glob(f"{prefix}*"):
        _remove_abandoned(other)
    made = Path(tempfile.mkdtemp(dir=parent, prefix=f".{path.name}.new-"))
    try:
        with (made / _IN_USE).open("w") as mark:
            with suppress(OSError):  # a file system without locks: nobody will take it for abandoned
                fcntl.flock(mark, fcntl.LOCK_EX)
            scratch = made.rename(parent / f"{prefix}{made.name.rpartition('-')[2]}")
            try:
                yield scratch
            finally:
                scratch.rename(made)  # out of the others' sight before the lock goes: they would remove it too
    finally:
        shutil.rmtree(made)


def _remove_abandoned(folder: Path) -> None:
    """Remove a scratch folder whose process is gone: a checkpoint's size each."""
    with suppress(OSError), (folder / _IN_USE).open("r+") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


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


def architecture_differences(path: Path, model: Mapping[str, Any]) -> list[str]:
    """What of a checkpoint's architecture is not that of the settings, a line each; empty when it fits.

    Args:
        path: a ``.nemo`` file or folder.
        model: keys and values of the section ``model``.

    Raises:
        CheckpointMismatch: it is no ``.nemo``, or one that is cut short.
    """
    found = read_config(path)
    pairs = {f"model.{ours}": (model[ours], found.get(nemo)) for ours, nemo in ARCHITECTURE_KEYS.items()}
    pairs["model.architecture"] = (model["architecture"], "qwen2" if found.get("qkv_bias") else "llama")
    return [
        f"{key}: the settings say {ours}, the checkpoint {theirs}"
        for key, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
