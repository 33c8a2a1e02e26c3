"""A step as phases, a phase as tasks: what runs in parallel, what has been done, and what makes it void.

Every phase has a folder below ``OUTPUT/work`` with what it wrote, a mark for each task that is done, and a key: the
hash of all that its content follows from. With another key the folder is emptied and the phase runs again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.rows import canonical


@dataclass(frozen=True, slots=True)
class Phase:
    """Tasks that do not look at each other; each writes whole files into the folder of the phase."""

    name: str
    """``step.phase``; its folder has that name."""
    tasks: int
    run: Callable[[Path, int], None]
    """Given the folder and the number of the task, 0 .. tasks - 1. Travels to other processes: a function of a module,
    or ``functools.partial`` of one."""
    follows_from: Mapping[str, Any] = field(default_factory=dict)
    """What its content depends on beside the phases before it, as JSON."""


@dataclass(frozen=True, slots=True)
class PhaseFolder:
    """A phase and where it stands."""

    phase: Phase
    work: Path

    @property
    def path(self) -> Path:
        """What the tasks write into."""
        return self.work / self.phase.name

    def open_tasks(self) -> list[int]:
        """The tasks that are not done."""
        return [task for task in range(self.phase.tasks) if not self._mark(task).exists()]

    def begin(self, key: str) -> None:
        """Empty the folder where its content follows from something else."""
        note = self.path / "key.json"
        if self._known() == key:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        write_text(note, json.dumps({"key": key, "follows_from": dict(self.phase.follows_from)}, indent=1) + "\n")

    def run(self, task: int) -> None:
        """Do one task, unless it is done."""
        if not self._mark(task).exists():
            self.phase.run(self.path, task)
            write_text(self._mark(task), "")

    def key(self, before: str) -> str:
        """Hash of what the phase's content follows from.

        Args:
            before: key of the phase before it; empty for the first one.
        """
        content = canonical([before, self.phase.name, self.phase.tasks, dict(self.phase.follows_from)])
        return hashlib.sha256(content.encode()).hexdigest()

    def _known(self) -> str | None:
        try:
            key = json.loads((self.path / "key.json").read_text(encoding="utf-8"))["key"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(key)

    def _mark(self, task: int) -> Path:
        return self.path / "done" / f"{task:05d}"


def begin_all(phases: list[Phase], work: Path) -> list[PhaseFolder]:
    """The folders of all phases, emptied where they are void; those of phases that are not wanted are removed."""
    key, folders = "", []
    for phase in phases:
        folder = PhaseFolder(phase, work)
        key = folder.key(key)
        folder.begin(key)
        folders.append(folder)
    names = {phase.name for phase in phases}
    for other in work.iterdir() if work.is_dir() else ():
        if (other / "key.json").is_file() and other.name not in names:
            shutil.rmtree(other)
    return folders
