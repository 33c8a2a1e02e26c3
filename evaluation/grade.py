"""Verdicts on the samples of a folder; needs no model, so it runs again wherever the samples lie.

    python -m evaluation.grade output=DIR                        what has no verdict yet
    python -m evaluation.grade output=DIR --again grading.workers=16    everything, for instance after a better grader

The benchmarks are those of DIR, with the settings that they were sampled and graded with; words change the settings. A
benchmark whose verdicts were given with other grading settings takes ``--again``.
``python -m evaluation.score output=DIR`` comes next.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from evaluation.grading import grade_samples
from evaluation.grading_record import replacing_verdicts, require_same_grading, write_grading
from evaluation.orderly_end import old_verdicts_stand, orderly_end, verdicts_kept
from evaluation.samples import Sample
from evaluation.saved import saved_tasks
from evaluation.store import in_order
from evaluation.tasks import Task
from recipes.grading.graders import Grader, GradingOptions
from recipes.records import Verdict
from recipes.user_input import checked_input

AGAIN = "--again"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.grade``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with checked_input("python -m evaluation.grade"):
        tasks = saved_tasks([word for word in words if word != AGAIN])
        again = AGAIN in words
        for task in tasks if not again else ():
            require_same_grading(task.folder, task.settings)
    output = Path(tasks[0].settings.evaluation.output)
    with orderly_end("python -m evaluation.grade", output, old_verdicts_stand if again else verdicts_kept):
        for task in tasks:  # each with a grader of its own: their records may differ
            with Grader(GradingOptions(**vars(task.settings.grading))) as grader:
                grade_task(task, grader, again=again)


def grade_task(task: Task, grader: Grader, *, again: bool = False) -> None:
    """Grade what has no verdict, or everything, and put all samples into ``samples.jsonl``.

    Killed while it grades what has no verdict, it keeps the verdicts until then; grading again is all or nothing.

    Raises:
        SamplesError: there are verdicts of other grading settings, and it is not ``again``.
    """
    ids = [problem.id for problem in task.problems]
    samples = in_order(task.store.load(), ids)
    if not again:
        require_same_grading(task.folder, task.settings)
        write_grading(task.folder, task.settings)
    if again:
        samples = [replace(one, verdict=None, extracted=None, first_failure=None) for one in samples]
    todo = [one for one in samples if one.verdict is None]
    graded = samples
    if todo:
        with _bar(f"{task.name}: grading", len(todo)) as bar, task.store.verdicts() as part:

            def keep(some: Sequence[Sample], verdicts: Sequence[Verdict]) -> None:
                for sample, verdict in zip(some, verdicts, strict=True) if not again else ():
                    part.grade(sample, verdict)
                bar.update(len(some))

            fresh = grade_samples(grader, todo, task.problems, keep)
        verdicts = {(one.problem_id, one.sample): one for one in fresh}
        graded = [verdicts.get((one.problem_id, one.sample), one) for one in samples]
    if again:
        replacing_verdicts(task.folder)
    task.store.settle(graded)
    if again:
        write_grading(task.folder, task.settings)


def _bar(name: str, total: int) -> tqdm:
    return tqdm(total=total, desc=name, unit="sample", dynamic_ncols=True, smoothing=0.05)


if __name__ == "__main__":
    main()
