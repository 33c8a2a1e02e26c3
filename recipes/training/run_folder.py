"""What a run's folder holds, and where.

settings.yaml  metrics.jsonl  rollouts/  checkpoints/  logs/  model.nemo  finished.json
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.compose import to_yaml
from recipes.settings.schema import Settings
from recipes.training.metrics_log import MetricsLog
from recipes.training.ports import Ranks


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one stage, ``run.directory``."""

    directory: Path

    @property
    def checkpoints(self) -> Path:
        """Complete training states, by step."""
        return self.directory / "checkpoints"

    @property
    def rollouts(self) -> Path:
        """The ledger."""
        return self.directory / "rollouts"

    @property
    def metrics(self) -> MetricsLog:
        """``metrics.jsonl``."""
        return MetricsLog(self.directory / "metrics.jsonl")

    @property
    def model(self) -> Path:
        """The weights that the stage hands on."""
        return self.directory / "model.nemo"

    @property
    def finished(self) -> Path:
        """There once the stage is done."""
        return self.directory / "finished.json"

    def say_if_finished(self) -> bool:
        """True, with a line for the user, when there is nothing left to do here."""
        if not self.finished.is_file():
            return False
        print(f"{self.directory} is finished: {self.model}. Remove the folder, or set run.directory, to train again.")
        return True

    def record_settings(self, settings: Settings, ranks: Ranks) -> None:
        """Keep the resolved settings beside the results."""
        if ranks.is_main:
            _write(self.directory / "settings.yaml", to_yaml(settings))

    def finish(self, stage: str, steps: int) -> None:
        """Mark the stage as done; the last thing a stage does."""
        _write(self.finished, json.dumps({"stage": stage, "steps": steps, "model": self.model.name}, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
