"""What ``launcher/curriculum.sh`` submits: a line for each job of a curriculum, in order, for a shell's ``eval``.

    python -m recipes.curriculum_jobs [--from STAGE] [--to STAGE] [--record] [GROUP=OPTION ...] [KEY=VALUE ...]

The first line is `RUN_DIRECTORY=... GENERATES=yes|no`: whether data or first weights are to be generated before the
first job (python -m recipes.run_curriculum --prepare). The others are
`job NAME SCRIPT 'NAMES OF JOBS TO WAIT FOR' todo|done NODES DEVICES_PER_NODE cpu|gpu WORD ...`.

A stage is done when its manifest is there and names the weights that are there now as its parent. --record notes the
words in RUN/curriculum.json, so that a later start with other words is refused; nothing is written without it.
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
from recipes.settings.compose import settings_from_command_line
from recipes.settings.curriculum import stage_commands
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.curriculum_jobs``."""
    flags, words = split_flags(sys.argv[1:] if arguments is None else arguments, "--record")
    settings = settings_from_command_line("curriculum", __doc__ or "", words)
    root = Path(settings.run.directory)
    with checked_input("python -m recipes.curriculum_jobs"):
        stages = stage_commands(words)
        check_inputs(settings, stages)
        progress = Progress.open(root, words)
        steps = Selection(flags.first, flags.last).choose(plan_steps(settings, stages), stages, progress)
        todo = progress.pending(steps)
        jobs = plan_jobs(settings, stages, steps, todo, words)
        if flags.record:
            with only_one(root):
                progress.forget(todo)
    generates = any(step.feeds and not step.stage for step in todo)
    print(f"RUN_DIRECTORY={shlex.quote(settings.run.directory)} GENERATES={'yes' if generates else 'no'}")
    print(*(job.record() for job in jobs), sep="\n")


if __name__ == "__main__":
    main()
