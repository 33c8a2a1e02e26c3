"""avg@n and what stands beside it, from graded samples: DIR/scores.json and DIR/scores.csv.

    python -m evaluation.score output=DIR [benchmark=a,b] [n=16] [logging.wandb_project=P]

n: samples of each problem that count, the first ones; default: as sampled. Missing samples are reported and are in no
mean. logging.wandb_project, logging.mlflow_tracking_uri: a tracker to send them to as well. DIR/report.html is written
anew where it is there or was asked for, with what evaluation.report was asked to compare it with.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.grading_record import require_one_grading
from evaluation.json_files import read_scores
from evaluation.samples import Sample
from evaluation.saved import saved_tasks
from evaluation.scores import NO_ANSWER, Scores, score
from evaluation.store import in_order
from evaluation.tasks import Task
from evaluation.tracking import require_trackers, send_scores
from recipes.atomic_files import write_text
from recipes.grading.extraction import THINKING_END
from recipes.grading.math_answers import decide_exactly
from recipes.user_input import checked_input

_COLUMNS = (
    "avg", "n", "problems", "samples", "missing", "stderr_sampling", "stderr_problems", "majority@n",
    "truncated_fraction", "no_answer_fraction", "mean_length", "mean_length_right", "mean_length_wrong",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.score``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with checked_input("python -m evaluation.score"):
        words = [f"evaluation.{word}" if word.startswith("n=") else word for word in words]
        tasks = saved_tasks(words)
        logging = tasks[0].settings.logging
        require_trackers(logging)
        for task in tasks:
            print(score_task(task))
    renew_page(tasks, "python -m evaluation.score", words)
    for told in send_scores(Path(tasks[0].settings.evaluation.output), logging):
        print(told)


def score_task(task: Task) -> str:
    """Put a benchmark's scores beside those of the others.

    Returns:
        One line for the screen; a second one where no response has an answer because none thinks first.

    Raises:
        ValueError: a sample that has no verdict, or verdicts that may be of two kinds.
    """
    n, output = task.n, Path(task.settings.evaluation.output)
    require_one_grading(task.folder, task.settings)
    ids = [problem.id for problem in task.problems]
    samples = [one for one in in_order(task.store.load(), ids) if one.sample < n]
    same_answer = decide_exactly if task.settings.benchmark.grader == "math" else None
    scores = score(samples, ids, n, same_answer)
    path = output / "scores.json"
    others = read_scores(output) if path.is_file() else {}
    rows = others | {task.name: scores.as_dict()}
    write_text(path, json.dumps(rows, indent=1) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("benchmark", *_COLUMNS))
    writer.writerows([name, *(row.get(column) for column in _COLUMNS)] for name, row in rows.items())
    write_text(output / "scores.csv", table.getvalue())
    return line(task.name, scores) + unheard(samples, output)


def renew_page(tasks: Sequence[Task], command: str, words: Sequence[str] = ()) -> None:
    """``report.html`` with the scores of now, where it is there already or the settings ask for it.

    It compares with the evaluations that the page of before compared with, as far as these are still there.
    The scores stand whether or not it can be written: another benchmark's file may have moved since. A page with the
    numbers of before is removed then, so that none is read or sent beside other scores.

    Args:
        tasks: benchmarks of one folder that were scored.
        command: that does it, for the message.
        words: ``key=value`` that changed the settings of then.
    """
    output = Path(tasks[0].settings.evaluation.output)
    page = output / "report.html"
    if not page.is_file() and not any(task.settings.evaluation.report for task in tasks):
        return
    from evaluation.reporting.page import write_report  # matplotlib and scipy, which the other ranks need not load
    from evaluation.reporting.page_request import read_request

    names = ("output", "evaluation.output", "benchmark")
    request, gone = read_request(output)
    for what in gone:
        print(f"{command}: {page}: {what}", file=sys.stderr)
    try:
        own = [one for one in words if one.partition("=")[0] not in names]
        print(f"Report: {write_report(output, request.against, own, request.per_problem)}")
    except (ValueError, OSError) as error:
        page.unlink(missing_ok=True)
        print(f"{command}: no {page}: {error}", file=sys.stderr)


def unheard(samples: Sequence[Sample], output: Path) -> str:
    """A further line where a score of 0 says nothing about the model: it does not think before it answers.

    Under ``grading.require_thinking`` only what follows ``</think>`` can hold the answer.
    """
    ended = [one for one in samples if not one.truncated]
    if not ended or any(one.verdict not in NO_ANSWER or THINKING_END in one.text for one in ended):
        return ""
    again = f"{shlex.quote(f'output={output}')} grading.require_thinking=false"
    return (
        f"\n  none of {len(ended)} responses that ended has {THINKING_END}, so none has an answer. A model that "
        f"does not think first:\n  python -m evaluation.grade {again} --again && python -m evaluation.score {again}"
    )


def line(name: str, scores: Scores) -> str:
    """A benchmark's score as the screen shows it."""

    def shown(value: float | None, form: str) -> str:
        return "?" if value is None else format(value, form)

    return (
        f"{name}: avg@{scores.n} {shown(scores.avg, '.3f')} ± {shown(scores.stderr_sampling, '.3f')} "
        f"({scores.problems} problems, {scores.samples} samples, {scores.missing} missing; "
        f"truncated {shown(scores.truncated_fraction, '.1%')}, no answer {shown(scores.no_answer_fraction, '.1%')}, "
        f"mean length {shown(scores.mean_length, '.0f')} tokens)"
    )


if __name__ == "__main__":
    main()
