"""The doorway of a stage: its run directory's lock, where it goes on, what it started from, the record of its start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from recipes.checkpoints.manifest import Parent
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.settings.errors import SettingsError
from recipes.settings.schema import Settings
from recipes.training.attempts import Attempts
from recipes.training.ports import Ranks
from recipes.training.resume_checks import (
    require_nothing_lost,
    require_same_parent,
    require_same_stage,
    steps_beyond,
)
from recipes.training.run_folder import RunFolder, parent_weights
from recipes.training.run_lock import writing
from recipes.training.step_watch import StepWatch
from recipes.training.stop_signal import StopSignal

RequireSameOrder = Callable[[Mapping[str, Any]], Any]
"""Given the ``order`` of a checkpoint; raises ValueError where this start cannot go on with it."""


@dataclass(frozen=True, slots=True)
class StageStart:
    """One start of a stage, on one process."""

    store: CheckpointStore
    checkpoint: Checkpoint | None
    """Where it goes on; None: from the first step."""
    parent: Parent | None
    """The weights that the stage started from; None: random ones."""
    attempts: Attempts | None = None
    """On the main process, once it has begun."""
    stop: StopSignal | None = None

    @property
    def step(self) -> int:
        """Updates done."""
        return self.checkpoint.step if self.checkpoint else 0

    def watch(self, ranks: Ranks) -> StepWatch:
        """What the loop calls after every step; catches the signal again, in case a framework took it over."""
        return StepWatch(self.attempts, (self.stop or StopSignal()).install(), ranks)


def look(settings: Settings, folder: RunFolder, require_same: RequireSameOrder) -> StageStart:
    """Where a stage would go on; writes nothing.

    Raises:
        ValueError: parent weights without a complete manifest, or other ones than at the first start; a checkpoint that
            ``run.resume``, its stage or the order of the data does not let go on; steps whose checkpoints are gone.
    """
    store = CheckpointStore(folder.checkpoints, settings.checkpoint.keep)
    checkpoint, parent = store.resume_point(resume=settings.run.resume), parent_weights(settings)
    require_same_parent(folder, parent, checkpoint)
    if checkpoint is None and settings.run.resume:
        require_nothing_lost(folder, store, settings.checkpoint.save_every_steps)
    if checkpoint is not None:
        require_same_stage(checkpoint, settings.stage.name)
        if problems := steps_beyond(settings, checkpoint):
            raise SettingsError(problems)
        require_same(checkpoint.progress["order"])
    return StageStart(store, checkpoint, parent)


@contextmanager
def entered(
    checked: AbstractContextManager[None],
    settings: Settings,
    folder: RunFolder,
    require_same: RequireSameOrder,
    stop: StopSignal,
    *,
    is_main: bool,
) -> Iterator[StageStart | None]:
    """Hold the run directory for the time of the block, on every process; None when it was finished meanwhile.

    Args:
        checked: around what may be refused, so that the command ends with the message alone (``checked_input``).
        is_main: whether this is the process that takes the lock and writes.

    Raises:
        ValueError: what ``look`` and the lock refuse, through ``checked``.
    """
    with ExitStack() as stack:
        with checked:
            stack.enter_context(writing(folder.directory, is_main=is_main))
            found = None if folder.say_if_finished(settings) else look(settings, folder, require_same)
        if found is None:
            yield None
            return
        attempts = None
        if is_main:
            found.store.remove_leftovers()
            attempts = folder.begin(settings, found.step, found.parent)
        try:
            yield StageStart(found.store, found.checkpoint, found.parent, attempts, stop)
        finally:
            stop.ignore()
