"""What steers a stage, with the real commands on the tiny model: selection, filtering, temperature, held-out score."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.functional.stage_controls import KILLED_AFTER, PROMPTS_PER_STEP, SAVED, STEPS
from tests.functional.test_resume import rows

PROBLEMS = 32


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of every run."""
    folder = tmp_path_factory.mktemp("controls")
    command = [sys.executable, "-m", "tests.functional.stage_controls", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-6000:]}"
    status = json.loads((folder / "report.json").read_text())
    failed = {name: code for name, code in status.items() if code not in (0, -9) and name != "too_hard"}
    assert not failed, "\n".join((folder / f"{name}.txt").read_text()[-3000:] for name in failed)
    return folder


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def problems_of(folder: Path, epoch: int) -> list[str]:
    return [row["problem_id"] for row in rows(folder / "rollouts" / "solve_rates.jsonl") if row["epoch"] == epoch]


def test_a_start_that_goes_on_takes_the_optimizers_settings_of_now(ran: Path) -> None:
    whole, slower = (rows(ran / name / "metrics.jsonl") for name in ("whole", "slower"))
    assert slower[:SAVED] == whole[:SAVED]
    assert {row["learning_rate"] for row in slower[SAVED:]} == {1e-5} != {row["learning_rate"] for row in whole}
    # The first step after the checkpoint sees its weights; the next one has others.
    assert slower[SAVED]["entropy"] == whole[SAVED]["entropy"]
    assert slower[SAVED + 1]["entropy"] != whole[SAVED + 1]["entropy"]


def test_both_starts_of_a_killed_run_are_one_run_of_each_tracker(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline = sorted((ran / "killed" / "logs" / "wandb").glob("offline-run-*"))
    assert len(offline) == 2 and len({folder.name.rpartition("-")[2] for folder in offline}) == 1
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(tracking_uri=f"file:{ran / 'mlflow'}")
    (run,) = client.search_runs([client.get_experiment_by_name("grpo").experiment_id])
    assert run.info.run_name == read(ran / "killed" / "manifest.json")["stage"] == "math1"
    reward = next(key for key in run.data.metrics if key.endswith("reward"))
    steps = [point.step for point in client.get_metric_history(run.info.run_id, reward)]
    assert len(set(steps)) == STEPS, "those before the kill and those after it"


def test_solved_problems_are_not_visited_again(ran: Path) -> None:
    totals = rows(ran / "whole" / "rollouts" / "solve_rates.jsonl")
    solved = {row["problem_id"] for row in totals if row["epoch"] == 0 and row["correct"] == row["rollouts"]}
    assert solved, "no problem was solved by every rollout: the filter had nothing to do"
    assert len(problems_of(ran / "whole", 0)) == PROBLEMS
    assert not solved & set(problems_of(ran / "whole", 1))
    epochs = [row["epoch"] for row in rows(ran / "whole" / "metrics.jsonl")]
    first = PROBLEMS // PROMPTS_PER_STEP
    second = (PROBLEMS - len(solved)) // PROMPTS_PER_STEP
    assert epochs[: first + second] == [0] * first + [1] * second


def test_a_killed_run_makes_the_same_decisions(ran: Path) -> None:
    assert read(ran / "report.json")["killed_before"] == -9
    assert SAVED < KILLED_AFTER < STEPS
    whole, killed = ran / "whole", ran / "killed"
    assert rows(killed / "metrics.jsonl") == rows(whole / "metrics.jsonl")
    assert rows(killed / "rollouts" / "solve_rates.jsonl") == rows(whole / "rollouts" / "solve_rates.jsonl")
    names = sorted(path.name for path in (whole / "rollouts").glob("step_*.jsonl"))
    assert len(names) == STEPS
    for name in names:
        assert rows(killed / "rollouts" / name) == rows(whole / "rollouts" / name)
    assert read(killed / "selection.json") == read(whole / "selection.json")


def test_a_finished_stage_that_takes_more_steps_is_one_that_was_never_finished(ran: Path) -> None:
    """But for the held-out score at its first end, which is measured there only."""
    whole, extended = (
        [{key: value for key, value in row.items() if not key.startswith("validation_")} for row in rows(path)]
        for path in (ran / "whole" / "metrics.jsonl", ran / "extended" / "metrics.jsonl")
    )
    assert len(whole) == STEPS and extended == whole
    assert "validation_avg" in rows(ran / "extended" / "metrics.jsonl")[SAVED - 1]
    first = read(ran / "extended" / f"manifest_of_step_{SAVED}.json")
    last = read(ran / "extended" / "manifest.json")
    assert (first["steps"], last["steps"]) == (SAVED, STEPS)
    assert first["model"]["sha256"] != last["model"]["sha256"]
    assert [start["end"] for start in last["attempts"]] == ["finished", "finished"]


def test_the_held_out_score_starts_at_the_parents(ran: Path) -> None:
    measured = rows(ran / "whole" / "metrics.jsonl")
    assert 0 < measured[0]["validation_start_avg"] <= 1
    assert [row["step"] + 1 for row in measured if "validation_avg" in row] == [4, 8, STEPS]
    assert [row["step"] for row in measured if "validation_start_avg" in row] == [0]
    for row in measured:
        if "validation_avg" in row:
            assert 0 <= row["validation_avg"] <= 1 and row["validation_stderr"] >= 0


def test_auto_measures_what_the_command_measures(ran: Path) -> None:
    """Same weights, prompts and seed: the same temperature, from either command and after a kill."""
    alone, whole, killed = (read(ran / name / "temperature.json") for name in ("calibrated", "whole", "killed"))
    assert alone == whole == killed
    entropies = [point["entropy"] for point in alone["points"]]
    assert entropies == sorted(entropies)
    assert entropies[0] < alone["target_entropy"] < entropies[-1]
    assert alone["clamped"] is None
    trained = rows(ran / "whole" / "metrics.jsonl")
    assert {row["temperature"] for row in trained} == {alone["temperature"]}
    assert f"temperature: {alone['temperature']}" in (ran / "whole" / "settings.yaml").read_text()
    for name in ("calibrated", "whole"):
        assert (ran / name / "temperature.png").read_bytes().startswith(b"\x89PNG")
    printed = (ran / "calibrated.txt").read_text()
    assert f"grpo.temperature={alone['temperature']:g}" in printed
    assert "entropy (nats)" in printed


def test_a_plateau_ends_the_stage_with_its_weights(ran: Path) -> None:
    """The first step has the best value that counts; two steps later it is two steps old."""
    manifest = read(ran / "plateau" / "manifest.json")
    assert (manifest["steps"], manifest["metrics"]["stopped_by"]) == (3, "plateau")
    assert read(ran / "whole" / "manifest.json")["metrics"]["stopped_by"] == "max_steps"
    assert (ran / "plateau" / "model.nemo").exists()
    assert len(rows(ran / "plateau" / "metrics.jsonl")) == 3


def test_problems_are_chosen_by_the_rollouts_of_an_earlier_run(ran: Path) -> None:
    latest: dict[str, float] = {}
    for row in rows(ran / "whole" / "rollouts" / "solve_rates.jsonl"):
        latest[row["problem_id"]] = row["correct"] / row["rollouts"]
    easy = {problem for problem, rate in latest.items() if rate > 0.75}
    selection = read(ran / "hard" / "selection.json")
    assert {problem["problem_id"] for problem in selection["dropped"]} == easy != set()
    assert selection["kept"] == PROBLEMS - len(easy)
    assert not easy & set(problems_of(ran / "hard", 0))


def test_too_few_problems_end_the_command_before_the_frameworks_start(ran: Path) -> None:
    assert read(ran / "report.json")["too_hard"] == 2
    printed = (ran / "too_hard.txt").read_text()
    assert "fewer than grpo.prompts_per_step=8" in printed
    assert "prompts.min_solve_rate" in printed
    assert not (ran / "too_hard" / "metrics.jsonl").exists()
