"""Status of stages: numbers worked out by hand from run folders, the table at 80 and 120 columns, the command."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recipes.reporting.status import StageStatus, read_status, status_tables
from recipes.status import main
from tests.unit.reporting.run_folders import evaluated, write_rows


def row(step: int, **more: Any) -> dict[str, Any]:
    """Step s takes s + 1 seconds: s of sampling and one of the update."""
    values = {"reward": step / 100, "entropy": 0.3, "truncated": 0.25, "response_length": 4000 + step}
    return {"step": step, **values, "tokens_per_second": 1000.0, "seconds_sample": step, "seconds_update": 1.0} | more


def attempt(folder: Path, number: int, **more: Any) -> None:
    folder.joinpath("attempts").mkdir(parents=True, exist_ok=True)
    started = f"2026-01-0{number}T00:00:00+00:00"
    content = {"attempt": number, "started": started, "step_first": 0, "step_last": 20, "end": "running"} | more
    (folder / "attempts" / f"{number:04d}.json").write_text(json.dumps(content))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished SFT, a killed GRPO stage with three starts, one that was saved by a signal."""
    sft, math1, math2 = tmp_path / "sft", tmp_path / "math1", tmp_path / "math2"
    write_rows(sft / "metrics.jsonl", [{"step": s, "train/loss": 1.0, "train/step_time": 2.0} for s in range(30)])
    (sft / "manifest.json").write_text(
        json.dumps({"complete": True, "steps": 30, "metrics": {"stopped_by": "max_steps"}})
    )
    attempt(sft, 1, end="finished")
    evaluated(sft, 0.5, [], "tiny_math")
    evaluated(sft, 0.25, [], "tiny_code")
    rows = [row(step) for step in range(20)]
    rows[0] |= {"validation_start_avg": 0.1, "validation_start_stderr": 0.01}
    rows[9] |= {"validation_avg": 0.2, "validation_stderr": 0.02}
    write_rows(math1 / "metrics.jsonl", rows)
    for number in (1, 2, 3):
        attempt(math1, number)
    (math1 / "checkpoints" / "step_00000010").mkdir(parents=True)
    (math1 / "checkpoints" / "step_00000010" / "checkpoint.json").write_text("{}")
    write_rows(math2 / "metrics.jsonl", [row(0, validation_start_avg=0.3)])
    attempt(math2, 1, step_last=1, end="interrupted")
    (math2 / "interrupted.json").write_text("{}")
    return tmp_path


def test_a_stage_under_way(run: Path) -> None:
    """Steps 10 to 19: reward 0.145, 15.5 s a step, so 80 steps to go are 1,240 s."""
    status = read_status(run / "math1", "math1", 100, "process 7 on node3")
    assert (status.state, status.step, status.steps, status.saved_step, status.restarts) == ("running", 20, 100, 10, 2)
    assert status.reward == pytest.approx(0.145) and status.entropy == pytest.approx(0.3)
    assert status.truncated == 0.25 and status.response_length == pytest.approx(4014.5)
    assert status.seconds_per_step == pytest.approx(15.5) and status.seconds_left == pytest.approx(1240)
    assert status.validation == {"step": 10, "avg": 0.2, "stderr": 0.02}


def test_states(run: Path) -> None:
    assert read_status(run / "sft", "sft", None, None).state == "finished"
    assert read_status(run / "math1", "math1", 100, None).state == "stopped"
    assert read_status(run / "math2", "math2", 100, None).state == "interrupted"
    assert read_status(run / "math2", "math2", 100, "process 7").state == "running"
    to_come = read_status(run / "math3", "math3", 50, None)
    assert (to_come.state, to_come.step, to_come.steps, to_come.seconds_left) == ("to come", 0, 50, None)


def test_a_finished_stage(run: Path) -> None:
    status = read_status(run / "sft", "sft", 900, None)
    assert (status.step, status.steps, status.seconds_left, status.stopped_by) == (30, 30, None, "max_steps")
    assert status.loss == 1.0 and status.reward is None
    assert status.scores["tiny_code"] == {"avg": 0.25, "stderr": 0.125, "n": 2}


def test_the_score_before_the_first_step(run: Path) -> None:
    assert read_status(run / "math2", "math2", 9, None).validation == {"step": 0, "avg": 0.3, "stderr": None}


def stages(run: Path) -> list[StageStatus]:
    names = ("sft", "math1", "math2", "math3")
    return [read_status(run / name, name, 1200, "process 7 on node3" if name == "math1" else None) for name in names]


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut(run: Path, width: int) -> None:
    wide = stages(run)
    big = {"step": 1200, "steps": 1200, "response_length": 30123.0, "tokens_per_second": 123456.0}
    wide.append(StageStatus(**{**wide[1].as_dict(), **big, "stage": "math4", "seconds_left": 200_000.0}))
    out = io.StringIO()
    Console(file=out, width=width).print(status_tables(wide, width))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for piece in ("interrupted", "to come", "20/1,200", "5h05", "0.145", "25.0%", "30,123", "123,456", "50.0±12.5"):
        assert piece in text, piece
    assert "2d07h" in text and "math1: process 7 on node3" in text


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [(stage["stage"], stage["state"]) for stage in found["stages"]] == [
        ("math1", "stopped"),
        ("math2", "interrupted"),
        ("sft", "finished"),
    ]
    main([str(run / "math1")])
    assert "stopped" in capsys.readouterr().out


def test_a_curriculum_shows_the_stages_to_come(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["curriculum=demo", "grpo.max_steps=7", "math1.grpo.max_steps=100"]
    (run / "curriculum.json").write_text(json.dumps({"overrides": words, "seconds": {}}))
    settings = {"stage": {"kind": "grpo"}, "grpo": {"max_steps": 100}, "model": {"name": "tiny"}}
    cluster = {"name": "cpu", "nodes": 1, "devices_per_node": 1}
    (run / "math1" / "settings.yaml").write_text(json.dumps(settings | {"cluster": cluster}))
    main([str(run), "--json"])
    found = {s["stage"]: (s["state"], s["step"], s["steps"]) for s in json.loads(capsys.readouterr().out)["stages"]}
    assert list(found) == ["sft", "math1", "math2", "math3", "code1", "code2", "math4"]
    assert found["math1"] == ("stopped", 20, 100)
    assert found["math4"] == ("to come", 0, 7)


def test_a_stage_that_somebody_writes_is_running(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys, time; from pathlib import Path; from recipes.training.run_lock import RunLock\n"
    script += "with RunLock(Path(sys.argv[1])).held():\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, run / "math1"], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            main([str(run / "math1"), "--json"])
        finally:
            holder.kill()
    (stage,) = json.loads(capsys.readouterr().out)["stages"]
    assert stage["state"] == "running" and f"process {holder.pid}" in stage["writer"]


def test_watching_ends_with_the_last_stage(run: Path, run_module: Callable[..., Any]) -> None:
    ended = run_module("status", run / "sft", "--watch")
    assert ended.returncode == 0 and "finished" in ended.stdout


def test_wrong_folders(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, says in (
        (run / "math11", f"is it {run / 'math1'}?"),
        (run / "math1" / "checkpoints", "no stage has begun"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(wrong)])
        assert ended.value.code == 2
        assert says in " ".join(capsys.readouterr().err.split())
