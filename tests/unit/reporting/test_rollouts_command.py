"""``python -m recipes.rollouts``: the prompts of a step, the responses to one, and what it says where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.records import Group, Problem, Rollout, Verdict
from recipes.rollouts.__main__ import main
from recipes.rollouts.ledger import Ledger
from tests.unit.reporting.run_folders import write_rows
from tests.unit.rollouts.groups import group

FAILURE = {"test": 2, "verdict": "wrong_answer", "input": "[3]", "expected": "6", "found": "5", "detail": ""}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Steps 0 to 2; ``sum-1`` in steps 0 and 2, a program in step 1."""
    folder = tmp_path / "math1"
    ledger = Ledger(folder / "rollouts")
    ledger.write(0, 0, 0, [group("sum-1", [1, 0, 0, 1]), group("sum-2", [0, 0, 0, 0], truncated=[1, 3])])
    program = Rollout("double", 0, (1,), (1, 2, 3), "<think>\n[b]x[/b]\n</think>", False, 0.1)
    verdict = Verdict(False, "wrong_answer", None, 0.1, passed=2, total=4, first_failure=FAILURE)
    ledger.write(1, 0, 0, [Group(Problem("double", "Double x.", "", tests={}), (program,), (verdict,))])
    ledger.write(2, 1, 0, [group("sum-1", [1, 1, 1, 1])])
    data = write_data(tmp_path / "math1.jsonl")
    (folder / "settings.yaml").write_text(json.dumps({"data": {"train": str(data)}}))
    return folder


def write_data(path: Path) -> Path:
    write_rows(path, [{"id": "sum-1", "problem": "What is 1 + 1?"}, {"id": "double", "problem": "Double x."}])
    return path


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main([*words])
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_last_steps_prompts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, str(run))
    assert "step 2 of" in text and "1 prompts" in text
    assert text.splitlines()[-1].split() == ["sum-1", "4/4", "0", "12", "What", "is", "1", "+", "1?"]  # 10 to 13 tokens


def test_the_hardest_prompt_comes_first(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, str(run), "--step", "0").splitlines()
    assert [line.split()[:3] for line in lines[-2:]] == [["sum-2", "0/4", "2"], ["sum-1", "2/4", "0"]]
    assert len(printed(capsys, str(run), "--step", "0", "--limit", "1").splitlines()) == len(lines) - 1


def test_responses_with_their_verdicts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, str(run), "--step", "0", "--prompt", "sum-1")
    assert "step 0, epoch 0, sum-1: 2/4 solved, answer 1" in text and "What is 1 + 1?" in text
    assert "sample 0 · correct · reward 1 · 10 tokens · found 1" in text
    assert "sample 1 · wrong · reward 0 · 11 tokens · found 1" in text and "text 3" in text
    assert "tokens, truncated" in printed(capsys, str(run), "--step", "0", "--prompt", "sum-2")
    limited = printed(capsys, str(run), "--step", "0", "--prompt", "sum-1", "--limit", "3")
    assert "sample 3" not in limited and "1 more rollouts" in limited


def test_a_prompt_without_a_step_is_the_last_one_that_drew_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "step 2, epoch 1, sum-1: 4/4 solved" in printed(capsys, str(run), "--prompt", "sum-1")


def test_a_programs_first_failing_test(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, str(run), "--prompt", "double")
    assert "wrong answer · reward 0 · 3 tokens · 2/4 tests passed" in text
    assert "first failing test: 2" in text and "expected  6" in text and "found     5" in text
    assert "[b]x[/b]" in text, "a response's text is no markup"


def test_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in printed(capsys, str(run), "--prompt", "double", "--json").splitlines()]
    assert [(row["verdict"], row["first_failure"]) for row in rows] == [("wrong_answer", FAILURE)]
    counts = [json.loads(line) for line in printed(capsys, str(run), "--step", "0", "--json").splitlines()]
    assert counts[0] == {
        "step": 0,
        "problem_id": "sum-2",
        "correct": 0,
        "rollouts": 4,
        "truncated": 2,
        "response_tokens": 46,
    }


def test_the_data_file_may_be_gone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run.parent / "math1.jsonl").unlink()
    assert "not in data.train any more" in printed(capsys, str(run), "--prompt", "sum-1")
    assert "sum-1" in printed(capsys, str(run))


def test_what_is_there_instead(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "steps 0 to 2; the nearest is 2" in refused(capsys, str(run), "--step", "9")
    assert "not in step 1, but in steps 0, 2" in refused(capsys, str(run), "--step", "1", "--prompt", "sum-1")
    assert "the nearest are sum-2, sum-1" in refused(capsys, str(run), "--prompt", "sum-22")
    assert f"name a stage: {run}" in refused(capsys, str(run.parent))
    assert f"is it {run}?" in refused(capsys, str(run.parent / "math11"))
    assert "expected the folder of a GRPO stage" in refused(capsys, str(run / "rollouts" / "groups"))
    assert "expected at least 1" in refused(capsys, str(run), "--limit", "0")


def test_as_a_command(run: Path, run_module: Callable[..., Any]) -> None:
    ended = run_module("rollouts", run, "--step", "1", "--prompt", "double")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "first failing test: 2" in ended.stdout
