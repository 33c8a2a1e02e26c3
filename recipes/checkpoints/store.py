"""Periodic checkpoints on disk: written under a temporary name, complete or not there, newest complete one found again.

Layout::

    <directory>/step_00000010/         appears by one rename, after every byte is on disk
        checkpoint.json                step, progress, and the size of every file: what "complete" means
        state/                         written by the backend
    <directory>/.step_00000020.partial left by a killed run; never read, removed by the next save
    <directory>/.step_00000001.old.partial on its way out, likewise
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)
MANIFEST = "checkpoint.json"
_STEP = re.compile(r"step_(\d{8})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One complete checkpoint."""

    step: int
    """Updates done."""
    progress: Mapping[str, Any]
    """What the training loop handed to ``commit``."""
    directory: Path

    @property
    def state(self) -> Path:
        """The folder that the backend wrote."""
        return self.directory / "state"


@dataclass(frozen=True, slots=True)
class CheckpointStore:
    """The checkpoints of one run. One process writes (``begin``, ``commit``); every process may read."""

    directory: Path
    keep: int
    """Newest complete checkpoints that stay; at least 1."""

    def pending_state(self, step: int) -> Path:
        """The folder that the state of ``step`` is written to between ``begin`` and ``commit``."""
        return self._partial(step) / "state"

    def begin(self, step: int) -> None:
        """Make ``pending_state(step)``; whatever killed saves left is removed."""
        self.remove_leftovers()
        self.pending_state(step).mkdir(parents=True)

    def remove_leftovers(self) -> None:
        """Of saves and removals that were killed."""
        for leftover in self.directory.glob(".step_*.partial"):
            shutil.rmtree(leftover)

    def commit(self, step: int, progress: Mapping[str, Any]) -> Checkpoint:
        """Make the checkpoint begun for ``step`` visible in one rename, then remove those beyond ``keep``."""
        partial, final = self._partial(step), self.directory / f"step_{step:08d}"
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        sizes = {}
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sizes[str(path.relative_to(partial))] = path.stat().st_size
        manifest = {"step": step, "progress": dict(progress), "files": sizes}
        with (partial / MANIFEST).open("w") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        self._remove(final)
        os.replace(partial, final)
        _flush_names(self.directory)
        for old in self.complete()[self.keep :]:
            self._remove(old.directory)
        return Checkpoint(step, progress, final)

    def latest(self) -> Checkpoint | None:
        """The newest complete checkpoint, None when there is none."""
        found = self.complete()
        return found[0] if found else None

    def resume_point(self, *, resume: bool) -> Checkpoint | None:
        """Where a run goes on; None: from the start.

        Raises:
            ValueError: there is a checkpoint and ``resume`` (``run.resume``) is False.
        """
        latest = self.latest()
        if latest is not None and not resume:
            raise ValueError(
                f"run.resume=false, but {self.directory} has a checkpoint of step {latest.step}; "
                "set run.directory to a new folder, remove this one, or set run.resume=true to go on"
            )
        return latest

    def complete(self) -> list[Checkpoint]:
        """Every complete checkpoint, newest first. A damaged one is left out with a warning that names it."""
        if not self.directory.is_dir():
            return []
        found = []
        for path in sorted(self.directory.iterdir(), reverse=True):
            if not _STEP.fullmatch(path.name):
                continue
            look = _look(path)
            if isinstance(look, Checkpoint):
                found.append(look)
            else:
                LOG.warning("checkpoint %s is not complete (%s); it is left out", path, look)
        return found

    def damaged(self) -> list[Path]:
        """Folders with a checkpoint's name that are none: a kill leaves no such thing, a copy or a full disk may."""
        folders = self.directory.iterdir() if self.directory.is_dir() else ()
        return sorted(path for path in folders if _STEP.fullmatch(path.name) and isinstance(_look(path), str))

    def _partial(self, step: int) -> Path:
        return self.directory / f".step_{step:08d}.partial"

    def _remove(self, checkpoint: Path) -> None:
        """Renamed first: a kill in the middle must not leave a torn folder with a checkpoint's name."""
        if not checkpoint.exists():
            return
        leaving = self.directory / f".{checkpoint.name}.old.partial"
        shutil.rmtree(leaving, ignore_errors=True)
        os.replace(checkpoint, leaving)
        shutil.rmtree(leaving)


def _flush_names(directory: Path) -> None:
    """A rename is on disk once its folder is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _look(path: Path) -> Checkpoint | str:
    """What a folder with a checkpoint's name holds, or why that cannot be trusted."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        found, files = Checkpoint(manifest["step"], manifest["progress"], path), manifest["files"]
    except FileNotFoundError:
        return f"no {MANIFEST}"
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        return f"{MANIFEST} unreadable: {error}"
    for name, size in files.items():
        try:
            has = (path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):  # another process may prune it at this moment
            return f"{name} missing"
        if has != size:
            return f"{name} has {has} bytes, expected {size}"
    return found
