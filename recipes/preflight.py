"""Everything that can be known to fail before a GPU is taken: all problems at once, each with its fix, in seconds.

    python -m recipes.preflight [COMMAND] [GROUP=OPTION ...] [KEY=VALUE ...] [--facts] [--on-node]

COMMAND is sft, grpo, calibrate, evaluate, curriculum or export; the words after it are those of the command itself.
Without it the stage says which: sft or grpo.

    python -m recipes.preflight grpo stage=code2 cluster=h100 cluster.nodes=8 model.restore_from=runs/code1/model.nemo
    python -m recipes.preflight curriculum curriculum=acereason_1_1 cluster=h100 curriculum.initial_model=base.nemo
    python -m recipes.preflight stage=math4 cluster=h100 model=qwen2_5_math_7b preflight.check_files=false

It looks at values and what must divide what, at every row of the data files (of a very large one at its first 256 MiB
and its last row), prompt lengths, what the rules in prompts leave, the checkpoint (manifest, architecture), whether the
run directory can be gone on with, is free and writable, at disk space, tokenizer, graders and their sandbox, and at the
ranks that a launcher started. For curriculum it looks at every stage, evaluation and export; what earlier stages will
write counts as there. On a cluster with cluster.memory_gib it computes what one GPU holds in training and in rollouts,
item by item, and refuses what does not fit, with the largest batch that does. No framework is imported and nothing is
written.

preflight.check_files=false   look at the settings alone, memory included: no data, checkpoints, run folders or disks

--on-node   this is a machine of the job: count its GPUs and cores too (the default inside a Slurm job)
--facts     print, after the checks, what a launcher needs to know, for a shell's eval: RUN_DIRECTORY, MODULE, NODES,
            DEVICES_PER_NODE, ACCELERATOR, STAGES; everything else goes to stderr then

Exit status 0: nothing stands in the way (warnings may be there); 2: something does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console

from recipes.preflighting.command import Preflight
from recipes.preflighting.curriculum import curriculum
from recipes.preflighting.findings import Findings, listing
from recipes.preflighting.machine import on_node
from recipes.preflighting.memory import memory_table
from recipes.reporting.tab_aligned import tab_aligned
from recipes.settings.commands import COMMANDS
from recipes.settings.compose import compose_as_far
from recipes.settings.curriculum import stage_commands
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.preflight_facts import facts, shell_lines
from recipes.settings.schema import ExportSettings, Settings

FLAGS = ("--facts", "--on-node")
CHECK_FILES = "preflight.check_files="


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.preflight``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or {"--help", "-h"} & set(words):
        print(__doc__)
        raise SystemExit(0 if words else 2)
    first = words[0]
    if first not in COMMANDS and "=" not in first and first not in FLAGS:
        print(f"python -m recipes.preflight: {first!r} is no command; one of {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    given = words[1:] if first in COMMANDS else words
    with Console(stderr=True).status("looking at settings, files, checkpoint and machine"):
        command, lines, table, findings = _look(
            first if first in COMMANDS else None, [word for word in given if word not in FLAGS], "--on-node" in words
        )
    out = sys.stderr if "--facts" in words else sys.stdout
    report = [
        *(f"looked at {line}" for line in findings.looked_at),
        *tab_aligned(table),
        *listing(findings.warnings, "warning"),
        *listing(findings.problems, "problem"),
    ]
    print(f"python -m recipes.preflight {command}:", *report, sep="\n", file=out)
    if findings.problems:
        raise SystemExit(2)
    print("nothing stands in the way", file=out)
    if "--facts" in words:
        print(*lines, sep="\n")


def _look(command: str | None, words: Sequence[str], node: bool) -> tuple[str, list[str], list[list[str]], Findings]:
    """The command, its facts, its memory table and the findings; settings that do not compose are findings too."""
    preflight = Preflight(os.environ, node or on_node(os.environ))
    try:
        preflight.check_files, overrides = _own_words(words)
        if not preflight.check_files and COMMANDS[command or "grpo"].schema is Settings:
            weights = "curriculum.initial_model" if command == "curriculum" else "model.restore_from"
            overrides = [f"{weights}=null", *overrides]  # weights are files, and nobody has to name them here
        settings, still_open = compose_as_far(command or "grpo", overrides)
        assert isinstance(settings, Settings | ExportSettings)
        command = command or (settings.stage.kind if isinstance(settings, Settings) else "export")
        overrides = [
            *overrides,
            *(f"{problem.key}=null" for problem in still_open),
        ]  # the rest is looked at all the same
        if command == "curriculum" and isinstance(settings, Settings):
            findings = curriculum(preflight, settings, stage_commands(overrides), overrides)
        else:
            findings = preflight.command(settings, command)
        findings.problems[:0] = still_open
    except SettingsError as error:
        return command or "grpo", [], [], Findings(problems=list(error.problems))
    table = memory_table(settings, command) if isinstance(settings, Settings) else []
    return command, shell_lines(facts(settings, command)), table, findings


def _own_words(words: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether files are looked at, and the words that are the command's.

    Raises:
        SettingsError: a word of preflight's own that it does not know.
    """
    own = [word for word in words if word.startswith("preflight.")]
    problems = [
        SettingsProblem("preflight", word, CHECK_FILES + "true or false", CHECK_FILES + "false")
        for word in own
        if word not in (CHECK_FILES + "true", CHECK_FILES + "false")
    ]
    if problems:
        raise SettingsError(problems)
    return [CHECK_FILES + "true", *own][-1] == CHECK_FILES + "true", [word for word in words if word not in own]


if __name__ == "__main__":
    os.environ.update(USE_TORCH="0", TRANSFORMERS_NO_ADVISORY_WARNINGS="1")  # tokenizers without torch: 5 seconds less
    main()
