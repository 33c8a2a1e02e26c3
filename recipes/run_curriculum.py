"""The whole pipeline (paper Figure 2): SFT, then the GRPO stages of a curriculum, avg@n after each one, then export.

    python -m recipes.run_curriculum curriculum=demo run.directory=runs/demo [key=value ...]

Every word is passed on to every stage. A killed run goes on where it was with the same command. The run ends with
RUN/summary.json, RUN/report.html, RUN/learning_curve.png and the last model in RUN/final/hf.
"""

from __future__ import annotations

import ctypes
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from recipes.curriculum.progress import Progress, only_one
from recipes.curriculum.steps import Step, check_inputs, final_hf, plan_steps
from recipes.data.jsonl import read_problems
from recipes.reporting.report import Report
from recipes.reporting.summary import StageFolder
from recipes.reporting.table import print_table
from recipes.settings.benchmarks import benchmarks
from recipes.settings.compose import settings_from_command_line
from recipes.settings.curriculum import StageCommand, stage_commands
from recipes.settings.schema import Settings
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_curriculum``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("curriculum", __doc__ or "", arguments)
    root = Path(settings.run.directory)
    with ExitStack() as while_running:
        with checked_input("python -m recipes.run_curriculum"):
            stages = stage_commands(arguments)
            check_inputs(settings, stages)
            while_running.enter_context(only_one(root))
            progress = Progress.open(root, arguments)
            steps = plan_steps(settings, stages)
            todo = progress.pending(steps)
        progress.forget(todo)
        _run(settings, stages, steps, todo, progress, arguments)


def _run(
    settings: Settings,
    stages: Sequence[StageCommand],
    steps: Sequence[Step],
    todo: Sequence[Step],
    progress: Progress,
    arguments: Sequence[str],
) -> None:
    """Do what is to be done; the report is renewed after every evaluation."""
    for number, step in enumerate(steps, start=1):
        done = "" if step in todo else " (done)"
        print(f"\n[{number}/{len(steps)}] {step.title}{done}", flush=True)
        if step in todo:
            progress.record(step, _run_step(step, arguments))
            if step.module == "evaluation.run":
                _report(settings, stages, progress).write()
    report = _report(settings, stages, progress)
    report.write()
    print()
    print_table(report.summary, list(report.benchmarks))
    print(f"\nReport: {report.page}\nModel:  {final_hf(report.root)}")


def _run_step(step: Step, arguments: Sequence[str]) -> float:
    """Run one step on this terminal.

    Returns:
        Wall seconds.

    Raises:
        SystemExit: the step failed or was interrupted.
    """
    again = f"The same command goes on from here: python -m recipes.run_curriculum {shlex.join(arguments)}"
    started = time.monotonic()
    try:
        # No threads run here, so the fork may call prctl.
        command = [sys.executable, "-m", step.module, *step.arguments]
        status = subprocess.run(command, check=False, preexec_fn=_die_with_parent).returncode
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted in {step.name}. {again}")
    if status != 0:
        how = f"ended by signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        sys.exit(
            f"\nStep {step.name} failed ({how}). Its messages are above, those of the frameworks in "
            f"{step.folder / 'logs'}. {again}"
        )
    if not step.output.exists():
        sys.exit(
            f"\nStep {step.name} ended without {step.output}: this is a defect of {step.module}, please report it."
        )
    return time.monotonic() - started


def _die_with_parent() -> None:
    """A step must not go on alone after a SIGKILL of this command: the next start would train beside it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _report(settings: Settings, stages: Sequence[StageCommand], progress: Progress) -> Report:
    root = Path(settings.run.directory)
    return Report(
        root=root,
        title=settings.run.name,
        benchmarks={benchmark.name: read_problems(benchmark.path) for benchmark in benchmarks(settings)},
        final_hf=final_hf(root),
        stages=[
            StageFolder(
                name=stage.name,
                kind=stage.command,
                folder=root / stage.name,
                seconds=progress.seconds.get(stage.name),
                evaluation_seconds=progress.seconds.get(f"{stage.name}/evaluation"),
            )
            for stage in stages
        ],
    )


if __name__ == "__main__":
    main()
