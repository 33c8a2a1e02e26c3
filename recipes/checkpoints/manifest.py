"""``manifest.json``: where finished weights come from, and the proof that they are whole.

Written as the last thing of a stage or an import, so that weights with a manifest are complete. A stage starts from
such weights alone (``run.require_parent_manifest``) and records their manifest's hash: the chain that
``python -m recipes.lineage`` prints and verifies.

    RUN/model.nemo  -> RUN/manifest.json
    base.nemo       -> base.manifest.json
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recipes.atomic_files import write_text

FORMAT_VERSION = 1
MODEL_NAME = "model.nemo"
"""The weights that a stage hands on, in its run directory."""
MANIFEST_NAME = "manifest.json"
"""The manifest of ``MODEL_NAME``, beside it."""
HASHED_BYTES = 2**30
"""Weights up to this size (1 GiB) are hashed again before they are used; of larger ones the size alone is compared."""
_CHUNK = 2**22
_BAR_BYTES = 2**31
"""Hashing this much takes more than a few seconds, so it shows a progress bar."""


class ManifestError(ValueError):
    """A manifest that is missing, torn or of another format; the message names the file and the fix."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The weights that a manifest vouches for."""

    file: str
    """Name, in the folder of the manifest."""
    bytes: int
    """Of the file; of a folder: of all its files."""
    sha256: str
    """Of the file's content; of a folder: of its list of names and sizes."""
    files: Mapping[str, int] | None = None
    """Of a folder: relative name -> bytes; null for a file."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The weights that a stage started from."""

    checkpoint: str
    """Absolute path."""
    manifest_sha256: str | None
    """Of the bytes of the parent's manifest; null for weights without one (``run.require_parent_manifest=false``)."""
    stage: str | None
    run_directory: str | None
    """Absolute path; null for weights without a manifest."""


@dataclass(frozen=True, slots=True)
class GitState:
    """The project's checkout."""

    sha: str
    dirty: bool
    """Tracked files differ from the commit."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of problems or demonstrations as the stage read it."""

    path: str
    rows: int
    """Lines that are not blank."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about finished weights; the fields are the keys of the file."""

    stage: str
    """``stage.name``; ``import`` for weights converted from Hugging Face."""
    kind: str
    """``sft``, ``grpo`` or ``import``."""
    steps: int
    """Updates done."""
    run_directory: str
    """Absolute path of the folder that the manifest was written in."""
    model: ModelFile
    parent: Parent | None
    """Null: the weights were random, or imported (``source``)."""
    source: Mapping[str, Any] | None
    """Of an import: ``folder`` and ``config_sha256``; null else."""
    git: GitState | None
    """Null where there is no git checkout."""
    settings: Mapping[str, Any]
    """Every key of the configuration, resolved."""
    data: Mapping[str, DataFile]
    """Key of the configuration (``data.train``, ``data.validation``) -> the file."""
    versions: Mapping[str, str]
    """``python`` and the distributions that decide about results."""
    metrics: Mapping[str, Any]
    """``last`` (last row of metrics.jsonl), ``means`` (over the last steps), ``validation``, ``stopped_by``."""
    attempts: Sequence[Mapping[str, Any]]
    """The starts of the stage: one for an uninterrupted run."""
    wall_seconds: float
    """Sum over the attempts."""
    device_hours: float
    """Wall hours times processes, on any accelerator."""
    gpu_hours: float
    """The same on GPUs; 0 on CPUs."""
    temperature: float | None
    """Sampling temperature of the rollouts; null where nothing is sampled."""
    started: str
    """ISO 8601, UTC."""
    finished: str
    format_version: int = FORMAT_VERSION
    complete: bool = True


def manifest_path(checkpoint: Path) -> Path:
    """Where the manifest of a checkpoint lies, whether it is there or not."""
    if checkpoint.name == MODEL_NAME:
        return checkpoint.with_name(MANIFEST_NAME)
    return checkpoint.with_name(f"{checkpoint.name.removesuffix('.nemo')}.manifest.json")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the file; atomic. The weights must be on disk already."""
    write_text(path, json.dumps(asdict(manifest), indent=1) + "\n")


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        ManifestError: no such file, no complete JSON, another format version or missing fields.
    """
    again = "start the stage again, which goes on from its last checkpoint, or import the weights again"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: no such file; {again}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(f"{path}: unreadable ({error}); remove it and {again}") from error
    if not isinstance(found, dict) or found.get("complete") is not True:
        raise ManifestError(f"{path}: not marked as complete; remove it and {again}")
    if found.get("format_version") != FORMAT_VERSION:
        raise ManifestError(
            f"{path}: format version {found.get('format_version')}, expected {FORMAT_VERSION}; use the project's "
            "version that wrote it, or set run.require_parent_manifest=false"
        )
    try:
        return Manifest(
            **{
                **found,
                "model": ModelFile(**found["model"]),
                "parent": Parent(**found["parent"]) if found["parent"] else None,
                "git": GitState(**found["git"]) if found["git"] else None,
                "data": {key: DataFile(**value) for key, value in found["data"].items()},
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: fields missing or unknown ({error}); remove it and {again}") from error


def manifest_problems(checkpoint: Path, *, hashed_bytes: int = HASHED_BYTES) -> list[str]:
    """Why weights cannot be trusted to be a finished stage's; empty when they can.

    Args:
        checkpoint: a ``.nemo`` file or folder.
        hashed_bytes: weights up to this size are hashed; a folder's files are compared by size.
    """
    if not checkpoint.exists():
        return [f"{checkpoint}: no such file or folder"]
    path = manifest_path(checkpoint)
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        return [str(error)]
    expected, problems = manifest.model, []
    if expected.file != checkpoint.name:
        problems.append(f"{path}: is about {expected.file}, not about {checkpoint.name}")
    if checkpoint.is_dir() != (expected.files is not None):
        kinds = ("a folder", "a file") if checkpoint.is_dir() else ("a file", "a folder")
        problems.append(f"{checkpoint}: found {kinds[0]}, {path.name} says {kinds[1]}")
    elif expected.files is not None:
        problems += _folder_problems(checkpoint, expected.files, path.name)
    elif (size := checkpoint.stat().st_size) != expected.bytes:
        problems.append(f"{checkpoint}: {size:,} bytes, {path.name} says {expected.bytes:,}")
    elif size <= hashed_bytes and (found := file_sha256(checkpoint)) != expected.sha256:
        problems.append(f"{checkpoint}: sha256 {found[:12]}..., {path.name} says {expected.sha256[:12]}...")
    return problems


def require_manifest(checkpoint: Path, *, hashed_bytes: int = HASHED_BYTES) -> None:
    """Refuse to start from weights that are not known to be whole.

    Raises:
        ManifestError: every problem, and the fix.
    """
    if problems := manifest_problems(checkpoint, hashed_bytes=hashed_bytes):
        raise ManifestError(
            f"model.restore_from={checkpoint} has no complete manifest:\n"
            + "".join(f"  {problem}\n" for problem in problems)
            + "A stage starts from finished weights: let the stage before it end, import the weights with "
            "python -m recipes.import_hf HF_DIR OUT.nemo, or set run.require_parent_manifest=false for a .nemo of "
            "another origin."
        )


def parent_of(checkpoint: Path) -> Parent:
    """What a stage that starts from ``checkpoint`` records; a missing manifest leaves the fields null."""
    path = manifest_path(checkpoint)
    try:
        manifest, digest = read_manifest(path), file_sha256(path)
    except ManifestError:
        return Parent(str(checkpoint.absolute()), None, None, None)
    return Parent(str(checkpoint.absolute()), digest, manifest.stage, str(checkpoint.absolute().parent))


def model_file(checkpoint: Path) -> ModelFile:
    """Size and hash of weights on disk, read once, with a progress bar where that takes long."""
    if not checkpoint.is_dir():
        return ModelFile(checkpoint.name, checkpoint.stat().st_size, file_sha256(checkpoint))
    sizes = _sizes(checkpoint)
    digest = hashlib.sha256(json.dumps(sizes).encode()).hexdigest()
    return ModelFile(checkpoint.name, sum(sizes.values()), digest, sizes)


def data_file(path: Path) -> DataFile:
    """Rows and hash of a JSONL file, read once."""
    rows, digest = 0, hashlib.sha256()
    with path.open("rb") as lines:
        for line in lines:
            digest.update(line)
            rows += bool(line.strip())
    return DataFile(str(path.absolute()), rows, digest.hexdigest())


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content, streamed."""
    digest, size = hashlib.sha256(), path.stat().st_size
    bar = tqdm(total=size, desc=f"hashing {path.name}", unit="B", unit_scale=True, disable=size < _BAR_BYTES)
    with path.open("rb") as file, bar:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _folder_problems(folder: Path, expected: Mapping[str, int], manifest: str) -> list[str]:
    found = _sizes(folder)
    problems = [f"{folder / name}: missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{folder / name}: not in {manifest}" for name in sorted(found.keys() - expected.keys())]
    return problems + [
        f"{folder / name}: {found[name]:,} bytes, {manifest} says {size:,}"
        for name, size in sorted(expected.items())
        if name in found and found[name] != size
    ]


def _sizes(folder: Path) -> dict[str, int]:
    files = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(files)}
