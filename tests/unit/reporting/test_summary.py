from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from recipes.reporting.summary import StageFolder, edges, read_rows, summarise
from recipes.reporting.table import caption, columns, print_table, rows
from tests.unit.reporting.run_folders import run

KEYS = [
    "name",
    "steps",
    "temperature",
    "entropy_first",
    "entropy_last",
    "truncated_fraction_first",
    "truncated_fraction_last",
    "reward_first",
    "reward_last",
    "scores",
    "seconds",
    "evaluation_seconds",
]


def test_a_stage_by_hand(tmp_path: Path) -> None:
    """Steps 0..4; the first three have the mean of step 1, the last three that of step 3."""
    summary = summarise(run(tmp_path), tmp_path / "final" / "hf")
    assert [list(stage) for stage in summary["stages"]] == [KEYS, KEYS]
    sft, math1 = summary["stages"]
    assert (math1["name"], math1["steps"], math1["temperature"], math1["seconds"]) == ("math1", 5, 0.85, 90.0)
    assert [math1["entropy_first"], math1["entropy_last"]] == pytest.approx([0.9, 0.7])
    assert [math1["truncated_fraction_first"], math1["truncated_fraction_last"]] == pytest.approx([0.45, 0.35])
    assert [math1["reward_first"], math1["reward_last"]] == pytest.approx([0.1, 0.3])
    assert math1["scores"] == {"tiny_math": {"avg": 2 / 3, "n": 2, "problems": 3, "stderr": 0.125}}
    assert [sft[key] for key in KEYS[2:9]] == [None] * 7
    assert (sft["steps"], sft["scores"]["tiny_math"]["avg"]) == (4, 1 / 3)


def test_the_exported_model_is_named_once_it_is_there(tmp_path: Path) -> None:
    stages, hf = run(tmp_path), tmp_path / "final" / "hf"
    assert summarise(stages, hf)["final_hf"] is None
    hf.mkdir(parents=True)
    assert summarise(stages, hf)["final_hf"] == str(hf)


def test_edges_of_short_stages() -> None:
    assert edges([], "reward") == (None, None)
    assert edges([{"reward": 0.5}], "reward") == (0.5, 0.5)
    assert edges([{"reward": 0.0}, {"reward": 1.0}], "reward") == (0.5, 0.5)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"st')
    assert read_rows(path) == [{"step": 0}, {"step": 1}]
    assert read_rows(tmp_path / "none.jsonl") == []


def test_a_stage_without_evaluation_has_no_scores(tmp_path: Path) -> None:
    stages = run(tmp_path)
    (tmp_path / "math1" / "evaluation" / "scores.json").unlink()
    summary = summarise(stages, tmp_path)
    assert summary["stages"][1]["scores"] == {}
    assert rows(summary, ["tiny_math"])[1][6] == "\N{EN DASH}"


def test_the_tables_rows(tmp_path: Path) -> None:
    summary = summarise(run(tmp_path), tmp_path)
    assert columns(summary, ["tiny_math"])[6] == "tiny_math avg@2"
    nothing = "\N{EN DASH}"
    assert rows(summary, ["tiny_math"]) == [
        ["sft", "4", nothing, nothing, nothing, nothing, "0.333 ± 0.125", "1.0 + 0.2"],
        ["math1", "5", "0.85", "0.90 → 0.70", "45% → 35%", "0.10 → 0.30", "0.667 ± 0.125", "1.5 + 0.2"],
    ]
    assert caption(summary).endswith("3.0 in all")


def test_every_benchmark_has_its_column(tmp_path: Path) -> None:
    stages = run(tmp_path)
    path = tmp_path / "math1" / "evaluation" / "scores.json"
    both = json.loads(path.read_text())
    path.write_text(json.dumps(both | {"tiny_code": both["tiny_math"] | {"avg": 0.5, "n": 4}}))
    summary = summarise(stages, tmp_path)
    assert columns(summary, ["tiny_math", "tiny_code"])[6:8] == ["tiny_math avg@2", "tiny_code avg@4"]
    assert [row[6:8] for row in rows(summary, ["tiny_math", "tiny_code"])] == [
        ["0.333 ± 0.125", "\N{EN DASH}"],
        ["0.667 ± 0.125", "0.500 ± 0.125"],
    ]


def test_the_table_on_a_terminal_has_every_cell(tmp_path: Path) -> None:
    summary = summarise(run(tmp_path), tmp_path)
    screen = io.StringIO()
    print_table(summary, ["tiny_math"], Console(file=screen, width=120))
    for row in rows(summary, ["tiny_math"]):
        for cell in row:
            assert cell in screen.getvalue()


def test_a_run_that_has_not_finished_a_stage(tmp_path: Path) -> None:
    summary = summarise([StageFolder("sft", "sft", tmp_path / "sft", None, None)], tmp_path / "final")
    assert summary == {"stages": [], "final_hf": None}
    assert rows(summary, ["tiny_math"]) == []
