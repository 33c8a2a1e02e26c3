"""What preflight reads, small and made by hand: rows, a tokenizer, checkpoints with a manifest, run folders."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from recipes.checkpoints.manifest import Manifest, manifest_path, model_file, write_manifest
from recipes.checkpoints.nemo_archive import ARCHITECTURE_KEYS
from recipes.checkpoints.store import CheckpointStore
from recipes.data.order import PromptOrder, problems_digest
from recipes.preflighting.command import Preflight
from recipes.preflighting.findings import Findings
from recipes.records import Problem
from recipes.settings.compose import compose
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import ModelSettings

TESTS = {"kind": "functional", "fn_name": "f", "inputs": [[3]], "outputs": [6]}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def math_rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"sum-{n}", "problem": f"What is {n} + 1?", "answer": str(n + 1), **more} for n in range(count)]


def code_rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"double-{n}", "problem": f"Double x, {n}.", "tests": TESTS, **more} for n in range(count)]


def demonstration_rows(count: int, response: str = "<think>\nadd\n</think>\n\n\\boxed{1}") -> list[dict[str, Any]]:
    return math_rows(count, response=response)


def nemo(path: Path, model: ModelSettings, **changes: Any) -> Path:
    """A .nemo file with the configuration that the export and the architecture check read, and no weights."""
    config = {nemo_key: getattr(model, ours) for ours, nemo_key in ARCHITECTURE_KEYS.items()}
    config |= {"qkv_bias": model.architecture == "qwen2", "normalization": "rmsnorm", "activation": "fast-swiglu"}
    config |= {"position_embedding_type": "rope", "bias": False}
    config["max_position_embeddings"] = model.max_position_embeddings
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, text in (
            ("model_config.yaml", yaml.safe_dump(config | changes)),
            ("model_weights/common.pt", "weights"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, BytesIO(text.encode()))
    return path


def with_manifest(checkpoint: Path, **changes: Any) -> Path:
    """Writes a complete manifest beside the checkpoint."""
    fields: dict[str, Any] = {
        "stage": "sft",
        "kind": "sft",
        "steps": 1,
        "run_directory": str(checkpoint.parent.absolute()),
        "model": model_file(checkpoint),
        "started": "2026-01-01T00:00:00.000+00:00",
        "finished": "2026-01-01T00:00:01.000+00:00",
    }
    empty: dict[str, Any] = {"settings": {}, "data": {}, "versions": {}, "metrics": {}, "attempts": []}
    numbers: dict[str, Any] = {"wall_seconds": 1.0, "device_hours": 0.0, "gpu_hours": 0.0, "temperature": None}
    nothing: dict[str, Any] = {"parent": None, "source": None, "git": None}
    write_manifest(manifest_path(checkpoint), Manifest(**fields | empty | numbers | nothing | changes))
    return checkpoint


def grpo_checkpoint(run: Path, problems: list[Problem], *, step: int = 3, seed: int = 1234, batch: int = 24) -> None:
    """A checkpoint without a state, as a GRPO stage over ``problems`` commits it."""
    store, order = (
        CheckpointStore(run / "checkpoints", 3),
        PromptOrder(problems, seed, batch, problems_digest(problems)),
    )
    store.begin(step)
    store.commit(step, {"stage": "math1", "order": order.position([], step).as_dict()})


def checked(command: Any, *words: str, on_node: bool = False, **environ: str) -> Findings:
    """What preflight says about one command."""
    return Preflight(environ, on_node).command(compose(command, words), command)


def only(problems: list[SettingsProblem]) -> SettingsProblem:
    (problem,) = problems
    return problem
