"""The weights that a command starts from and the run directory that it goes on in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recipes.checkpoints.manifest import manifest_path, manifest_problems
from recipes.checkpoints.nemo_archive import CheckpointMismatch, architecture_differences
from recipes.preflighting.findings import Findings
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings
from recipes.training.resume_checks import resume_problems
from recipes.training.run_lock import BEAT_SECONDS, RunLock

HASHED_BYTES = 2**28
"""Weights up to this size are hashed: half a second."""
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
    if holder := RunLock(path, watch_seconds=WATCH_SECONDS).holder():
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{directory}, which {holder} writes",
                "a run directory that nobody writes",
                f"wait for it, end it ({holder.stop_command}), or run.directory=NEW_FOLDER",
            )
        )
    try:
        findings.problems += resume_problems(settings, path)
    except (KeyError, TypeError, ValueError) as error:
        findings.problems.append(
            SettingsProblem(
                "run.directory",
                f"{directory}: its newest checkpoint is not of this kind of stage ({error!r})",
                "a run directory of the same stage, or a new one",
                "run.directory=NEW_FOLDER",
            )
        )
    return findings


def is_finished(directory: str) -> bool:
    """The stage ended here and its weights are whole, as far as their size tells."""
    model = Path(directory) / "model.nemo"
    return manifest_path(model).is_file() and not manifest_problems(model, hashed_bytes=0)
