"""What of a run is done: its outputs on disk tell it, and ``RUN/curriculum.json`` the words that it was started with.

The steps may have been done by ``recipes.run_curriculum`` or by jobs of a cluster, in any number of starts.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.checkpoints.export_record import is_export_of
from recipes.checkpoints.manifest import file_sha256, manifest_path
from recipes.curriculum.steps import ENGINE, Step
from recipes.settings.overrides import group_options
from recipes.settings.stage_words import split_stage
from recipes.settings.typed import CONF

FREE_SECTIONS = ("cluster", "checkpoint", "logging", "export", "deployment")
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
    """Name of a step that ``recipes.run_curriculum`` did -> wall seconds of the attempt that ended it."""

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
        """The step's output is there, whole, and made from the weights that are there now."""
        if not step.output.is_file():
            return False
        if step.trains:
            return bool(_json(step.output).get("complete")) and not self.outdated(step)
        if step.entries and not _whole(step):
            return False
        weights = manifest_path(step.weights) if step.weights else None
        if weights is None or not weights.is_file() or _modified(weights) <= _modified(step.output):
            return True
        return _made_from(step, weights)  # a copy of the run may have its files in any order of time

    def outdated(self, step: Step) -> bool:
        """A stage was begun from other weights than those that are there now."""
        if not step.trains or step.weights is None:
            return False
        parent = _json(step.output).get("parent") or _json(_last_attempt(step.folder)).get("parent") or {}
        recorded, now = parent.get("manifest_sha256"), manifest_path(step.weights)
        return bool(recorded) and now.is_file() and file_sha256(now) != recorded

    def pending(self, steps: Sequence[Step]) -> list[Step]:
        """The steps that are not done, and those whose input is about to be made anew.

        Raises:
            ProgressError: a stage was trained already, from weights that have changed or are about to be made anew.
        """
        todo, stale, anew = [], [], False
        for step in steps:
            if step.trains and _begun(step) and (anew or self.outdated(step)):
                stale.append(str(step.folder))
            if anew or not self.done(step):
                todo.append(step)
                anew = anew or step.feeds
        if stale:
            raise ProgressError(
                f"{todo[0].name} is to be done, but these stages were trained already, from other weights than they "
                f"would start from; to train them again: rm -r {' '.join(stale)}"
            )
        return todo

    def seconds_of(self, step: Step) -> float | None:
        """Wall seconds of a step: as measured here, else those of a stage's manifest; None where nobody measured."""
        if step.name in self.seconds:
            return self.seconds[step.name]
        return _json(step.output).get("wall_seconds") if step.trains else None

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


def _whole(step: Step) -> bool:
    """Every benchmark has its scores, and none is short of samples."""
    scores = _json(step.output)
    return step.entries <= scores.keys() and not any(scores[name].get("missing") for name in step.entries)


def _made_from(step: Step, weights: Path) -> bool:
    """Whether an evaluation or an export says itself that it is one of the weights of this manifest."""
    assert step.weights is not None
    if step.entries:
        drawn = [_json(step.folder / name / "sampling.json").get("weights") for name in step.entries]
        return set(drawn) == {file_sha256(weights)}
    kind = "trtllm" if step.name == ENGINE else "hf"
    return is_export_of(step.output.parent, step.weights, kind)


def _begun(step: Step) -> bool:
    return step.output.exists() or any(step.folder.glob("checkpoints/step_*"))


def _last_attempt(folder: Path) -> Path:
    """The newest file of ``attempts/`` (a stage that is not finished has no manifest yet)."""
    return max(folder.glob("attempts/[0-9]*.json"), default=folder / "attempts")


def _json(path: Path) -> Mapping[str, Any]:
    """Content of a JSON object; empty where there is no file or no complete one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def _binds(word: str) -> bool:
    own = split_stage(word, group_options(CONF)["stage"])
    key = (own[1] if own else word).partition("=")[0]
    return key != "run.directory" and key.partition(".")[0] not in FREE_SECTIONS


def _shown(words: set[str]) -> str:
    return " ".join(sorted(words)) or "none of them"
