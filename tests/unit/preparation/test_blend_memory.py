"""Planning holds numbers, writing holds a few rows: 2.2M samples fit into 8 GB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recipes.data.lengths import LENGTHS
from recipes.data.tables import ROWS, SAMPLES, write_table
from recipes.preparation.collect import rows_path
from recipes.preparation.streamed_table import streamed_table
from tests.unit.preparation.measure_blends import plan

ROOT = Path(__file__).resolve().parents[3]
PLAN_BYTES = 1500
"""Of a sample while blends are planned: 3.3 GB for 2.2M."""
WRITE_GROWTH = 0.4
"""Of the text that a larger blend has more: buffers do not grow with it, the plan's numbers do."""


def _peak(step: str, folder: Path) -> int:
    command = [sys.executable, "-m", "tests.unit.preparation.measure_blends", step, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def _tables(folder: Path, prompts: int, responses: int) -> list[str]:
    """Rows and lengths of made-up prompts; gives their ids."""
    ids = [f"{number:016x}" for number in range(prompts)]
    shared = {name: [""] * prompts for name in ROWS.names}
    rows = {**shared, "row": range(prompts), "id": ids, "domain": ["math"] * prompts, "metadata": ["{}"] * prompts}
    write_table(rows_path(folder / "rows", 0), pa.table(rows, ROWS))
    total = prompts * responses
    tokens = np.random.default_rng(0).lognormal(8.5, 0.8, total).astype(np.int32) + 1
    lengths = {
        "id": np.repeat(ids, responses),
        "sample": np.tile(np.arange(responses, dtype=np.int32), prompts),
        "domain": ["math"] * total,
        "source": ["made"] * total,
        "licence": ["none"] * total,
        "prompt_tokens": np.full(total, 100, np.int32),
        "tokens": tokens,
        "truncated": [False] * total,
        "repeats": [None] * total,
    }
    write_table(rows_path(folder / "lengths", 0), pa.table(lengths, LENGTHS))
    return ids


@pytest.mark.slow
def test_planning_200_000_samples(tmp_path: Path) -> None:
    _tables(tmp_path, prompts=40_000, responses=5)
    peak = _peak("plan", tmp_path)
    print(f"plan: {peak / 2**20:.0f} MiB, {peak / 200_000:.0f} bytes a sample")
    assert peak < 200_000 * PLAN_BYTES


def _written(folder: Path, prompts: int) -> tuple[int, int]:
    """(peak of writing, bytes of text) of a blend of two responses to each prompt, 50 KB each."""
    ids = _tables(folder, prompts, responses=2)
    text = "".join(map(chr, np.random.default_rng(0).integers(97, 123, 60_000)))
    with streamed_table(rows_path(folder / "samples", 0), SAMPLES) as samples:
        for number, id in enumerate(ids):
            for sample in range(2):
                at = (number * 7 + sample) % 10_000
                row = dict.fromkeys(SAMPLES.names)
                samples.add({**row, "id": id, "sample": sample, "response": text[at : at + 50_000], "teacher": "R"})
    plan(folder)
    peak = _peak("write", folder)
    size = (folder / "blends" / "v1" / "v1.jsonl").stat().st_size
    print(f"write: {peak / 2**20:.0f} MiB for {size / 2**20:.0f} MiB of text")
    return peak, size


@pytest.mark.slow
def test_writing_holds_a_few_rows(tmp_path: Path) -> None:
    small, large = (_written(tmp_path / str(prompts), prompts) for prompts in (700, 2_100))
    assert large[1] - small[1] > 120 * 2**20
    assert large[0] - small[0] < WRITE_GROWTH * (large[1] - small[1])
