"""What ``launcher/curriculum.sh`` submits: a line for each job of a curriculum, in order, for a shell's ``eval``.

    python -m recipes.curriculum_jobs [--from STAGE] [--to STAGE] [--plan | --record] [GROUP=OPTION ...] [KEY=VALUE ...]

The first line is `RUN_DIRECTORY=... GENERATES=yes|no`: whether data or first weights are to be generated before the
first job (python -m recipes.run_curriculum --prepare). The others are
`job NAME SCRIPT 'NAMES OF JOBS TO WAIT FOR' todo|done NODES DEVICES_PER_NODE cpu|gpu WORD ...`.

A stage is done when its manifest is there and names the weights that are there now as its parent. --record notes the
words in RUN/curriculum.json, so that a later start with other words is refused; nothing is written without it. --plan
is for a look from a machine without data and weights: what is missing is named on stderr and stops nothing.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.curriculum.jobs import plan_jobs
from recipes.curriculum.progress import Progress, only_one
from recipes.curriculum.selection import Selection, split_flags
from recipes.curriculum.steps import check_inputs, plan_steps
from recipes.settings.compose import compose, settings_from_command_line
from recipes.settings.curriculum import StageCommand, missing_inputs, stage_commands
from recipes.settings.errors import SettingsError
from recipes.settings.schema import Settings
from recipes.user_input import checked_input

FIRST_WEIGHTS = "curriculum.initial_model"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.curriculum_jobs``."""
    flags, words = split_flags(sys.argv[1:] if arguments is None else arguments, "--plan", "--record")
    if flags.plan and not any(word.startswith(f"{FIRST_WEIGHTS}=") for word in words):
        words += _stand_in(words)
    settings = settings_from_command_line(
        "curriculum", __doc__ or "", words, require_files=not flags.plan, module="recipes.curriculum_jobs"
    )
    root = Path(settings.run.directory)
    with checked_input("python -m recipes.curriculum_jobs"):
        stages = stage_commands(words)
        check_inputs(settings, stages, require_files=not flags.plan)
        progress = Progress.open(root, words)
        selection = Selection(flags.first, flags.last)
        steps = selection.choose(plan_steps(settings, stages), stages, progress, require_done=not flags.plan)
        todo = progress.pending(steps)
        jobs = plan_jobs(settings, stages, steps, todo, words)
        if flags.record:
            with only_one(root):
                progress.forget(todo)
    if flags.plan:
        _name_missing(settings, stages)
    generates = any(step.feeds and not step.stage for step in todo)
    print(f"RUN_DIRECTORY={shlex.quote(settings.run.directory)} GENERATES={'yes' if generates else 'no'}")
    print(*(job.record() for job in jobs), sep="\n")


def _stand_in(words: Sequence[str]) -> list[str]:
    """A word for the first weights where the curriculum asks for some and none are given."""
    try:
        compose("curriculum", words)
    except SettingsError as error:
        if [problem.key for problem in error.problems] == [FIRST_WEIGHTS]:
            return [f"{FIRST_WEIGHTS}=BASE.nemo"]
    return []


def _name_missing(settings: Settings, stages: Sequence[StageCommand]) -> None:
    """Inputs that the user still has to provide, on stderr."""
    for problem in missing_inputs(settings, stages):
        print(f"missing: {problem.key}: {problem.found}", file=sys.stderr)


if __name__ == "__main__":
    main()
