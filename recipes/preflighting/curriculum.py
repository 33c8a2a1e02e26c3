"""Every step of a curriculum in one go; what earlier steps will write counts as there."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recipes.curriculum.progress import Progress, ProgressError
from recipes.curriculum.steps import final_hf, plan_steps
from recipes.preflighting import checkpoints, machine
from recipes.preflighting.command import Preflight
from recipes.preflighting.findings import Findings
from recipes.settings.curriculum import StageCommand, generates_data
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings


def curriculum(
    preflight: Preflight, settings: Settings, stages: Sequence[StageCommand], words: Sequence[str]
) -> Findings:
    """Every stage, the evaluation after each one, the export, and whether the run goes on where it is.

    Args:
        preflight: of this call; ``to_come`` is filled here.
        settings: of ``python -m recipes.run_curriculum``.
        stages: its stages, in order.
        words: of its command line.
    """
    root = Path(settings.run.directory)
    findings = _progress(settings, stages, words) if preflight.check_files else Findings()
    generated = generates_data(settings)
    preflight.to_come = (Path(settings.data.directory), root / "initial") if generated else ()
    checkpoint = str(root / "initial" / "model.nemo") if generated else settings.curriculum.initial_model
    for stage in stages:
        folder = root / stage.name
        preflight.to_come = (*preflight.to_come, folder)
        training = replace(stage.settings, model=replace(stage.settings.model, restore_from=checkpoint))
        _take(findings, preflight.command(training, stage.command), f"stage {stage.name}")
        checkpoint = str(folder / "model.nemo")
        evaluated = replace(
            stage.settings,
            engine=replace(stage.settings.engine, checkpoint=checkpoint, name="megatron"),
            evaluation=replace(stage.settings.evaluation, output=str(folder / "evaluation")),
        )
        _take(findings, preflight.command(evaluated, "evaluate"), f"evaluation of {stage.name}")
    if not preflight.check_files:
        return findings
    findings.add(machine.writable("run.directory", str(final_hf(root))))
    todo = [stage for stage in stages if not checkpoints.is_finished(str(root / stage.name))]
    needs = {str(root / stage.name): machine.stage_bytes(stage.settings, stage.command) for stage in todo}
    findings.add(machine.disk("run.directory", needs))
    return findings


def _progress(settings: Settings, stages: Sequence[StageCommand], words: Sequence[str]) -> Findings:
    """Whether the run in the folder is this one, nobody else drives it, and no stage was made from other weights."""
    findings, root = Findings(), Path(settings.run.directory)
    if _driven(root):
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{root}, in which another run_curriculum is at work",
                "a run that nobody drives",
                "wait for it, end it, or run.directory=NEW_FOLDER",
            )
        )
    try:
        progress = Progress.open(root, words)
        pending = progress.pending(plan_steps(settings, stages))
        todo = f"{len(pending)} steps to do, the first is {pending[0].name}" if pending else "every step is done"
        findings.looked_at.append(f"{root}: {todo}")
    except ProgressError as error:
        fix = "as said there, or run.directory=NEW_FOLDER"
        findings.problems.append(SettingsProblem("run.directory", str(error), "a run that goes on", fix))
    return findings


def _driven(root: Path) -> bool:
    """Whether ``recipes.run_curriculum`` holds the run's lock (``curriculum.progress.only_one``)."""
    try:
        with (root / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _take(findings: Findings, step: Findings, name: str) -> None:
    """Add what one step has to say, with its name, but for what an earlier step said already."""
    for mine, theirs in ((findings.problems, step.problems), (findings.warnings, step.warnings)):
        said = {(problem.key.partition(" (")[0], problem.found) for problem in mine}
        mine += [replace(p, key=f"{p.key} ({name})") for p in theirs if (p.key, p.found) not in said]
    findings.add(Findings(looked_at=step.looked_at))
