"""The shards of an evaluation put together, then graded as far as they are not, scored and reported.

    python -m evaluation.merge output=DIR [benchmark=a,b] [key=value ...]

Shards are drawn by evaluation.run with shards=N shard=0 ... N-1, on one machine or on many, and the last one to finish
merges them itself: this command is for shards that were only sampled (evaluation.sample), and for a merge that was
killed. DIR/<benchmark>/samples.jsonl becomes what one job would have written, and the shards are removed. A shard that
is missing, unfinished, doubled or of another evaluation is named, and nothing is merged. Verdicts of other grading
settings than this command's are given anew. It may be killed, and may be started twice.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.grade import grade_task
from evaluation.grading_record import require_same_grading
from evaluation.merging import MergeError, merge, merge_lock, unfinished
from evaluation.orderly_end import orderly_end, verdicts_kept
from evaluation.saved import path_of, saved_tasks
from evaluation.score import renew_page, score_task
from evaluation.shards import finish, shard_folders
from evaluation.tasks import Task
from evaluation.tracking import send_scores
from recipes.grading.graders import Grader, GradingOptions
from recipes.user_input import checked_input

COMMAND = "python -m evaluation.merge"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.merge``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with checked_input(COMMAND):
        output, names, others = _split(words)
        _require_evaluation(output)
        with merge_lock(output):
            for name in _with_shards(output, names):
                samples = merge(output / name, others).store.load().values()
                print(f"{name}: {len(samples)} samples merged, {sum(one.verdict is None for one in samples)} to grade")
        only = [f"benchmark={','.join(names)}"] if names else []
        tasks = saved_tasks([f"output={output}", *only, *others])
        for task in tasks:
            require_same_grading(task.folder, task.settings)
    with orderly_end(COMMAND, output, verdicts_kept):
        for task in tasks:  # each with a grader of its own: their records may differ
            with Grader(GradingOptions(**vars(task.settings.grading))) as grader:
                grade_task(task, grader)
                print(score_task(task))
    renew_page(tasks, COMMAND, others)
    for told in send_scores(output, tasks[0].settings.logging):
        print(told)


def finish_shard(task: Task, grader: Grader) -> bool:
    """What ``evaluation.run`` does once a shard is sampled: grade it and, if it was the last one, merge and score.

    Args:
        task: a shard, or the whole where there was nothing left to draw.

    Returns:
        Whether this call made the benchmark whole, or found it so from the start.

    Raises:
        SystemExit: all shards are finished and do not make a whole; says what is wrong with them.
    """
    folder = task.whole.folder
    if task.shard is not None:
        grade_task(task, grader)
        finish(task.folder)
    with checked_input(COMMAND), merge_lock(folder.parent):
        if task.shard is None:
            grade_task(task, grader)
        elif not shard_folders(folder):
            print(f"{task.name}: {task.shard} is finished, and another job has put all of them together")
            return False
        elif waiting := unfinished(folder):
            indices = ", ".join(str(one.index) for one in waiting)
            print(f"{task.name}: {task.shard} is finished; not finished yet: {indices}")
            return False
        else:
            merge(folder, grading=task.settings.grading)
            grade_task(task.whole, grader)  # what a shard of evaluation.sample brought
        print(score_task(task.whole))
    return True


def _split(words: Sequence[str]) -> tuple[Path, list[str], list[str]]:
    output, names, others = None, [], []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("output", "evaluation.output"):
            output = path_of(value)
        elif key == "benchmark":
            names = [name for name in value.split(",") if name]
        else:
            others.append(word)
    if output is None:
        raise MergeError("output=DIR is missing: the folder that the shards were drawn into")
    return output, names, others


def _require_evaluation(output: Path) -> None:
    """Nothing is written, not even the lock, to a folder that somebody named by mistake."""
    if not any(found for pattern in ("*/shards/*", "*/sampling.json") for found in output.glob(pattern)):
        what = "no shards there" if output.is_dir() else "no such folder"
        raise MergeError(f"output={output}: {what}; expected the folder that the shards were drawn into")


def _with_shards(output: Path, names: Sequence[str]) -> list[str]:
    """Benchmarks that have shards: none is left where a merge was killed after its work."""
    found = sorted({path.parents[1].name for path in output.glob("*/shards/*") if path.is_dir()})
    return [name for name in found if not names or name in names]


if __name__ == "__main__":
    main()
