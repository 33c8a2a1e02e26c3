"""``--from`` and ``--to``: a part of a curriculum, by the names of its stages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from recipes.curriculum.progress import Progress, ProgressError
from recipes.curriculum.steps import Step
from recipes.settings.curriculum import StageCommand


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a curriculum a command is about."""

    first: str | None = None
    """Name of the first stage; None: from the start."""
    last: str | None = None
    """Name of the last stage; None: to the end, export included."""

    def choose(
        self,
        steps: Sequence[Step],
        stages: Sequence[StageCommand],
        progress: Progress,
        *,
        require_done: bool = True,
    ) -> list[Step]:
        """The steps from stage ``first`` to stage ``last`` with their evaluations, and what comes before all stages.

        Raises:
            ProgressError: no such stage, ``first`` after ``last``, or, with ``require_done``, a stage before ``first``
                that is not done.
        """
        names = [stage.name for stage in stages]
        for flag, name in (("--from", self.first), ("--to", self.last)):
            if name is not None and name not in names:
                raise ProgressError(f"{flag} {name}: no stage of this curriculum; one of {', '.join(names)}")
        first = names.index(self.first) if self.first else 0
        last = names.index(self.last) if self.last else len(names) - 1
        if first > last:
            raise ProgressError(f"--from {self.first} comes after --to {self.last} in {', '.join(names)}")
        if self.first and require_done:
            self._require_done(set(names[:first]), steps, progress)
        chosen, to_the_end = set(names[first : last + 1]), last == len(names) - 1
        return [step for step in steps if (step.stage in chosen if step.stage else step.feeds or to_the_end)]

    def _require_done(self, before: set[str], steps: Sequence[Step], progress: Progress) -> None:
        missing = [step.name for step in steps if step.trains and step.stage in before and not progress.done(step)]
        if missing:
            raise ProgressError(
                f"--from {self.first}: {missing[0]}, which comes before it, is not done; leave --from out to go on "
                f"where the run is, or begin elsewhere with curriculum.stages and curriculum.initial_model"
            )


def split_flags(arguments: Sequence[str], *more: str) -> tuple[argparse.Namespace, list[str]]:
    """The flags of a curriculum's commands, and the words that are left.

    Args:
        arguments: the command line.
        more: flags without a value, besides ``--from`` and ``--to``.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--from", dest="first", metavar="STAGE")
    parser.add_argument("--to", dest="last", metavar="STAGE")
    for flag in more:
        parser.add_argument(flag, action="store_true")
    flags, words = parser.parse_known_args(list(arguments))
    return flags, words
