"""launcher/ABLATIONS.md: every row composes, and differs from the main run in what it says and in nothing else."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.settings.compose import flatten
from recipes.settings.curriculum import StageCommand, stage_commands
from tests.architecture.source import ROOT

PAGE = (ROOT / "launcher" / "ABLATIONS.md").read_text(encoding="utf-8")
ROWS = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if "| `" in line]
COMMAND = next(line for line in PAGE.splitlines() if line.startswith("bash launcher/curriculum.sh"))
OWN = ("run.", "curriculum.", "data.", "model.tokenizer", "model.restore_from", "evaluation.output")
"""Where a run lies, what it starts from and which stages it has; paths below them."""
NUMBER_OF_ROWS = 17


@cache
def stages(words: tuple[str, ...]) -> tuple[StageCommand, ...]:
    script, *base = shlex.split(COMMAND)[1:-1]
    assert (ROOT / script).is_file()
    return tuple(stage_commands([*(word.replace("NAME", "ablation") for word in base), *words]))


def values(words: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Stage -> its settings; ledgers of the run's own stages and of the main run's are the same thing."""
    found = {stage.name: flatten(stage.settings) for stage in stages(words)}
    for keys in found.values():
        keys["prompts.ledgers"] = [Path(run).name for run in keys["prompts.ledgers"]]
        keys["benchmark.path"] = Path(keys["benchmark.path"]).name
    return found


MAIN = ("curriculum.initial_model=base.nemo",)


@pytest.mark.parametrize(("paper", "question", "words", "differs"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_a_row_does_what_it_says(paper: str, question: str, words: str, differs: str) -> None:
    assert re.fullmatch(r"Figure \d+|Table \d+|§[\d.]+", paper), question
    given = tuple(shlex.split(words.strip("`")))
    main, ablation = values(MAIN), values(given)
    asked = dict(word.split("=", 1) for word in given)
    assert list(ablation) == asked["curriculum.stages"].strip("[]").split(",")
    changed = {
        f"{stage}.{key}": value
        for stage, keys in ablation.items()
        for key, value in keys.items()
        if value != main[stage][key] and not key.startswith(OWN)
    }
    claims = dict(claim.split(": ") for claim in differs.split(", ") if ": " in claim)
    assert claims.pop("stages", ",".join(ablation)) == ",".join(ablation)
    assert changed == {key: yaml.safe_load(text) for key, text in claims.items()}
    assert (differs == "data") == ("data.directory" in asked)


def test_every_ablation_has_its_row() -> None:
    assert len(ROWS) == NUMBER_OF_ROWS == PAGE.count("\n| ") - 1
    papers = {row[0] for row in ROWS}
    assert papers == {"Figure 7", "Figure 8", "Figure 9", "Figure 10", "§4.5.4", "Table 2", "Table 3"}
    assert {row[3].partition(".")[0] for row in ROWS if "overlong" in row[3]} == {"math1", "math2", "math3", "math4"}


def test_the_main_run_is_the_rest_of_each_comparison() -> None:
    main = values(MAIN)
    assert (main["math1"]["grpo.max_steps"], main["math1"]["grpo.max_response_length"]) == (
        1200,
        8192,
    )  # Table 3, Fig. 10
    assert {main[name]["grpo.temperature"] for name in ("math1", "math2")} == {0.85}  # Figure 8
    overlong = [main[f"math{number}"]["grpo.overlong_filtering"] for number in (1, 2, 3, 4)]
    assert overlong == [True, True, True, False]  # Figure 9, Table 2
    assert main["math4"]["evaluation.max_response_length"] == 32768  # Table 2
