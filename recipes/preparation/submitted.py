"""``OUTPUT/work/slurm/jobs.json``: the job arrays of the last start, which a next start must not run beside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from recipes.atomic_files import write_text

JOBS = "jobs.json"
SQUEUE_SECONDS = 60.0
"""A controller under load answers late."""


def note_jobs(logs: Path, jobs: Sequence[str]) -> None:
    """Keep the numbers of submitted jobs."""
    write_text(logs / JOBS, json.dumps(list(jobs)) + "\n")


def require_ended(logs: Path) -> None:
    """No job of an earlier start is left.

    Args:
        logs: folder of ``note_jobs``; without a note nothing was submitted.

    Raises:
        ValueError: jobs of an earlier start are still in the queue, or Slurm cannot be asked.
    """
    try:
        jobs = json.loads((logs / JOBS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if queued := _queued(jobs, logs / JOBS):
        raise ValueError(
            f"{logs.parent.parent}: jobs of an earlier start are still in the queue, and two starts would write into "
            f"each other's files: wait for them (squeue --jobs={','.join(queued)}), or end them: scancel "
            f"{' '.join(queued)}. Those that wait for one that failed (DependencyNeverSatisfied) never start"
        )


def _queued(jobs: Sequence[str], note: Path) -> list[str]:
    """Those of the jobs that wait or run. ``squeue --jobs`` fails on numbers that Slurm has forgotten, so all are read.

    Raises:
        ValueError: there is no ``squeue``, or it gives no answer.
    """
    command = ["squeue", "--noheader", "--format=%F"]  # of an array's task the number of the array
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=SQUEUE_SECONDS, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise ValueError(
            f"{note}: jobs {', '.join(jobs)} were submitted for this folder, and whether they have ended cannot be "
            f"asked ({' '.join(command)}: {reason}); start where squeue answers, or remove that file if none is left"
        ) from error
    return [job for job in jobs if job in told]
