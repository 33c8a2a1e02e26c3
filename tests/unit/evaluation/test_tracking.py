"""Scores sent to Weights & Biases and MLflow by their own clients, into files instead of services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from wandb.proto.wandb_internal_pb2 import Record
from wandb.sdk.internal.datastore import DataStore

from evaluation import tracking
from evaluation.run import main
from evaluation.score import main as score
from evaluation.trackers import metrics_of
from tests.unit.evaluation import tiny_checkpoint

WANDB = "logging.wandb_project=reasoning"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracking")
    tiny_checkpoint.write(folder, 2)
    return folder


def evaluate(checkpoint: Path, output: Path, *more: str) -> None:
    model = ["engine=hf", f"engine.checkpoint={checkpoint / 'hf'}", f"benchmark.path={checkpoint / 'heldout.jsonl'}"]
    main([*model, f"output={output}", "n=2", "max_response_length=4", *more])


def records(output: Path) -> list[Record]:
    """Of the one offline run below the folder."""
    (log,) = output.glob("wandb/offline-run-*/*.wandb")
    store, found = DataStore(), []
    store.open_for_scan(str(log))
    while (data := store.scan_data()) is not None:
        found.append(Record.FromString(data))
    return found


def summary(output: Path) -> dict[str, Any]:
    items = [item for record in records(output) for item in record.summary.update]
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_metrics_are_flat_and_leave_out_what_is_unknown() -> None:
    row = {"avg": 0.5, "n": 4, "stderr_problems": None, "ci95_problems": [0.25, 0.75], "majority@n": 1.0}
    row |= {
        "pass@k": {"1": 0.5, "4": None},
        "pass@k_resampled": {"1": {"mean": 0.5, "sd": 0.1}},
        "per_problem": {"a": 1.0},
    }
    assert metrics_of({"aime24": row, "other": {"ci95_problems": None}}) == {
        "aime24/avg": 0.5,
        "aime24/n": 4.0,
        "aime24/ci95_problems_low": 0.25,
        "aime24/ci95_problems_high": 0.75,
        "aime24/majority_at_n": 1.0,
        "aime24/pass_at_1": 0.5,
    }


def test_weights_and_biases_has_the_scores_the_sampling_and_the_page(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model" / "scores"
    evaluate(checkpoint, output, WANDB)
    assert "wandb: kept offline; to send it: wandb sync " in capsys.readouterr().out
    scores = json.loads((output / "scores.json").read_text())
    assert metrics_of(scores).items() <= summary(output).items()
    (run,) = [record.run for record in records(output) if record.run.run_id]
    assert (run.project, run.display_name, run.job_type) == ("reasoning", "model/scores", "evaluation")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["tiny_math/temperature"], config["tiny_math/max_response_length"]) == (0.6, 4)
    files = [
        entry.path for record in records(output) for entry in record.request.log_artifact.artifact.manifest.contents
    ]
    files += [entry.path for record in records(output) for entry in record.artifact.manifest.contents]
    assert sorted(files) == ["report.html", "scores.csv", "scores.json"]


def test_mlflow_has_them_and_samples_graded_again_go_into_the_same_run(checkpoint: Path, tmp_path: Path) -> None:
    output, address = tmp_path / "scores", f"file:{tmp_path / 'mlflow'}"
    words = [f"logging.mlflow_tracking_uri={address}", "logging.mlflow_experiment=e"]
    evaluate(checkpoint, output, *words)
    score([f"output={output}", *words])
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("e")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == metrics_of(json.loads((output / "scores.json").read_text()))
    assert len(client.get_metric_history(run.info.run_id, "tiny_math/n")) == 2
    assert run.data.params["tiny_math/top_p"] == "0.95" and run.info.status == "FINISHED"
    stored = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert stored == {"report.html", "scores.csv", "scores.json"}
    score([f"output={output}", "n=1", *words])  # pass@2 is no metric of it
    newest = client.search_runs([experiment.experiment_id])[0]
    assert newest.info.run_id != run.info.run_id
    assert newest.data.metrics == metrics_of(json.loads((output / "scores.json").read_text()))
    client.delete_run(newest.info.run_id)
    score([f"output={output}", "n=1", *words])
    again = client.search_runs([experiment.experiment_id])[0]
    assert again.info.run_id not in (run.info.run_id, newest.info.run_id) and again.data.metrics == newest.data.metrics


def test_other_samples_are_another_run(checkpoint: Path, tmp_path: Path) -> None:
    output, address = tmp_path / "scores", f"file:{tmp_path / 'mlflow'}"
    words = [f"logging.mlflow_tracking_uri={address}", "logging.mlflow_experiment=e", "replace=true"]
    for seed in (7, 11):
        evaluate(checkpoint, output, *words, f"run.seed={seed}")
    client = MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert {run.data.params["tiny_math/seed"] for run in runs} == {"7", "11"}


def test_a_client_that_never_ends_is_ended(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights & Biases' client, without an answer, keeps its process for good."""
    (tmp_path / "wandb.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tracking, "SEND_SECONDS", 2.0)
    monkeypatch.syspath_prepend(tmp_path)
    output = tmp_path / "a folder"
    evaluate(checkpoint, output, WANDB)
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("wandb: nothing sent (no end after 2 s)")
    assert told.endswith(f"python -m evaluation.score 'output={output}' {WANDB}"), "to be pasted"


def test_a_tracker_that_does_not_answer_costs_no_score(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(checkpoint, tmp_path, "logging.mlflow_tracking_uri=http://127.0.0.1:9")
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("mlflow: nothing sent (") and f"the scores are in {tmp_path}/scores.json" in told
    assert told.endswith(f"evaluation.score output={tmp_path} logging.mlflow_tracking_uri=http://127.0.0.1:9")
    assert (tmp_path / "scores.json").is_file() and not (tmp_path / "tracking.json").exists()


def test_a_missing_package_is_told_before_the_first_sample(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        evaluate(checkpoint, tmp_path / "new", WANDB)
    assert ended.value.code == 2 and "logging.wandb_project=reasoning: no package wandb" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_nothing_is_sent_unless_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    evaluate(checkpoint, tmp_path)
    assert not (tmp_path / "wandb").exists() and not (tmp_path / "tracking.json").exists()
