"""The runs of a stage in Weights & Biases and MLflow: a start that goes on writes into those of the first start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import MLFlowLogger, WandbLogger

from recipes.atomic_files import write_text
from recipes.settings.schema import Settings

NOTE = "trackers.json"
"""In the run directory (NeMo moves what lies in ``logs`` at every start): tracker -> its run, and where that lies."""


def known_runs(settings: Settings) -> dict[str, str]:
    """``wandb``, ``mlflow`` -> id of the run that an earlier start of this run directory opened at the same place."""
    try:
        noted = json.loads(Path(settings.run.directory, NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: run["id"] for name, run in noted.items() if run["place"] == _places(settings)[name]}


def remember_runs(trainer: Trainer, settings: Settings) -> None:
    """Keep the ids of the runs that are open now; on every rank, the first one writes."""
    if torch.distributed.get_rank() != 0:
        return
    opened: dict[str, Any] = {}
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            opened["wandb"] = logger.experiment.id
        elif isinstance(logger, MLFlowLogger):
            opened["mlflow"] = logger.run_id
            logger.experiment.update_run(logger.run_id, name=settings.run.name)  # NeMo gives it an empty one
    if opened:
        places = _places(settings)
        noted = {name: {"id": run, "place": places[name]} for name, run in opened.items()}
        write_text(Path(settings.run.directory, NOTE), json.dumps(noted, indent=1) + "\n")


def _places(settings: Settings) -> dict[str, list[str | None]]:
    logging = settings.logging
    return {"wandb": [logging.wandb_project], "mlflow": [logging.mlflow_tracking_uri, logging.mlflow_experiment]}
