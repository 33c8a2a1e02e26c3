"""avg@n of a checkpoint or a served model on benchmarks: sample, grade, score, report (paper §4.1).

    python -m evaluation.run benchmark=tiny_math,tiny_code engine.checkpoint=runs/demo/math4/model.nemo output=DIR
    python -m evaluation.run engine=hf engine.checkpoint=runs/demo/final/hf n=8 max_response_length=160 output=DIR
    python -m evaluation.run benchmark=aime24 engine=openai engine.url=http://host:8000/v1 engine.model=NAME output=DIR

Several benchmarks share one process: the model is loaded once. Writes DIR/scores.json, DIR/scores.csv,
DIR/report.html and DIR/<benchmark>/samples.jsonl, one record per sample with its verdict. Killed, the same command goes
on where it was; a larger n adds samples. Without output= a checkpoint has a folder beside it: RUN/evaluation for
RUN/model.nemo, hf_evaluation for a folder hf. evaluation.sample, evaluation.grade, evaluation.score and
evaluation.report do one step each. A response that hit the length budget counts as not solved, as in the training
reward.

shards=8 shard=0 ... 7 are eight jobs that draw and grade a part each, on machines that share DIR; the last one to
finish puts the parts together (evaluation.merge).

logging.wandb_project=P or logging.mlflow_tracking_uri=ADDRESS sends scores and page to a tracker as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.grade import grade_task
from evaluation.merge import finish_shard
from evaluation.orderly_end import orderly_end
from evaluation.sample import own_logs, sample_tasks
from evaluation.score import score_task
from evaluation.tracking import require_trackers, send_scores
from recipes.grading.graders import Grader, GradingOptions
from recipes.settings.compose import settings_from_command_line
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.run``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = settings_from_command_line("evaluate", __doc__ or "", arguments)
    with checked_input("python -m evaluation.run"):
        require_trackers(given.logging)
    settings = own_logs(given)
    with (
        orderly_end("python -m evaluation.run", Path(settings.evaluation.output)),
        Grader(GradingOptions(**vars(settings.grading))) as grader,  # starts no process before the first response
    ):
        tasks, ranks = sample_tasks(settings, "evaluation.run", arguments, grader)
        if ranks.is_main:
            whole = True
            for task in tasks:
                if settings.evaluation.shards is None:
                    grade_task(task, grader)
                    print(score_task(task))
                else:
                    whole &= finish_shard(task, grader)
            if whole and settings.evaluation.report:
                _report(Path(settings.evaluation.output))
            if whole:
                for told in send_scores(Path(settings.evaluation.output), given.logging):
                    print(told)


def _report(output: Path) -> None:
    """The scores stand whether or not the page can be written: another benchmark's file may have moved since."""
    from evaluation.reporting.page import write_report  # matplotlib and scipy, which the other ranks need not load

    try:
        print(f"Report: {write_report(output)}")
    except (ValueError, OSError) as error:
        print(f"python -m evaluation.run: no {output}/report.html: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
