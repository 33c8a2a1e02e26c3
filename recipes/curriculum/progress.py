"""``RUN/curriculum.json``: the words that the run was started with, and the steps that are done."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recipes.atomic_files import write_text
from recipes.curriculum.steps import Step

FREE_SECTIONS = ("cluster", "checkpoint", "logging")
"""Settings that may change from one start to the next: where and how a run is done, not what it computes."""


class ProgressError(ValueError):
    """A run folder that the command must not go on with; the message says what to remove or to type."""


@dataclass(slots=True)
class Progress:
    """What a run folder holds already."""

    path: Path
    overrides: tuple[str, ...]
    """The user's words, sorted, without those of ``FREE_SECTIONS`` and ``run.directory``."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Name of a step that is done -> wall seconds of the attempt that ended it."""

    @classmethod
    def open(cls, root: Path, overrides: Sequence[str]) -> Progress:
        """Of a new run or of one that goes on.

        Raises:
            ProgressError: the folder holds a run that was started with other words.
        """
        path, words = root / "curriculum.json", tuple(sorted(filter(_binds, overrides)))
        if not path.is_file():
            return cls(path, words)
        found = json.loads(path.read_text(encoding="utf-8"))
        progress = cls(path, tuple(found["overrides"]), found["seconds"])
        if progress.overrides != words:
            then, now = (_shown(set(a) - set(b)) for a, b in ((progress.overrides, words), (words, progress.overrides)))
            raise ProgressError(
                f"{root} holds a run that was started with other words: there {then}, here {now}; give the same words "
                f"to go on, or run.directory=FOLDER for another run"
            )
        return progress

    def done(self, step: Step) -> bool:
        """The step ended and its output is still there."""
        return step.name in self.seconds and step.output.exists()

    def pending(self, steps: Sequence[Step]) -> list[Step]:
        """The steps that are not done, and those whose input is about to be made anew.

        Raises:
            ProgressError: a stage was trained already from weights that are about to be made anew.
        """
        todo, stale, anew = [], [], False
        for step in steps:
            if anew and step.trains and _begun(step):
                stale.append(str(step.folder))
            if anew or not self.done(step):
                todo.append(step)
                anew = anew or step.feeds
        if stale:
            raise ProgressError(
                f"{todo[0].name} is not done, but later stages were trained already, from other weights; to train them "
                f"again: rm -r {' '.join(stale)}"
            )
        return todo

    def record(self, step: Step, seconds: float) -> None:
        """The step is done; atomic."""
        self.seconds[step.name] = round(seconds, 1)
        self.save()

    def forget(self, steps: Sequence[Step]) -> None:
        """These steps are not done any more; atomic."""
        for step in steps:
            self.seconds.pop(step.name, None)
        self.save()

    def save(self) -> None:
        """Write the file; atomic."""
        content = {"overrides": self.overrides, "seconds": self.seconds}
        write_text(self.path, json.dumps(content, indent=1) + "\n")


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Two commands in one run folder would overwrite each other's checkpoints.

    Raises:
        ProgressError: another process is at work there.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ProgressError(f"another run_curriculum is at work in {root}; wait for it or end it") from error
        yield


def _begun(step: Step) -> bool:
    return step.output.exists() or any(step.folder.glob("checkpoints/step_*"))


def _binds(word: str) -> bool:
    key = word.partition("=")[0]
    return key != "run.directory" and key.partition(".")[0] not in FREE_SECTIONS


def _shown(words: set[str]) -> str:
    return " ".join(sorted(words)) or "none of them"
