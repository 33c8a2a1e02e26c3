"""The chain of weights from the first ones to a stage's, by the parents that the manifests record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes.checkpoints.manifest import (
    MANIFEST_NAME,
    MODEL_NAME,
    Manifest,
    ManifestError,
    Parent,
    file_sha256,
    manifest_path,
    manifest_problems,
    read_manifest,
)


class LineageError(ValueError):
    """A path that names no finished weights; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Link:
    """One checkpoint of the chain."""

    checkpoint: Path
    manifest: Manifest | None
    """None where it is missing or unreadable; ``problems`` says why."""
    scores: Mapping[str, Mapping[str, Any]]
    """Benchmark -> what ``evaluation.run`` found; empty where it was not evaluated."""
    problems: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints, ready for JSON."""
        found = self.manifest
        return {
            "checkpoint": str(self.checkpoint),
            "stage": found.stage if found else None,
            "kind": found.kind if found else None,
            "steps": found.steps if found else None,
            "git": asdict(found.git) if found and found.git else None,
            "data": {key: asdict(file) for key, file in found.data.items()} if found else {},
            "source": found.source if found else None,
            "scores": {name: {key: score.get(key) for key in ("avg", "n")} for name, score in self.scores.items()},
            "validation": _last_validation(found) if found else None,
            "temperature": found.temperature if found else None,
            "wall_hours": round(found.wall_seconds / 3600, 4) if found else None,
            "gpu_hours": found.gpu_hours if found else None,
            "attempts": len(found.attempts) if found else None,
            "finished": found.finished if found else None,
            "manifest_sha256": file_sha256(manifest_path(self.checkpoint)) if found else None,
            "problems": list(self.problems),
        }


def checkpoint_of(path: Path) -> Path:
    """The weights that a path means: a ``.nemo``, a run directory's, or the last ones of a curriculum's folder.

    Raises:
        LineageError: there are none.
    """
    if path.is_file() or path.name.endswith(".nemo"):
        if not manifest_path(path).is_file():
            raise LineageError(f"{path}: no {manifest_path(path).name} beside it, so nothing is known of its origin")
        return path
    if (path / MANIFEST_NAME).is_file():
        return path / MODEL_NAME
    stages = [found.with_name(MODEL_NAME) for found in path.glob(f"*/{MANIFEST_NAME}")]
    if not stages:
        raise LineageError(
            f"{path}: no {MANIFEST_NAME} in it nor in a folder of it; expected the directory of a finished run, a "
            ".nemo with its manifest, or the folder of a curriculum with a finished stage"
        )
    return max(stages, key=lambda checkpoint: read_manifest(manifest_path(checkpoint)).finished)


def lineage(checkpoint: Path) -> list[Link]:
    """The chain that ends in ``checkpoint``, the first weights first; a missing or changed parent is a ``problem``."""
    chain: list[Link] = []
    expected: Parent | None = None
    at: Path | None = checkpoint
    seen: set[Path] = set()
    while at is not None:
        link = _link(at, expected)
        if at.absolute() in seen:
            chain.append(Link(at, None, {}, [f"{at}: its own ancestor; a manifest in this chain is wrong"]))
            break
        seen.add(at.absolute())
        chain.append(link)
        expected = link.manifest.parent if link.manifest else None
        at = _place(expected, at, link.manifest) if expected and link.manifest else None
    return chain[::-1]


def _link(checkpoint: Path, expected: Parent | None) -> Link:
    path, problems = manifest_path(checkpoint), []
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        return Link(checkpoint, None, {}, [_missing(checkpoint, expected, str(error))])
    if expected is not None and expected.manifest_sha256 is None:
        problems.append(
            f"{checkpoint}: had no manifest when the next stage started from it, so nothing can be compared"
        )
    elif expected is not None and file_sha256(path) != expected.manifest_sha256:
        problems.append(
            f"{path}: changed since the next stage started from it (sha256 {file_sha256(path)[:12]}..., recorded "
            f"{str(expected.manifest_sha256)[:12]}...): the weights here are other ones; train the next stages "
            "again, or bring the old ones back"
        )
    problems += manifest_problems(checkpoint)
    return Link(checkpoint, manifest, _scores(checkpoint), problems)


def _missing(checkpoint: Path, expected: Parent | None, why: str) -> str:
    if expected is None:
        return why
    if expected.manifest_sha256 is None:
        return f"{checkpoint}: weights without a manifest (run.require_parent_manifest=false); their origin is unknown"
    return f"{checkpoint}: the parent ({expected.stage}) is missing; bring its folder back to this place. {why}"


def _place(parent: Parent, child: Path, manifest: Manifest) -> Path:
    """Where a parent lies: as recorded, or at the same place beside a child that was moved together with it."""
    recorded = Path(parent.checkpoint)
    if manifest_path(recorded).is_file():
        return recorded
    beside = Path(os.path.normpath(child.absolute().parent / os.path.relpath(recorded, manifest.run_directory)))
    moved = manifest_path(beside)
    return beside if moved.is_file() and file_sha256(moved) == parent.manifest_sha256 else recorded


def _scores(checkpoint: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        found = json.loads((checkpoint.parent / "evaluation" / "scores.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and checkpoint.name == MODEL_NAME else {}


def _last_validation(manifest: Manifest) -> Mapping[str, Any] | None:
    """The newest held-out values that the stage measured itself."""
    rows = manifest.metrics.get("validation") or []
    return rows[-1] if rows else None
