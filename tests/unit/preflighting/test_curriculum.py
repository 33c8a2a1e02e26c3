"""A whole curriculum in one go: what earlier stages will write counts as there, what is done is left alone."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.preflighting import machine
from recipes.preflighting.command import Preflight
from recipes.preflighting.curriculum import curriculum
from recipes.preflighting.findings import Findings
from recipes.settings.compose import compose
from recipes.settings.curriculum import stage_commands
from recipes.settings.plan import plan
from tests.unit.preflighting.inputs import math_rows, nemo, only, with_manifest, write_rows
from tests.unit.settings.composing import PRETRAINED, composed

TERABYTES = 2**45

# Every number of the paper that a stage's plan prints; the tags are those of conf/ (1.1 and 1.0: the papers).
PRINTED = {
    "sft": [
        ("6 epochs", "1.1 §4.4.3"),
        ("128 demonstrations = ", "substitute: OpenR1-Distill-7B"),
        ("of 32,768 tokens each at most", "substitute: the length of 1.1's evaluation"),
        ("AdamW, learning rate 4e-05 to 4e-06 cosine", "substitute: OpenR1-Distill-7B"),
    ],
    "math1": [
        ("1,200 steps", "1.1 §4.5.5"),
        ("128 prompts x 8 = 1,024 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 0.85,", "1.1 §4.5.2"),
        ("at most 8,192 tokens each", "1.1 §3.2.3"),
        ("overlong filtering on", "1.1 §4.5.3"),
        ("AdamW, learning rate 1e-06 constant", "1.0"),
        ("tokens normalised by group, KL 0", "1.1 §3.2.1, Eq. 1"),
        ("problems with response tokens 2000 to 4000", "1.1 §3.2.3"),
    ],
    "math2": [
        ("128 prompts x 16 = 2,048 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 0.85,", "1.1 §4.5.2"),
        ("at most 16,384 tokens each", "1.1 §3.2.3"),
        ("overlong filtering on", "1.1 §4.5.3"),
        ("AdamW, learning rate 1e-06 constant", "1.0"),
        ("tokens normalised by group, KL 0", "1.1 §3.2.1, Eq. 1"),
        ("all problems", "1.1 §3.2.3 (more hard prompts: the data file's)"),
    ],
    "math3": [
        ("128 prompts x 16 = 2,048 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 0.85,", "1.1 §4.5.2"),
        ("at most 24,576 tokens each", "1.1 §3.2.3"),
        ("overlong filtering on", "1.1 Figure 9"),
        ("AdamW, learning rate 1e-06 constant", "1.0"),
        ("problems with solve rate at most 0.375", "1.0 (more than 6 of 16 solved: dropped)"),
    ],
    "code1": [
        ("128 prompts x 8 = 1,024 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 0.6,", "1.0"),
        ("at most 24,576 tokens each", "1.1 §3.2.3"),
        ("overlong filtering off", "substitute: 1.1 Table 2"),
        ("AdamW, learning rate 5e-06 constant", "1.0"),
        ("problems with difficulty at most 5", "1.0"),
    ],
    "code2": [
        ("128 prompts x 16 = 2,048 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 1.0,", "1.0"),
        ("at most 32,768 tokens each", "1.1 §3.2.3"),
        ("overlong filtering off", "substitute: 1.1 Table 2"),
        ("AdamW, learning rate 5e-06 constant", "1.0"),
        ("from the second epoch on without the solved ones", "1.1 §3.2.3, 1.0"),
    ],
    "math4": [
        ("128 prompts x 16 = 2,048 a step, one update", "1.1 §3.2.1, 1.0"),
        ("temperature 0.85,", "1.1 §4.5.2"),
        ("at most 32,768 tokens each", "1.1 §3.2.3"),
        ("overlong filtering off", "1.1 Table 2"),
        ("AdamW, learning rate 1e-06 constant", "1.0"),
        ("problems with solve rate at most 0.375", "1.1 §3.2.3"),
    ],
}


@pytest.fixture
def papers(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Words of the paper's curriculum on H100s, with data of the right form and stand-in first weights."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=TERABYTES))
    model = composed("grpo", "cluster=h100", PRETRAINED).model
    base = with_manifest(nemo(tmp_path / "base" / "model.nemo", model), stage="import", kind="import", steps=0)
    words = ("curriculum=acereason_1_1", "cluster=h100", "cluster.nodes=16", f"curriculum.initial_model={base}")
    few = "sft.optimizer.warmup_steps=0"  # 300 demonstrations are 12 updates
    return (*words, few, f"data.directory={data}", f"run.directory={tmp_path / 'run'}")


def preflight(*words: str) -> Findings:
    return curriculum(Preflight({}, False), compose("curriculum", words), stage_commands(words), words)


def test_the_papers_curriculum_on_h100s_without_a_gpu(papers: tuple[str, ...]) -> None:
    findings = preflight(*papers)
    assert (findings.problems, findings.warnings) == ([], [])
    said = "\n".join(findings.looked_at)
    assert "math3.jsonl: 200 of 200 problems take part; rates come from" in said, "the rollouts of math2 are to come"
    assert "TiB free, about" in said


def test_the_printed_numbers_are_the_papers(papers: tuple[str, ...]) -> None:
    stages = stage_commands(papers)
    assert [stage.name for stage in stages] == list(PRINTED)  # 1.1 Figure 2
    for stage in stages:
        printed = "\n".join(plan(stage.settings, stage.command))
        missing = [f"{text} ({source})" for text, source in PRINTED[stage.name] if text not in printed]
        assert not missing, f"{stage.name} prints\n{printed}"


def test_a_dry_run_shows_every_stage(papers: tuple[str, ...], run_module: Callable[..., Any]) -> None:
    printed = run_module("run_curriculum", *papers, "--dry-run").stdout
    lines = [line for line in printed.splitlines() if line.startswith("# math4 ")]
    assert lines == [
        "# math4     1,000 steps, 128 x 16, 32,768 tokens, temperature 0.85, learning rate 1e-06 constant, "
        "overlong filtering off, problems with solve rate at most 0.375"
    ]


def test_every_stages_defects_at_once(papers: tuple[str, ...], data: Path) -> None:
    write_rows(data / "math2.jsonl", math_rows(100))
    (data / "code2.jsonl").unlink()
    (data / "math4.jsonl").write_text("{\n")
    found = {problem.key for problem in preflight(*papers).problems}
    assert found == {"prompts (stage math2)", "data.train (stage code2)", "data.train (stage math4)"}


def test_a_file_of_several_stages_is_named_once(papers: tuple[str, ...], data: Path) -> None:
    (data / "heldout.jsonl").unlink()
    keys = [problem.key for problem in preflight(*papers).problems]
    assert keys == ["benchmark.path (evaluation of sft)", "data.validation (stage math1)"]


def test_the_first_weights_must_be_finished_ones(papers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "base" / "manifest.json").unlink()
    problem = only(preflight(*papers).problems)
    assert problem.key == "model.restore_from (stage sft)" and "manifest.json: no such file" in problem.found


def test_the_demo_makes_its_data_itself(tmp_path: Path) -> None:
    findings = preflight(f"run.directory={tmp_path / 'demo'}")
    assert (findings.problems, findings.warnings) == ([], [])
    assert any("17 steps to do, the first is data" in line for line in findings.looked_at)


def test_a_finished_stage_is_skipped(papers: tuple[str, ...], data: Path, tmp_path: Path) -> None:
    model = composed("grpo", "cluster=h100", PRETRAINED).model
    with_manifest(nemo(tmp_path / "run" / "sft" / "model.nemo", model))
    write_rows(data / "sft_train.jsonl", [{"id": "spoilt"}])
    findings = preflight(*papers)
    assert findings.problems == []
    assert any(line.endswith("sft: finished, nothing is left to do") for line in findings.looked_at)


def test_a_run_that_was_started_with_other_words(papers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    content = {"overrides": ["grpo.max_steps=7"], "seconds": {}}
    (tmp_path / "run" / "curriculum.json").write_text(json.dumps(content))
    problem = only(preflight(*papers).problems)
    assert problem.key == "run.directory" and "started with other words" in problem.found


def test_a_run_that_somebody_drives(papers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        problem = only(preflight(*papers).problems)
    assert problem.key == "run.directory" and "another run_curriculum is at work" in problem.found


def test_room_for_all_stages_together(papers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=2**40))  # enough for one
    problem = only(preflight(*papers).problems)
    assert problem.key == "run.directory" and "1.0 TiB free" in problem.found
