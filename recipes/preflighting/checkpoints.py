"""The weights that a command starts from and the run directory that it goes on in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recipes.checkpoints.export_rules import architecture_of_nemo, require_writable
from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.manifest import manifest_path, manifest_problems, parent_of, read_manifest
from recipes.checkpoints.nemo_archive import CheckpointMismatch, architecture_differences, read_config
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.preflighting.deployment import architecture, deployment
from recipes.preflighting.findings import Findings
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import ExportSettings, Settings
from recipes.training.finished_checks import finished_problems
from recipes.training.resume_checks import require_same_parent, resume_problems
from recipes.training.run_folder import RunFolder
from recipes.training.run_lock import BEAT_SECONDS, RunLock

HASHED_BYTES = 2**28
"""Weights up to this size are hashed: half a second."""
BATCH = {"sft": "global_batch_size", "grpo": "prompts_per_step"}
"""Stage kind -> a key that only its checkpoints' ``order`` has."""
WATCH_SECONDS = 2 * BEAT_SECONDS + 1
"""A lock that another machine holds is renewed at least twice meanwhile."""


def weights(key: str, checkpoint: str, settings: Settings, *, needs_manifest: bool) -> Findings:
    """Whether a ``.nemo`` that is there is whole, of a finished stage and of the settings' architecture."""
    findings, path = Findings(), Path(checkpoint)
    if needs_manifest and (torn := manifest_problems(path, hashed_bytes=HASHED_BYTES)):
        findings.problems.append(
            SettingsProblem(
                key,
                "\n".join(torn),
                "weights with a complete manifest: of a finished stage, or of python -m recipes.import_hf",
                f"let the stage before it end, {key}=OTHER, or run.require_parent_manifest=false",
            )
        )
    try:
        differences = architecture_differences(path, dict[str, Any](vars(settings.model)))
    except CheckpointMismatch as error:
        expected = "a whole .nemo file or folder"
        findings.problems.append(
            SettingsProblem(key, str(error), expected, f"copy or convert it again, or {key}=OTHER")
        )
        return findings
    if differences:
        findings.problems.append(
            SettingsProblem(
                key,
                "\n".join([f"{checkpoint}, of another architecture:", *differences]),
                f"the architecture of model={settings.model.name}",
                f"model=NAME of the group that fits it, or {key}=OTHER",
            )
        )
    what = "architecture and manifest" if needs_manifest else "architecture"
    findings.looked_at.append(f"{checkpoint}: {what}")
    return findings


def run_directory(settings: Settings, directory: str) -> Findings:
    """Whether the command can go on there: nobody else writes it, and its checkpoint belongs to these settings."""
    findings, path = Findings(), Path(directory)
    if not path.is_dir():
        return findings
    findings.add(unlocked(path))
    folder = RunFolder(path)
    if folder.manifest.is_file():  # and the weights are not there: is_finished() was asked before
        torn = "\n".join(manifest_problems(folder.model, hashed_bytes=0))
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{directory} was finished, but\n{torn}",
                f"the weights that {folder.manifest.name} is about",
                f"bring {folder.model} back, or remove {folder.manifest} to write them again from the last checkpoint",
            )
        )
        return findings
    start = newest(directory)
    if start is None:
        return findings
    if BATCH[settings.stage.kind] not in start.progress.get("order", {}):
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{directory}, whose newest checkpoint is no {settings.stage.kind} stage's",
                "a run directory of the same stage, or a new one",
                "run.directory=NEW_FOLDER",
            )
        )
        return findings
    findings.problems += resume_problems(settings, path)
    findings.problems += _other_parent(settings, folder)
    findings.looked_at.append(f"{directory}: goes on after step {start.step}")
    return findings


def unlocked(path: Path) -> Findings:
    """Whether a stage's folder is free."""
    findings = Findings()
    if holder := RunLock(path, watch_seconds=WATCH_SECONDS).holder():
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{path}, which {holder} writes",
                "a run directory that nobody writes",
                f"wait for it, end it ({holder.stop_command}), or run.directory=NEW_FOLDER",
            )
        )
    return findings


def newest(directory: str) -> Checkpoint | None:
    """Where a stage would go on."""
    return CheckpointStore(RunFolder(Path(directory)).checkpoints, 1).latest()


def _other_parent(settings: Settings, folder: RunFolder) -> list[SettingsProblem]:
    """A stage that has begun from other weights than the settings name now."""
    restore = settings.model.restore_from
    if restore is not None and not Path(restore).exists():
        return []  # a problem of its own, or to come
    parent = None if restore is None else parent_of(Path(restore))
    try:
        require_same_parent(folder, parent, newest(str(folder.directory)))
    except ValueError as error:
        fix = "model.restore_from=THE_FIRST_WEIGHTS, or run.directory=NEW_FOLDER"
        return [SettingsProblem("model.restore_from", str(error), "the weights of the stage's first start", fix)]
    return []


def export(settings: ExportSettings, *, here: bool) -> Findings:
    """Whether an export can read its checkpoint and may write its folder.

    Args:
        here: whether this machine is the one that will do it.
    """
    findings, checkpoint = Findings(), Path(settings.checkpoint)
    try:
        require_writable(Path(settings.output))
    except ConversionError as error:
        expected = "a new folder, or one of an earlier export"
        findings.problems.append(SettingsProblem("output", str(error), expected, "output=NEW_FOLDER"))
    if not checkpoint.exists():
        return findings
    engine = settings.format == "trtllm"
    try:
        model = architecture(checkpoint) if engine else architecture_of_nemo(read_config(checkpoint), checkpoint)
    except (CheckpointMismatch, ConversionError) as error:
        fix = "copy it again, or checkpoint=OTHER"
        findings.problems.append(SettingsProblem("checkpoint", str(error), "a whole .nemo of this recipe", fix))
        return findings
    findings.looked_at.append(f"{checkpoint}: architecture")
    if engine:
        findings.add(deployment(settings, model, here=here))
    return findings


def is_finished(directory: str) -> bool:
    """The stage ended here and its weights are whole, as far as their size tells."""
    model = Path(directory) / "model.nemo"
    return manifest_path(model).is_file() and not manifest_problems(model, hashed_bytes=0)


def finished_otherwise(settings: Settings) -> list[SettingsProblem]:
    """What a finished stage was trained with and these settings are not."""
    folder = RunFolder(Path(settings.run.directory))
    return finished_problems(settings, read_manifest(folder.manifest), folder.directory)
