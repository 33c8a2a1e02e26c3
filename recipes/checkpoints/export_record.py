"""``export.json``: what an exported folder was made from and how, beside what was exported.

It also tells a folder that ``recipes.export`` wrote, and may replace, from one that it must not touch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.checkpoints.export_rules import MARKER_NAME
from recipes.checkpoints.hf_config import CONFIG_NAME
from recipes.checkpoints.manifest import ManifestError, manifest_path, manifest_problems, model_file, read_manifest
from recipes.checkpoints.provenance import git_state, versions


def is_hugging_face(path: Path) -> bool:
    """Whether a checkpoint is a folder of Hugging Face weights, and no ``.nemo``."""
    return (path / CONFIG_NAME).is_file() and any(path.glob("*.safetensors"))


def source_of(checkpoint: Path, *, hashed: bool) -> dict[str, Any]:
    """Where weights come from: ``checkpoint`` (absolute), ``sha256``, ``bytes``, ``stage``, and ``hugging_face``, the
    folder in between, null where there is none.

    Args:
        checkpoint: a ``.nemo`` file or folder, or a Hugging Face folder.
        hashed: whether weights without a manifest are read for their digest; else that is null.
    """
    if is_hugging_face(checkpoint):
        before = read_record(checkpoint).get("source") or _unknown(checkpoint, hashed=hashed)
        return {**before, "hugging_face": str(checkpoint.absolute())}
    if checkpoint.exists() and not manifest_problems(checkpoint, hashed_bytes=0):
        manifest = read_manifest(manifest_path(checkpoint))
        known = {"sha256": manifest.model.sha256, "bytes": manifest.model.bytes, "stage": manifest.stage}
        return {"checkpoint": str(checkpoint.absolute()), **known, "hugging_face": None}
    return _unknown(checkpoint, hashed=hashed)


def record_of(kind: str, checkpoint: Path, source: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The content of ``export.json``.

    Args:
        kind: ``hf`` or ``trtllm``.
        checkpoint: as the user wrote it.
        source: of ``source_of``.
        more: what else this kind of export records.
    """
    git = git_state()
    return {
        "written_by": "python -m recipes.export",
        "format": kind,
        "checkpoint": str(checkpoint),
        "source": dict(source),
        "git": asdict(git) if git else None,
        "versions": versions(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **more,
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``export.json``; atomic."""
    write_text(folder / MARKER_NAME, json.dumps(record, indent=2) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """What ``export.json`` says; empty where there is none or no whole one."""
    try:
        found = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_export_of(folder: Path, checkpoint: Path, kind: str, **expected: Any) -> bool:
    """Whether a folder is a whole export of the weights that a finished stage's manifest vouches for now.

    Args:
        folder: perhaps an export.
        checkpoint: weights with a manifest.
        kind: ``hf`` or ``trtllm``.
        expected: other entries of the record that must be equal.
    """
    record = read_record(folder)
    try:
        digest = read_manifest(manifest_path(checkpoint)).model.sha256
    except ManifestError:
        return False
    same = record.get("format") == kind and (record.get("source") or {}).get("sha256") == digest
    return same and all(record.get(key) == value for key, value in expected.items())


def _unknown(checkpoint: Path, *, hashed: bool) -> dict[str, Any]:
    found = model_file(checkpoint) if hashed else None
    return {
        "checkpoint": str(checkpoint.absolute()),
        "sha256": found.sha256 if found else None,
        "bytes": found.bytes if found else None,
        "stage": None,
        "hugging_face": None,
    }
