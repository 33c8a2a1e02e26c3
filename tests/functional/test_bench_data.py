"""``make bench-data`` on few rows: all that was planted is found, and nothing that stands alone is dropped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench import data_preparation
from tests.bench.synthetic_prompts import write_prompts


def test_the_benchmark_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--rows", "1000", "--methods", "ours,datatrove,open-r1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["data_preparation", *words])
    data_preparation.main()
    told = capsys.readouterr().out.splitlines()
    found = json.loads(told[-1])["found"]
    assert {"contaminated", "near", "reordered", "verbatim", "false drops"} <= found["ours"].keys()
    for name, (count, planted) in found["ours"].items():
        assert count == (0 if name == "false drops" else planted), name
    assert found["open-r1"]["contaminated"] == found["ours"]["contaminated"]
    assert found["datatrove"]["verbatim"] == found["ours"]["verbatim"]
    assert "rows/s" in told[1]


def test_the_prompts_depend_on_the_seed_alone(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_prompts(tmp_path / folder, 200, seed=3)
    write_prompts(tmp_path / "three", 200, seed=4)
    one, two, three = ((tmp_path / folder / "rows.jsonl").read_text() for folder in ("one", "two", "three"))
    assert one == two != three
    rows = {row["number"]: row for row in map(json.loads, one.splitlines())}
    for planted in map(json.loads, (tmp_path / "one" / "truth.jsonl").read_text().splitlines()):
        if planted["kind"] == "verbatim":
            assert rows[planted["number"]]["problem"] == rows[planted["of"]]["problem"]
