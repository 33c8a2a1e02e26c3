"""avg@n of one checkpoint by its two engines: greedy decoding gives the same texts, on one process and on two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.run import main
from tests.conftest import Finished
from tests.unit.evaluation import tiny_checkpoint

ROWS, N = 6, 2


def texts(output: Path) -> list[tuple[str, int, str, int]]:
    lines = (output / "tiny_math" / "samples.jsonl").read_text().splitlines()
    return [(row["problem_id"], row["sample"], row["text"], row["tokens"]) for row in map(json.loads, lines)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run_module: Callable[..., Finished]) -> Path:
    """A random model as a Hugging Face folder and as a ``.nemo``, and a small benchmark."""
    folder = tmp_path_factory.mktemp("evaluation")
    tiny_checkpoint.write(folder, ROWS)
    imported = run_module("import_hf", folder / "hf", folder / "model.nemo", timeout=300)
    assert imported.returncode == 0, imported.stderr[-3000:]
    return folder


def test_megatron_on_two_replicas_equals_transformers(folder: Path, run_module: Callable[..., Finished]) -> None:
    shared = [
        f"data.directory={folder}",
        f"evaluation.n={N}",
        "evaluation.temperature=0",
        "evaluation.max_response_length=24",
        "engine.batch_size=4",
    ]
    ended = run_module(
        "evaluation.run",
        *shared,
        "model=tiny",
        "cluster.devices_per_node=2",
        f"engine.checkpoint={folder / 'model.nemo'}",
        f"evaluation.output={folder / 'two'}",
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    main(
        [
            *shared,
            "engine=hf",
            f"engine.checkpoint={folder / 'hf'}",
            f"evaluation.output={folder / 'one'}",
        ]
    )
    found = texts(folder / "two")
    assert found == texts(folder / "one")
    assert len(found) == ROWS * N
    assert len({text for _, _, text, _ in found}) == ROWS, "greedy samples differ between problems and not within one"
    scores = json.loads((folder / "two" / "scores.json").read_text())["tiny_math"]
    assert (scores["samples"], scores["missing"]) == (ROWS * N, 0)
