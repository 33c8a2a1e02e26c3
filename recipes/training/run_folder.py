"""What a run's folder holds, and where.

settings.yaml  metrics.jsonl  tokens/  rollouts/  checkpoints/  attempts/  logs/  model.nemo  manifest.json  export/
trackers.json
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from recipes.atomic_files import write_text
from recipes.checkpoints.manifest import (
    MANIFEST_NAME,
    MODEL_NAME,
    DataFile,
    Manifest,
    Parent,
    data_file,
    manifest_problems,
    model_file,
    parent_of,
    read_manifest,
    require_manifest,
    write_manifest,
)
from recipes.checkpoints.provenance import git_state, versions
from recipes.settings.compose import to_yaml
from recipes.settings.schema import Settings
from recipes.training.attempts import Attempt, Attempts, timestamp
from recipes.training.finished_checks import differences, how_to_go_on, layout_differences
from recipes.training.metrics_log import MetricsLog
from recipes.training.ports import Ranks
from recipes.training.stop_signal import write_interrupted

EXPORT_NAMES = {"hf": "hf", "trtllm": "engine"}
"""Format -> folder below ``export``."""
MEAN_STEPS = 10
"""Last steps that the manifest's means are over."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one stage, ``run.directory``."""

    directory: Path

    @property
    def checkpoints(self) -> Path:
        """Complete training states, by step."""
        return self.directory / "checkpoints"

    @property
    def tokens(self) -> Path:
        """SFT's demonstrations as token ids, for this start and the next ones."""
        return self.directory / "tokens"

    @property
    def rollouts(self) -> Path:
        """The ledger."""
        return self.directory / "rollouts"

    @property
    def metrics(self) -> MetricsLog:
        """``metrics.jsonl``."""
        return MetricsLog(self.directory / "metrics.jsonl")

    @property
    def selection(self) -> Path:
        """Which problems the rules of ``prompts`` left out."""
        return self.directory / "selection.json"

    @property
    def temperature(self) -> Path:
        """The measurement behind ``grpo.temperature=auto``; its picture lies beside it."""
        return self.directory / "temperature.json"

    @property
    def attempts(self) -> Path:
        """One file for every start of the stage."""
        return self.directory / "attempts"

    @property
    def model(self) -> Path:
        """The weights that the stage hands on."""
        return self.directory / MODEL_NAME

    @property
    def manifest(self) -> Path:
        """There once the stage is done."""
        return self.directory / MANIFEST_NAME

    def export(self, kind: str) -> Path:
        """Where ``export.on_finish`` leaves a format: ``export/hf``, ``export/engine``."""
        return self.directory / "export" / EXPORT_NAMES[kind]

    def say_if_finished(self, settings: Settings) -> bool:
        """True, with a line for the user, when there is nothing left to do here.

        Args:
            settings: of this start; where the result depends on them they must be those of the finished stage.

        Raises:
            ValueError: there is a manifest, but not the weights that it is about; or the stage was trained with other
                settings.
        """
        if not self.manifest.is_file():
            return False
        if problems := manifest_problems(self.model, hashed_bytes=0):
            raise ValueError(
                f"{self.directory} was finished, but its weights are not what it ended with: {'; '.join(problems)}; "
                f"bring {self.model} back, or remove {self.manifest.name} to write them again from the last checkpoint"
            )
        manifest = read_manifest(self.manifest)
        if found := differences(settings, manifest, self.directory):
            raise ValueError(
                f"{self.directory} is finished, trained with other settings: {'; '.join(map(str, found))}.\n"
                f"Nothing was trained. Fix: {how_to_go_on(found, settings, manifest, self.directory)}"
            )
        cut = layout_differences(settings, manifest)
        layout = f" ({'; '.join(map(str, cut))}: another layout trains the same)" if cut else ""
        print(
            f"{self.directory} is finished: {self.model}. Nothing was trained{layout}. Remove the folder, or set "
            "run.directory, to train again."
        )
        return True

    @property
    def interrupted(self) -> Path:
        """There while a stage that was stopped by a signal waits for its next start."""
        return self.directory / "interrupted.json"

    def starts(self) -> list[Attempt]:
        """Every start of the stage so far, oldest first."""
        return Attempts(self.attempts).read()

    def begin(self, settings: Settings, step: int, parent: Parent | None) -> Attempts:
        """Record a start that goes on after ``step`` updates; on the main process, which holds the lock."""
        attempts = Attempts(self.attempts)
        attempts.begin(settings, step, parent)
        self.interrupted.unlink(missing_ok=True)
        return attempts

    def interrupt(self, step: int, attempts: Attempts) -> None:
        """The stage was stopped by a signal and is saved after ``step`` updates."""
        attempts.renew(step, end="interrupted")
        write_interrupted(self.interrupted, step)
        print(f"{self.directory} is saved after step {step}; the same command goes on from there.", flush=True)

    def record_settings(self, settings: Settings, ranks: Ranks) -> None:
        """Keep the resolved settings beside the results."""
        if ranks.is_main:
            write_text(self.directory / "settings.yaml", to_yaml(settings))

    def finish(
        self,
        settings: Settings,
        steps: int,
        attempts: Attempts,
        parent: Parent | None,
        *,
        stopped_by: str = "max_steps",
    ) -> Manifest:
        """Mark the stage as done; the last thing a stage does, once its weights are on disk.

        Args:
            settings: with the temperature as a number.
            steps: updates done.
            attempts: the start at work is recorded as finished.
            parent: what the stage started from.
            stopped_by: ``max_steps`` or ``plateau``.
        """
        attempts.renew(steps, end="finished")
        starts = attempts.read()
        device_hours = sum(start.device_hours for start in starts)
        gpu_hours = sum(start.device_hours for start in starts if start.accelerator == "gpu")
        manifest = Manifest(
            stage=settings.stage.name,
            kind=settings.stage.kind,
            steps=steps,
            run_directory=str(self.directory.absolute()),
            model=model_file(self.model),
            parent=parent,
            source=None,
            git=git_state(),
            settings=asdict(settings),
            data=_data_files(settings),
            versions=versions(),
            metrics={"stopped_by": stopped_by, **summary_of(self.metrics.rows())},
            attempts=[start.as_dict() for start in starts],
            wall_seconds=round(sum(start.seconds for start in starts), 1),
            device_hours=round(device_hours, 4),
            gpu_hours=round(gpu_hours, 4),
            temperature=settings.grpo.sampling_temperature if settings.stage.kind == "grpo" else None,
            started=starts[0].started,
            finished=timestamp(),
        )
        write_manifest(self.manifest, manifest)
        return manifest


def parent_weights(settings: Settings) -> Parent | None:
    """The weights that a stage starts from, None for random ones.

    Raises:
        ManifestError: they have no complete manifest and ``run.require_parent_manifest`` asks for one.
    """
    if settings.model.restore_from is None:
        return None
    checkpoint = Path(settings.model.restore_from)
    if settings.run.require_parent_manifest:
        require_manifest(checkpoint)
    return parent_of(checkpoint)


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``last``: the newest value of every metric; ``means``: over the newest ``MEAN_STEPS`` values of each;
    ``validation``: every row's held-out scores, by step."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            if key != "step" and isinstance(value, int | float):
                values.setdefault(key, []).append(value)
    validation = [
        {key: value for key, value in row.items() if key == "step" or key.startswith(("validation_", "val/"))}
        for row in rows
        if any(key.startswith(("validation_", "val/")) for key in row)
    ]
    return {
        "last": {key: found[-1] for key, found in values.items()},
        "means": {key: fmean(found[-MEAN_STEPS:]) for key, found in values.items()},
        "validation": validation,
    }


def _data_files(settings: Settings) -> dict[str, DataFile]:
    """What the stage read; GRPO reads ``data.validation`` only where it validates."""
    paths = {"data.train": Path(settings.data.train)}
    if settings.stage.kind == "sft" or settings.validation.every_steps > 0:
        paths["data.validation"] = Path(settings.data.validation)
    return {key: data_file(path) for key, path in paths.items()}
