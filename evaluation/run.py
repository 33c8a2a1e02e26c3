"""avg@n of a checkpoint or a served model on benchmarks: sample, grade, score (paper §4.1).

    python -m evaluation.run benchmark=tiny_math,tiny_code engine.checkpoint=runs/demo/math4/model.nemo output=DIR
    python -m evaluation.run engine=hf engine.checkpoint=runs/demo/final/hf output=DIR
    python -m evaluation.run engine=openai engine.url=http://host:8000/v1 engine.model=NAME n=64 output=DIR

Several benchmarks share one process: the model is loaded once. Writes DIR/scores.json, DIR/scores.csv and
DIR/<benchmark>/samples.jsonl, one record per sample with its verdict. Killed, the same command goes on where it was; a
larger n adds samples. evaluation.sample, evaluation.grade and evaluation.score do one step each. A response that hit
the length budget counts as not solved, as in the training reward.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evaluation.grade import grade_task
from evaluation.sample import own_logs, sample_tasks
from evaluation.score import score_task
from recipes.grading.graders import Grader, GradingOptions
from recipes.settings.compose import settings_from_command_line


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.run``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = own_logs(settings_from_command_line("evaluate", __doc__ or "", arguments))
    with Grader(GradingOptions(**vars(settings.grading))) as grader:  # starts no process before the first response
        tasks, ranks = sample_tasks(settings, "evaluation.run", arguments, grader)
        if ranks.is_main:
            for task in tasks:
                grade_task(task, grader)
                print(score_task(task))


if __name__ == "__main__":
    main()
