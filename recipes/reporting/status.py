"""What a stage is doing, from its folder on disk: the rows of ``python -m recipes.status``.

``metrics.jsonl`` says what was measured, ``attempts/`` how often it started, ``manifest.json`` that it ended,
``interrupted.json`` that it waits. Who writes the folder at the moment is the caller's to find out (its lock).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recipes.reporting.summary import read_rows

State = Literal["finished", "running", "interrupted", "stopped", "to come"]
STYLES: dict[State, str] = {
    "finished": "green",
    "running": "bold cyan",
    "interrupted": "yellow",
    "stopped": "bold red",
    "to come": "dim",
}
LAST_STEPS = 10
"""Steps that the shown means are over."""
WIDE = 110
"""Columns of a terminal that has room for everything in one table."""
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage; the fields are the keys of ``--json``, means are over the last ``LAST_STEPS`` steps."""

    stage: str
    state: State
    """``stopped``: begun, neither finished nor saved by a signal, and nobody writes it: it was killed or it failed."""
    step: int
    """Updates done."""
    steps: int | None
    """Updates planned; of a finished stage: done."""
    saved_step: int | None
    """Of the newest checkpoint."""
    loss: float | None
    """SFT's."""
    reward: float | None
    entropy: float | None
    """Nats, temperature-adjusted."""
    truncated: float | None
    """Fraction of the rollouts that hit the length budget."""
    response_length: float | None
    """Tokens."""
    tokens_per_second: float | None
    """Sampled ones."""
    validation: Mapping[str, Any] | None
    """Newest held-out score: ``step``, ``avg``, ``stderr``."""
    scores: Mapping[str, Mapping[str, Any]]
    """Benchmark -> ``avg``, ``stderr``, ``n`` of the evaluation after the stage."""
    seconds_per_step: float | None
    seconds_left: float | None
    """To the last planned step, of a stage that has begun and is not finished."""
    restarts: int
    """Starts beyond the first."""
    writer: str | None
    """Who is at work in the folder."""
    stopped_by: str | None
    """Why a finished stage ended: ``max_steps``, ``plateau`` or ``solved``."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def is_stage_folder(folder: Path) -> bool:
    """Whether a stage has begun here."""
    return any((folder / name).exists() for name in ("manifest.json", "metrics.jsonl", "attempts", "settings.yaml"))


def started(folder: Path) -> str:
    """When a stage started first, ISO 8601; the empty string before that."""
    return str(_json(folder / "attempts" / "0001.json").get("started", ""))


def read_status(folder: Path, stage: str, planned: int | None, writer: str | None) -> StageStatus:
    """The status of one stage.

    Args:
        folder: its run directory, which need not be there yet.
        planned: updates that its settings ask for, where known.
        writer: who holds the folder's lock, None for nobody.
    """
    manifest, rows = _json(folder / "manifest.json"), read_rows(folder / "metrics.jsonl")
    attempts = [_json(path) for path in sorted(folder.glob("attempts/[0-9]*.json"))]
    state = _state(folder, manifest, bool(attempts or rows), writer)
    done = int(manifest["steps"]) if manifest else _steps_done(attempts, rows)
    steps = done if manifest else planned
    seconds = _mean([_seconds(row) for row in rows])
    begun = state not in ("finished", "to come")
    return StageStatus(
        stage=stage,
        state=state,
        step=done,
        steps=steps,
        saved_step=_saved(folder),
        loss=_mean([row.get("train/loss") for row in rows]),
        reward=_mean([row.get("reward") for row in rows]),
        entropy=_mean([row.get("entropy") for row in rows]),
        truncated=_mean([row.get("truncated") for row in rows]),
        response_length=_mean([row.get("response_length") for row in rows]),
        tokens_per_second=_mean([row.get("tokens_per_second") for row in rows]),
        validation=_validation(rows),
        scores={
            name: {"avg": score["avg"], "stderr": score["stderr_sampling"], "n": score["n"]}
            for name, score in _json(folder / "evaluation" / "scores.json").items()
        },
        seconds_per_step=seconds,
        seconds_left=max(steps - done, 0) * seconds if begun and seconds is not None and steps is not None else None,
        restarts=max(len(attempts) - 1, 0),
        writer=writer,
        stopped_by=manifest.get("metrics", {}).get("stopped_by"),
    )


def _state(folder: Path, manifest: Mapping[str, Any], begun: bool, writer: str | None) -> State:
    if manifest.get("complete"):
        return "finished"
    if writer is not None:
        return "running"
    if (folder / "interrupted.json").is_file():
        return "interrupted"
    return "stopped" if begun else "to come"


def _steps_done(attempts: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> int:
    if attempts and "step_last" in attempts[-1]:
        return int(attempts[-1]["step_last"])
    return int(rows[-1]["step"]) + 1 if rows else 0


def _saved(folder: Path) -> int | None:
    names = [path.parent.name for path in folder.glob("checkpoints/step_*/checkpoint.json")]
    return max((int(name.removeprefix("step_")) for name in names), default=None)


def _validation(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    for row in reversed(rows):
        for prefix in ("validation", "validation_start"):
            if f"{prefix}_avg" in row:
                step = row["step"] + (prefix == "validation")
                return {"step": step, "avg": row[f"{prefix}_avg"], "stderr": row.get(f"{prefix}_stderr")}
    return None


def _seconds(row: Mapping[str, Any]) -> float | None:
    """Wall seconds of one step."""
    parts = [value for key, value in row.items() if key.startswith("seconds_")]
    return sum(parts) if parts else row.get("train/step_time")


def _mean(values: Iterable[Any]) -> float | None:
    known = [float(value) for value in values if value is not None][-LAST_STEPS:]
    return fmean(known) if known else None


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none or no complete one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# For people


def status_tables(stages: Sequence[StageStatus], width: int) -> Group:
    """One table where the terminal is wide, two where it is narrow.

    Args:
        width: columns of the terminal; from 80 on nothing is cut.
    """
    progress, measured = _progress_columns(stages), _score_columns(stages)
    tables = [[*progress, *measured[1:]]] if width >= WIDE else [progress, measured]
    notes = [f"{stage.stage}: {stage.writer}" for stage in stages if stage.writer]
    caption = f"reward, entropy (nats), truncated, length (tokens) and tok/s: means over the last {LAST_STEPS} steps"
    return Group(*(_table(columns) for columns in tables), *map(Text, notes), Text(caption, style="dim"))


Column = tuple[str, "Literal['left', 'right']", "list[Text | str]"]


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading, justify, _ in columns:
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in zip(*(cells for _, _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _progress_columns(stages: Sequence[StageStatus]) -> list[Column]:
    return [
        ("stage", "left", [stage.stage for stage in stages]),
        ("state", "left", [Text(stage.state, style=STYLES[stage.state]) for stage in stages]),
        ("step", "right", [_step(stage) for stage in stages]),
        ("left", "right", [_duration(stage.seconds_left) for stage in stages]),
        ("starts", "right", [str(stage.restarts + 1) if stage.state != "to come" else NOTHING for stage in stages]),
        ("reward", "right", [_number(stage.reward, ".3f") for stage in stages]),
        ("entropy", "right", [_number(stage.entropy, ".3f") for stage in stages]),
        ("trunc.", "right", [_number(stage.truncated, ".1%") for stage in stages]),
        ("length", "right", [_number(stage.response_length, ",.0f") for stage in stages]),
    ]


def _score_columns(stages: Sequence[StageStatus]) -> list[Column]:
    benchmarks = list(dict.fromkeys(name for stage in stages for name in stage.scores))
    columns: list[Column] = [
        ("stage", "left", [stage.stage for stage in stages]),
        ("tok/s", "right", [_number(stage.tokens_per_second, ",.0f") for stage in stages]),
    ]
    if any(stage.loss is not None for stage in stages):
        columns.append(("loss", "right", [_number(stage.loss, ".3f") for stage in stages]))
    if any(stage.validation for stage in stages):
        columns.append(("held out", "right", [_number((stage.validation or {}).get("avg"), ".1%") for stage in stages]))
    for name in benchmarks:
        count = next(stage.scores[name]["n"] for stage in reversed(stages) if name in stage.scores)
        columns.append((f"{name}@{count}", "right", [_score(stage.scores.get(name)) for stage in stages]))
    return columns


def _step(stage: StageStatus) -> str:
    if stage.state == "to come" and stage.steps is None:
        return NOTHING
    return f"{stage.step:,}/{stage.steps:,}" if stage.steps is not None else f"{stage.step:,}"


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _score(score: Mapping[str, Any] | None) -> str:
    if not score or score["avg"] is None:
        return NOTHING
    return f"{100 * score['avg']:.1f}" + ("" if score["stderr"] is None else f"±{100 * score['stderr']:.1f}")


def _duration(seconds: float | None) -> str:
    """``45s``, ``12m``, ``3h05``, ``2d04h``."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest:02d}" if hours < 24 else f"{hours // 24}d{hours % 24:02d}h"
