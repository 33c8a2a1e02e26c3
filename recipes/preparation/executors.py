"""Where the tasks of a phase run: processes of this machine, or a Slurm job array through datatrove."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recipes.parent_death import end_with_pool
from recipes.preparation.phases import PhaseFolder
from recipes.preparation.submitted import note_jobs
from recipes.settings.prepare_schema import PartsSettings


class TaskDied(RuntimeError):
    """A process ended without a word; the message says what may help."""


def run_here(folders: Sequence[PhaseFolder], workers: int) -> None:
    """All phases, one after the other, in processes of this machine (one worker: in this process).

    What is done is passed over.

    Raises:
        TaskDied: the system ended a process, most often for want of memory.
        Exception: whatever a task raised; the tasks that were done stay done.
    """
    if not any(folder.open_tasks() for folder in folders):
        return
    if workers == 1:
        for folder in folders:
            for task in tqdm(folder.open_tasks(), desc=f"{folder.phase.name:<26}", unit="task", dynamic_ncols=True):
                folder.run(task)
        return
    # spawn: a forked child would share the thread pools of Arrow and Polars
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
        for folder in folders:
            _run_phase(folder, pool)


def _run_phase(folder: PhaseFolder, pool: ProcessPoolExecutor) -> None:
    open_tasks = folder.open_tasks()
    with tqdm(total=folder.phase.tasks, desc=f"{folder.phase.name:<26}", unit="task", dynamic_ncols=True) as bar:
        bar.update(folder.phase.tasks - len(open_tasks))
        waiting: set[Future[None]] = {pool.submit(folder.run, task) for task in open_tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    bar.update()
        except BrokenProcessPool as error:
            raise TaskDied(
                f"{folder.phase.name}: a process was ended from outside, most often for want of memory; the "
                f"same command goes on where it was; parts.workers=1 and parts.count=64 (smaller parts) take less of it"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _begin() -> None:
    """Several processes share the cores, and end with the command."""
    end_with_pool()
    os.environ.setdefault("POLARS_MAX_THREADS", "1")


class SlurmTask:
    """One phase as datatrove's executor runs it: a callable of (data, rank, world size)."""

    def __init__(self, folder: PhaseFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"phase {self.folder.phase.name}"  # goes into every log: the tasks' arguments are long

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        self.folder.run(rank)
        return ()


def submit(folders: Sequence[PhaseFolder], parts: PartsSettings, logs: Path) -> list[str]:
    """Every open phase as a job array that starts when the one before it has ended well.

    Args:
        logs: datatrove's folder: launch scripts, pickled phases, output of each task.

    Returns:
        The numbers of the jobs, in order.
    """
    from datatrove.executor import SlurmPipelineExecutor
    from loguru import logger

    logger.disable("datatrove")  # what it tells of the launch stands in its folder too
    assert parts.partition is not None, "checked with the settings"
    jobs: list[str] = []
    for folder in folders:
        open_tasks = folder.open_tasks()
        if not open_tasks and not jobs:
            continue
        executor = SlurmPipelineExecutor(
            pipeline=[SlurmTask(folder)],
            tasks=folder.phase.tasks,
            time=parts.time,
            partition=parts.partition,
            cpus_per_task=parts.cpus_per_task,
            mem_per_cpu_gb=parts.memory_gb_per_cpu,
            workers=parts.workers or -1,
            job_name=f"prepare.{folder.phase.name}",
            qos="",
            env_command=_environment(),
            depends_job_id=jobs[-1] if jobs else None,
            logging_dir=str((logs / folder.phase.name).resolve()),
            skip_completed=False,  # the marks of the phases decide
        )
        executor.run()
        jobs.append(str(executor.job_id))
        note_jobs(logs, jobs)
    return jobs


def _environment() -> str:
    """The job's shell finds this project and this interpreter's programs (``launch_pickled_pipeline``)."""
    project = Path(__file__).resolve().parents[2]
    return f'export PATH="{Path(sys.executable).parent}:$PATH" PYTHONPATH="{project}" && cd "{Path.cwd()}"'
