"""Training data from public sources and local files: collected, deduplicated, decontaminated, every row accounted for.

    python -m recipes.prepare_data data=local data.inputs=[A.jsonl,B.jsonl] data.against=[BENCH.jsonl] output=DIR
    python -m recipes.prepare_data data=sft output=DIR --dry-run

Rows of a local file are JSON objects, {"problem", "answer"} or {"problem", "tests"}, with whatever else they carry.
Writes DIR/problems.jsonl, and duplicates.jsonl, contaminated.jsonl, rejected.jsonl and sampled_out.jsonl with the rows
that are out and why; report.json has the counts, manifest.json the exact command, the inputs' hashes and the versions.
The same rows give the same bytes, whatever their order and the number of workers. Killed, the same command goes on.

Steps, in this order whatever the order of the words; reading and writing always run:
deduplicate    one row for each problem              keep       responses graded; all, right ones or the majority's
decontaminate  no 9-gram of words of a benchmark     rebalance  prompts by the length of their responses
respond        responses of a teacher from a server  blend, sft DIR/blends/v1 ... v7 with data cards, DIR/sft
                                                     select     DIR/rl/math1.jsonl ... code2.jsonl, by difficulty

Exit status 0: done; 2: wrong settings or inputs. Rows that cannot be read are no error: they are in rejected.jsonl.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.preparation.executors import TaskDied, run_here, submit
from recipes.preparation.phases import begin_all
from recipes.preparation.pipeline import WORK, phases_of, require_own_folder
from recipes.preparation.submitted import require_ended
from recipes.preparation.summary import summary
from recipes.preparation.teacher_responses import require_teacher
from recipes.servers.openai_client import ServerError
from recipes.settings.compose import settings_from_command_line
from recipes.training.run_lock import writing
from recipes.user_input import checked_input

COMMAND = "python -m recipes.prepare_data"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.prepare_data``.

    Raises:
        SystemExit: with status 2 for wrong input, 1 where the system ended a task or a server gave up.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = settings_from_command_line("prepare", __doc__ or "", words)
    output = Path(settings.output)
    with checked_input(COMMAND):
        require_own_folder(output)
        phases = phases_of(settings, words)
        if "respond" in settings.steps:
            require_teacher(settings.teacher, settings.seed)
    with checked_input(COMMAND), writing(output / WORK, is_main=True):
        logs = output / WORK / "slurm"
        require_ended(logs)
        folders = begin_all(phases, output / WORK)
        if settings.parts.executor == "slurm":
            jobs = submit(folders, settings.parts, logs)
            told = f"Submitted {', '.join(jobs)}: {output}/report.json is there when the last one has ended"
            print(told if jobs else f"Nothing is left to do: {output}/report.json")
            return
        try:
            run_here(folders, settings.parts.workers or os.cpu_count() or 1)
        except (TaskDied, ServerError) as error:  # what came until then is kept
            raise SystemExit(f"{COMMAND}: {error}") from error
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    print("\n".join(summary(report)))
    print(f"{output}/report.json, {output}/problems.jsonl")


if __name__ == "__main__":
    main()
