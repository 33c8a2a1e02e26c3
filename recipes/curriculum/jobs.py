"""A curriculum as jobs of a scheduler: which script with which words, after which other jobs, on how many devices."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.curriculum.progress import ProgressError
from recipes.curriculum.steps import ENGINE, Step
from recipes.settings.curriculum import StageCommand
from recipes.settings.deployment_checks import builds_engine, gpus_of_build
from recipes.settings.schema import Settings

LAUNCHER = Path(__file__).parents[2] / "launcher"
"""The scripts; each takes the words of its command."""
REPORT = "report"
_SCRIPTS = {"recipes.run_sft": "sft", "evaluation.run": "evaluate", "recipes.export": "export"}


@dataclass(frozen=True, slots=True)
class Job:
    """One job."""

    name: str
    """Unique on the cluster as far as run names are: ``demo-math1``, ``demo-math1-evaluation``."""
    script: str
    """File in ``launcher/``."""
    after: tuple[str, ...]
    """Names of jobs that must have ended well before this one starts; none of them is done already."""
    done: bool
    """Nothing to submit."""
    nodes: int
    devices_per_node: int
    accelerator: str
    """``cpu`` or ``gpu``."""
    words: tuple[str, ...]
    """Of the script's command line."""

    def record(self) -> str:
        """``job NAME SCRIPT AFTER todo|done NODES DEVICES ACCELERATOR WORD ...`` on one line for a shell's ``eval``.

        ``AFTER`` has blanks between the names.
        """
        state = "done" if self.done else "todo"
        fields = (self.name, self.script, " ".join(self.after), state, self.nodes, self.devices_per_node)
        return shlex.join(["job", *map(str, fields), self.accelerator, *self.words])


def plan_jobs(
    settings: Settings,
    stages: Sequence[StageCommand],
    steps: Sequence[Step],
    todo: Sequence[Step],
    words: Sequence[str],
) -> list[Job]:
    """The jobs of a curriculum, in an order in which they can be submitted; the last one renews the report.

    A stage waits for the one before it, an evaluation for its stage, so that it runs beside the next one, the export
    for the last stage and its evaluation, the engine for the export, and the report for everything.

    Args:
        settings: of ``python -m recipes.run_curriculum``.
        stages: all stages of the curriculum.
        steps: what is asked for, in order; generated data and first weights are no jobs.
        todo: those of them that are not done.
        words: of the curriculum's command line, for the report.

    Raises:
        ProgressError: a stage without a script in ``launcher/``.
    """
    clusters = {stage.name: stage.settings.cluster for stage in stages}
    jobs: list[Job] = []
    ends: list[str] = []
    trained: Step | None = None
    evaluated: Step | None = None
    exported: Step | None = None
    for step in steps:
        if step.trains:
            needed, trained = [trained], step
        elif step.stage:
            needed, evaluated = [trained], step
        elif step.feeds:
            continue
        elif step.name == ENGINE:
            needed = [exported]
        else:
            needed, exported = [trained, evaluated], step
        after = tuple(_name(settings, other) for other in needed if other and other in todo)
        on = clusters.get(step.stage)
        machines = (on.nodes, on.devices_per_node, on.accelerator) if on else _one_process(settings, step)
        job = Job(_name(settings, step), _script(step), after, step not in todo, *machines, step.arguments)
        jobs.append(job)
        if not job.done and not step.trains:
            ends.append(job.name)
    return [
        *jobs,
        Job(_plain(f"{settings.run.name}-{REPORT}"), f"{REPORT}.sh", tuple(ends), not todo, 1, 1, "cpu", tuple(words)),
    ]


def _one_process(settings: Settings, step: Step) -> tuple[int, int, str]:
    """Nodes, devices and their kind of a step that is one process, whatever it uses."""
    deployment = settings.deployment
    if step.name != ENGINE or not builds_engine(deployment):
        return 1, 1, "cpu"
    return 1, gpus_of_build(deployment), "gpu"


def _name(settings: Settings, step: Step) -> str:
    return _plain(f"{settings.run.name}-{step.name}")


def _plain(name: str) -> str:
    """Without what a log file's name or a list of names could not hold."""
    return re.sub(r"[^\w.-]+", "-", name)


def _script(step: Step) -> str:
    name = f"{_SCRIPTS.get(step.module, f'stage_{step.stage}')}.sh"
    if not (LAUNCHER / name).is_file():
        raise ProgressError(
            f"stage {step.stage}: no launcher/{name}; copy launcher/stage_math1.sh and name the stage in its last line"
        )
    return name
