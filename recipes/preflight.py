"""Everything that can be known to fail before a GPU is taken: all problems at once, each with its fix, in seconds.

    python -m recipes.preflight COMMAND [GROUP=OPTION ...] [KEY=VALUE ...] [--facts]

COMMAND is sft, grpo, evaluate, curriculum or export; the words after it are those of the command itself:

    python -m recipes.preflight grpo stage=code2 cluster=h100 cluster.nodes=8 model.restore_from=runs/code1/model.nemo

--facts prints, after the checks, what a launcher needs to know, for a shell's eval: RUN_DIRECTORY, MODULE, NODES,
DEVICES_PER_NODE, ACCELERATOR, STAGES. Everything else goes to stderr then. Exit status 0: nothing stands in the way
(warnings may); 2: something does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, cast

from recipes.preflighting.findings import Findings, listing
from recipes.settings.checks import file_problems, value_problems
from recipes.settings.commands import COMMANDS
from recipes.settings.compose import compose
from recipes.settings.errors import SettingsError
from recipes.settings.plan import launch_problems
from recipes.settings.preflight_facts import facts, shell_lines

FLAGS = ("--facts",)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.preflight``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or {"--help", "-h"} & set(words):
        print(__doc__)
        raise SystemExit(0 if words else 2)
    command, *overrides = words
    if command not in COMMANDS:
        print(f"python -m recipes.preflight: {command!r} is no command; one of {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    overrides = [word for word in overrides if word not in FLAGS]
    findings, lines = Findings(), []
    try:
        settings = compose(cast(Any, command), overrides)
        findings.problems += [
            *value_problems(settings, command),
            *launch_problems(settings, command, os.environ),
            *file_problems(settings, command),
        ]
        lines = shell_lines(facts(settings, command))
    except SettingsError as error:
        findings.problems += error.problems
    for line in listing(findings.problems, "problem"):
        print(line, file=sys.stderr)
    if findings.problems:
        raise SystemExit(2)
    if "--facts" in words:
        print(*lines, sep="\n")


if __name__ == "__main__":
    main()
