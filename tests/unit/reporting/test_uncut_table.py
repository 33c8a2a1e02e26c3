"""Tables on a terminal of 80 columns: no number and no path is cut."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluation import compare
from evaluation.overlap import table
from evaluation.paired import Paired
from recipes.reporting.lineage import print_lineage
from recipes.reporting.uncut_table import print_uncut

PLACE = "/shared/runs/acereason_1_1_with_a_long_name_that_is_wider_than_a_terminal/math1/model.nemo"


def terminal(width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def link(**changes: Any) -> dict[str, Any]:
    return {
        "stage": "math1",
        "kind": "grpo",
        "steps": 1200,
        "git": {"sha": "02ae2ac908abcdef", "dirty": True},
        "source": None,
        "data": {"train": {"path": "DATA/math1.jsonl", "sha256": "4ac02be1" * 8}},
        "scores": {name: {"avg": 0.648, "n": 64} for name in ("livecodebench_v5", "hmmt_feb_2025")},
        "validation": None,
        "wall_hours": 1234.56,
        "gpu_hours": 158023.68,
        "checkpoint": PLACE,
        "problems": [],
    } | changes


def test_the_lineage_on_80_columns() -> None:
    console = terminal()
    print_lineage([link(), link()], console)
    shown = text_of(console)
    for whole in ("1,200", "1234.56", "158023.68", "64.8%", "02ae2ac908 + changes", "math1.jsonl 4ac02be1", PLACE):
        assert shown.count(whole) >= 2, whole
    head = [line for line in shown.splitlines() if "commit" not in line and PLACE not in line]
    assert max(map(len, head)) <= 80 and "\N{HORIZONTAL ELLIPSIS}" not in shown


@pytest.mark.parametrize("width", [20, 40, 80])
def test_numbers_stay_whole_however_narrow_the_terminal(width: int) -> None:
    console = terminal(width)
    print_uncut(console, ("name", "a", "b"), [["two words", "123456789", "0.123456789"]], wrapped="name")
    assert "123456789" in text_of(console) and "0.123456789" in text_of(console)


def test_a_comparison_on_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {f"p{number}": (0.0, 1.0) for number in range(3)}
    found = Paired(0.648, 0.894, 0.246, 0.0154, 0.0213, (-0.199, 0.291), 0.0001, tuple(rates), (), rates)
    console = terminal()
    monkeypatch.setattr(compare, "Console", lambda **_: console)
    compare._show([Path("A"), Path("B")], {"livecodebench_v5": found}, [])
    row = next(line for line in text_of(console).splitlines() if line.startswith("livecodebench_v5"))
    assert row.split() == ["livecodebench_v5", "3", "64.8", "89.4", "+24.6", "1.54", "-19.9", "to", "29.1", "0.0001"]
    assert len(row) <= 80
    assert "livecodebench_v5, gained 3: p0 (0 -> 100), p1 (0 -> 100), p2 (0 -> 100)" in text_of(console)
    assert "livecodebench_v5, lost 0" in text_of(console)


def test_an_overlap_on_80_columns() -> None:
    counted = {"overlapping": 30, "half": 12, "whole": 4}
    found = {"problems": 279, "prompt": counted, "response": counted}
    found |= {"looked_for_as_a_whole": ["a"] * 90, "too_short": ["b", "c"]}
    account = {"file": "train.jsonl", "rows": 512, "prompts": 512, "responses": 0, "without_text": 0, "bad": 0}
    shown = table({"ngram": 9, "benchmarks": {"livecodebench_v5": found}, "training": [account]})
    assert max(len(line.expandtabs(8)) for line in shown.splitlines()) <= 80
    assert "# livecodebench_v5: short 90: fewer words than 9, looked for as a whole" in shown
    assert "# livecodebench_v5: too short 2: fewer words than 4, not looked for" in shown
