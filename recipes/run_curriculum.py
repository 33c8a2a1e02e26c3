"""The whole pipeline (paper Figure 2): SFT, then the GRPO stages of a curriculum, avg@n after each one, then export.

    python -m recipes.run_curriculum curriculum=demo run.directory=runs/demo [key=value ...]

Every word is passed on to every stage; one that begins with a stage's name goes to that stage alone, for instance
math2.grpo.overlong_filtering=false. A killed run goes on where it was with the same command. The run ends with
RUN/summary.json, RUN/report.html, RUN/learning_curve.png and the last model in RUN/final/hf; with
export.on_finish=[hf,trtllm] also as an engine in RUN/final/engine.

--from STAGE, --to STAGE: a part of it; stages before it must be done. --prepare: only what comes before the first stage
(generated data, first weights). --report: only the report and its table, from what is on disk.

SIGUSR1: the running stage saves and ends, and so does this command, with exit status 75; the same command goes on.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evaluation.benchmarks.reading import read_benchmark
from recipes.curriculum.progress import Progress, only_one
from recipes.curriculum.runner import StepRunner
from recipes.curriculum.selection import Selection, split_flags
from recipes.curriculum.steps import Step, check_inputs, final_engine, final_hf, plan_steps
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
    flags, words = split_flags(arguments, "--prepare", "--report")
    settings = settings_from_command_line("curriculum", __doc__ or "", words)
    root = Path(settings.run.directory)
    with ExitStack() as while_running:
        with checked_input("python -m recipes.run_curriculum"):
            stages = stage_commands(words)
            check_inputs(settings, stages)
            if flags.report:
                _show(_report(settings, stages, Progress.open(root, words)))
                return
            while_running.enter_context(only_one(root))
            progress = Progress.open(root, words)
            steps = Selection(flags.first, flags.last).choose(plan_steps(settings, stages), stages, progress)
            todo = progress.pending(steps)
        if flags.prepare:
            steps = [step for step in steps if step.feeds and not step.stage]
            todo = [step for step in todo if step in steps]
        progress.forget(todo)
        runner = StepRunner(f"python -m recipes.run_curriculum {shlex.join(arguments)}")
        _run(settings, stages, steps, todo, progress, runner)
        if not flags.prepare:
            _show(_report(settings, stages, progress))


def _run(
    settings: Settings,
    stages: Sequence[StageCommand],
    steps: Sequence[Step],
    todo: Sequence[Step],
    progress: Progress,
    runner: StepRunner,
) -> None:
    """Do what is to be done; the report is renewed after every evaluation."""
    for number, step in enumerate(steps, start=1):
        done = "" if step in todo else " (done)"
        print(f"\n[{number}/{len(steps)}] {step.title}{done}", flush=True)
        if step in todo:
            progress.record(step, runner.run(step))
            if step.module == "evaluation.run":
                _report(settings, stages, progress).write()


def _show(report: Report) -> None:
    """Renew the reports and print the table."""
    _compare_evaluations(report)
    report.write()
    print()
    print_table(report.summary, list(report.benchmarks))
    print(f"\nReport: {report.page}")
    if report.evaluation_page is not None:
        print(f"Scores: {report.evaluation_page}")
    if report.final_hf.is_dir():
        print(f"Model:  {report.final_hf}")
    if (engine := final_engine(report.root)).is_dir():
        print(f"Engine: {engine}")


def _compare_evaluations(report: Report) -> None:
    """The last evaluation's page, with the first one beside it; the run's own report links to it."""
    folders = [stage.folder / "evaluation" for stage in report.stages if stage.scores()]
    if not folders:
        return
    from evaluation.reporting.page import write_report  # scipy, which a run needs at its end only

    try:
        write_report(folders[-1], folders[:1] if len(folders) > 1 else [])
    except (ValueError, OSError) as error:  # the run is done, whatever its page says
        print(f"No page of {folders[-1]}: {error}", file=sys.stderr)


def _report(settings: Settings, stages: Sequence[StageCommand], progress: Progress) -> Report:
    root = Path(settings.run.directory)
    seconds = {step.name: progress.seconds_of(step) for step in plan_steps(settings, stages)}
    return Report(
        root=root,
        title=settings.run.name,
        benchmarks={benchmark.name: read_benchmark(benchmark) for benchmark in benchmarks(settings)},
        final_hf=final_hf(root),
        stages=[
            StageFolder(
                name=stage.name,
                kind=stage.command,
                folder=root / stage.name,
                seconds=seconds.get(stage.name),
                evaluation_seconds=seconds.get(f"{stage.name}/evaluation"),
            )
            for stage in stages
        ],
    )


if __name__ == "__main__":
    main()
