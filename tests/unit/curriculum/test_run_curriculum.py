"""The driver as a process of its own, on steps that do nothing but leave traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.run_curriculum import main
from tests.unit.reporting.run_folders import PROBLEMS, evaluated, finished, sample, write_rows


def start(root: Path, *second: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.curriculum.driver_process", str(root), *second]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def starts(root: Path, step: str) -> list[int]:
    path = root / step / "started"
    return list(map(int, path.read_text().split())) if path.is_file() else []


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="a process is bound to its parent's life on Linux only")
def test_sigkill_ends_the_step_too_and_the_same_command_goes_on(tmp_path: Path) -> None:
    driver = start(tmp_path, "sleep")
    wait_until(lambda: starts(tmp_path, "two"))
    (step,) = starts(tmp_path, "two")
    driver.kill()
    driver.communicate()
    wait_until(lambda: not alive(step))
    driver = start(tmp_path)
    screen, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert "[1/2] one (done)" in screen
    assert "[2/2] two\n" in screen
    assert (len(starts(tmp_path, "one")), len(starts(tmp_path, "two"))) == (1, 2)


def test_usr1_saves_ends_with_75_and_the_same_command_goes_on(tmp_path: Path) -> None:
    driver = start(tmp_path, "save")
    wait_until(lambda: starts(tmp_path, "two"))
    driver.send_signal(signal.SIGUSR1)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 75
    assert "SIGUSR1: two saved its state and ended. The same command goes on from here" in errors
    driver = start(tmp_path, "save")
    screen, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert "[1/2] one (done)" in screen
    assert (len(starts(tmp_path, "one")), len(starts(tmp_path, "two"))) == (1, 2)


def test_a_stage_that_was_told_to_save_by_somebody_else_is_no_defect(tmp_path: Path) -> None:
    driver = start(tmp_path, "save")
    wait_until(lambda: starts(tmp_path, "two"))
    (step,) = starts(tmp_path, "two")
    os.kill(step, signal.SIGUSR1)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 75, errors
    assert "two saved its state" in errors


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "fail",
            "Step two failed (exit status 3). Its messages are above, those of the frameworks in {root}/two/logs.",
        ),
        ("nothing", "Step two ended without {root}/two/manifest.json"),
    ],
)
def test_a_step_that_fails_stops_the_run(tmp_path: Path, what: str, message: str) -> None:
    driver = start(tmp_path, what)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 1
    assert message.format(root=tmp_path) in errors
    assert (len(starts(tmp_path, "one")), len(starts(tmp_path, "two"))) == (1, 1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("grpo.temprature=1", "grpo.temperature"),
        ("stage=math2", "curriculum.stages=[math2]"),
        ("curriculum.stages=[sft,math9]", "math9, no such stage"),
        ("evaluation.max_response_length=5000", "evaluation.max_response_length"),
    ],
)
def test_bad_words_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"run.directory={tmp_path / 'run'}", word])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_report_alone_prints_its_table_and_where_its_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": problem.id, "problem": problem.problem, "answer": problem.answer} for problem in PROBLEMS]
    write_rows(tmp_path / "data" / "heldout.jsonl", rows)
    finished(tmp_path / "sft", steps=6)
    evaluated(tmp_path / "sft", 0.5, [sample("sum", 0, "correct", "\\boxed{2}")])
    main([f"run.directory={tmp_path}", "curriculum.stages=[sft]", "benchmark.others=[]", "--report"])
    shown = capsys.readouterr().out
    assert "tiny_math avg@2" in shown and "0.500" in shown
    assert f"Report: {tmp_path / 'report.html'}" in shown and (tmp_path / "report.html").is_file()
