"""A step as phases, a phase as tasks: what runs in parallel, what has been done, and what makes it void.

Every phase has a folder below ``OUTPUT/work`` with what it wrote, a mark for each task that is done, and a key: the
hash of all that its content follows from. With another key the folder is emptied and the phase runs again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.rows import canonical

NOTE = "key.json"


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
    outputs: tuple[Path, ...] = ()
    """Files and folders that it writes for the user, beside the folder of all phases."""


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
        """Empty the folder where its content follows from something else, or what it wrote for the user is gone."""
        outputs = self.phase.outputs
        if _note(self.path).get("key") == key and (self.open_tasks() or all(path.exists() for path in outputs)):
            return
        remove_phase(self.path, keep=outputs)
        names = [_inside(self.work, path) for path in outputs]
        note = {"key": key, "follows_from": dict(self.phase.follows_from), "outputs": names}
        write_text(self.path / NOTE, json.dumps(note, indent=1) + "\n")

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

    def _mark(self, task: int) -> Path:
        return self.path / "done" / f"{task:05d}"


def begin_all(phases: list[Phase], work: Path) -> list[PhaseFolder]:
    """The folders of all phases, emptied where they are void; phases that are not wanted are removed."""
    key, folders = "", []
    for phase in phases:
        folder = PhaseFolder(phase, work)
        key = folder.key(key)
        folder.begin(key)
        folders.append(folder)
    names = {phase.name for phase in phases}
    for other in work.iterdir() if work.is_dir() else ():
        if (other / NOTE).is_file() and other.name not in names:
            remove_phase(other)
    return folders


def remove_phase(folder: Path, keep: Sequence[Path] = ()) -> None:
    """Remove a phase's folder and what it wrote for the user, so that nothing lies there which no command made.

    Args:
        keep: what will be written again.
    """
    work = folder.parent
    kept = {_inside(work, path) for path in keep}
    for name in _note(folder).get("outputs", []):
        path = work.parent / name
        if name not in kept:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _inside(work: Path, path: Path) -> str:
    """The path below the output folder: a copy of that folder speaks of its own files, never of the original's.

    Raises:
        ValueError: it lies elsewhere.
    """
    return path.resolve().relative_to(work.resolve().parent).as_posix()


def _note(folder: Path) -> dict[str, Any]:
    """What the folder says of itself; nothing where it is new or torn."""
    try:
        found = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
