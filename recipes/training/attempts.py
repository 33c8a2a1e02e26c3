"""``RUN/attempts/NNNN.json``: every start of a stage, where it ran and how far it came.

The main process renews the file of its start after every step, in one rename. A start that was killed stays "running";
that the run directory's lock is free tells it apart from one at work.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.checkpoints.manifest import Parent
from recipes.settings.parallelism import data_parallel_size
from recipes.settings.schema import Settings

_NAME = re.compile(r"\d{4,}\.json")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start; the fields are the keys of the file."""

    attempt: int
    """From 1."""
    started: str
    """ISO 8601, UTC."""
    last: str
    """When the file was renewed last."""
    step_first: int
    """Updates that were done when it started."""
    step_last: int
    """Updates done at ``last``."""
    end: str
    """``running`` (also after a kill), ``interrupted`` (stopped by a signal, saved) or ``finished``."""
    host: str
    """Of the main process."""
    pid: int
    slurm_job_id: str | None
    slurm_restart_count: int | None
    nodes: int
    devices_per_node: int
    accelerator: str
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    parent: Mapping[str, Any] | None
    """The weights that the stage starts from, as in the manifest."""

    @property
    def seconds(self) -> float:
        """Wall seconds from the start to the last sign of life."""
        return (datetime.fromisoformat(self.last) - datetime.fromisoformat(self.started)).total_seconds()

    @property
    def device_hours(self) -> float:
        """``seconds`` on every device, in hours."""
        return self.seconds * self.nodes * self.devices_per_node / 3600

    def as_dict(self) -> dict[str, Any]:
        """The content of the file."""
        return asdict(self)


class Attempts:
    """The starts of one stage. One process writes: the main one of the start that holds the run directory's lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._current: Attempt | None = None

    def begin(self, settings: Settings, step: int, parent: Parent | None) -> Attempt:
        """Record a start that goes on after ``step`` updates."""
        earlier, now = self.read(), timestamp()
        model, cluster = settings.model, settings.cluster
        return self._write(
            Attempt(
                attempt=earlier[-1].attempt + 1 if earlier else 1,
                started=now,
                last=now,
                step_first=step,
                step_last=step,
                end="running",
                host=socket.gethostname(),
                pid=os.getpid(),
                slurm_job_id=os.environ.get("SLURM_JOB_ID"),
                slurm_restart_count=_number(os.environ.get("SLURM_RESTART_COUNT")),
                nodes=cluster.nodes,
                devices_per_node=cluster.devices_per_node,
                accelerator=cluster.accelerator,
                tensor_parallel=model.tensor_model_parallel_size,
                pipeline_parallel=model.pipeline_model_parallel_size,
                data_parallel=data_parallel_size(settings),
                parent=asdict(parent) if parent else None,
            )
        )

    def renew(self, step: int, end: str = "running") -> Attempt:
        """The start at work has done ``step`` updates."""
        if self._current is None:
            raise RuntimeError("begin() comes first")
        return self._write(replace(self._current, last=timestamp(), step_last=step, end=end))

    def read(self) -> list[Attempt]:
        """Every start, oldest first."""
        if not self.directory.is_dir():
            return []
        files = sorted(path for path in self.directory.iterdir() if _NAME.fullmatch(path.name))
        return [Attempt(**json.loads(path.read_text(encoding="utf-8"))) for path in files]

    def _write(self, attempt: Attempt) -> Attempt:
        write_text(self.directory / f"{attempt.attempt:04d}.json", json.dumps(attempt.as_dict(), indent=1) + "\n")
        self._current = attempt
        return attempt


def timestamp() -> str:
    """Now, ISO 8601 in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
