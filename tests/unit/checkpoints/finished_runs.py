"""Run directories as finished stages leave them, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recipes.checkpoints.manifest import (
    DataFile,
    GitState,
    Manifest,
    manifest_path,
    model_file,
    parent_of,
    write_manifest,
)


def finished(checkpoint: Path, parent: Path | None, *, stage: str, score: float | None = None, **fields: Any) -> Path:
    """Weights of a few bytes, their manifest and, with ``score``, an evaluation."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_text(f"weights of {stage}")
    values: dict[str, Any] = {
        "kind": "grpo",
        "steps": 40,
        "source": None,
        "git": GitState("0123456789abcdef", dirty=False),
        "settings": {},
        "data": {"data.train": DataFile(f"data/{stage}.jsonl", 512, "feed" * 16)},
        "versions": {},
        "metrics": {"validation": []},
        "attempts": [{}],
        "wall_seconds": 5400.0,
        "device_hours": 12.0,
        "gpu_hours": 12.0,
        "temperature": 1.0,
        "started": "2026-01-01T00:00:00.000+00:00",
        "finished": f"2026-01-0{1 + len(stage) % 9}T00:00:00.000+00:00",
    }
    manifest = Manifest(
        stage=stage,
        run_directory=str(checkpoint.absolute().parent),
        model=model_file(checkpoint),
        parent=parent_of(parent) if parent else None,
        **values | fields,
    )
    write_manifest(manifest_path(checkpoint), manifest)
    if score is not None:
        scores = checkpoint.parent / "evaluation" / "scores.json"
        scores.parent.mkdir()
        scores.write_text(json.dumps({"tiny_math": {"avg": score, "n": 8, "problems": 108}}))
    return checkpoint


def curriculum(root: Path) -> Path:
    """``import`` -> ``sft`` -> ``math1`` below ``root``; the last checkpoint."""
    source = {"folder": "hf/base", "config_sha256": "beef" * 16}
    day = "2026-01-0{}T00:00:00.000+00:00".format
    base = finished(root / "base.nemo", None, stage="import", kind="import", source=source, data={}, finished=day(1))
    sft = finished(root / "sft" / "model.nemo", base, stage="sft", kind="sft", finished=day(2))
    return finished(root / "math1" / "model.nemo", sft, stage="math1", score=0.625, finished=day(3))
