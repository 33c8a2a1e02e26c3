"""One tracker's client at work, in a process of its own: ``evaluation.tracking`` starts it and gives it a time limit.

    python -m evaluation.trackers wandb|mlflow DIR LOGGING_AS_JSON

One run for the benchmarks, the n and the sampling of a folder: ``DIR/tracking.json`` remembers it, so samples graded
again update it. Neither service can take back a metric, such as pass@64 once n is 16, and MLflow no parameter: other
benchmarks, another n or other samples are a new run.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.json_files import read_identity, read_object, read_scores
from recipes.atomic_files import write_text
from recipes.settings.schema import LoggingSettings

NOTE = "tracking.json"
FILES = ("scores.json", "scores.csv", "report.html")
DEFAULT_EXPERIMENT = "evaluation"
"""Of MLflow, where ``logging.mlflow_experiment`` is null."""


def main() -> None:
    """Prints where the scores are; ends with the reason on stderr and status 1 where they did not arrive."""
    name, output, logging = sys.argv[1], Path(sys.argv[2]), LoggingSettings(**json.loads(sys.argv[3]))
    send = {"wandb": _to_wandb, "mlflow": _to_mlflow}[name]
    try:
        print(send(output, logging), flush=True)
    except Exception as error:  # whatever a service and its client may raise
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr, flush=True)
        os._exit(1)  # a client that got no answer would wait for it again at exit


def metrics_of(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """``scores.json`` as flat metrics, ``aime24/avg``, ``aime24/pass_at_8``; what is unknown is left out.

    Per-problem rates stay in the file. Names have the characters that MLflow allows.
    """
    found: dict[str, float | None] = {}
    for benchmark, row in scores.items():
        for name, value in row.items():
            if name == "ci95_problems":
                low, high = value or (None, None)
                found |= {f"{benchmark}/ci95_problems_low": low, f"{benchmark}/ci95_problems_high": high}
            elif name == "pass@k":
                found |= {f"{benchmark}/pass_at_{k}": chance for k, chance in value.items()}
            elif not isinstance(value, Mapping):
                found[f"{benchmark}/{name.replace('@', '_at_')}"] = value
    return {name: float(value) for name, value in found.items() if value is not None}


def _to_wandb(output: Path, logging: LoggingSettings) -> str:
    import wandb

    scores = read_scores(output)
    place = {"project": logging.wandb_project, **_of(output, scores)}
    run = wandb.init(
        project=logging.wandb_project,
        id=_known_run(output, "wandb", place),
        resume="allow",
        name=_name(output),
        job_type="evaluation",
        config=_config(output),
        dir=str(output),
        settings=wandb.Settings(silent=True, console="off"),
    )
    if run.disabled:
        return "WANDB_MODE=disabled: nothing sent"
    try:
        _remember(output, "wandb", place, run.id)
        run.summary.update(metrics_of(scores))
        artifact = wandb.Artifact(f"evaluation-{run.id}", "evaluation")
        for path in _files(output):
            artifact.add_file(str(path))
        run.log_artifact(artifact)
    finally:
        run.finish()
    return run.url or f"kept offline; to send it: wandb sync {Path(run.dir).parent}"


def _to_mlflow(output: Path, logging: LoggingSettings) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # its own seven take four minutes
    address, name = logging.mlflow_tracking_uri, logging.mlflow_experiment or DEFAULT_EXPERIMENT
    client, scores = MlflowClient(tracking_uri=address), read_scores(output)
    place = {"tracking_uri": address, "experiment": name, **_of(output, scores)}
    run_id, params = _known_run(output, "mlflow", place), []
    if run_id is None or not _is_there(client, run_id):
        experiment = client.get_experiment_by_name(name)
        experiment_id = client.create_experiment(name) if experiment is None else experiment.experiment_id
        run_id = client.create_run(experiment_id, run_name=_name(output)).info.run_id
        params = [Param(key, str(value)) for key, value in _config(output).items()]  # they may never change
        _remember(output, "mlflow", place, run_id)
    now = time.time_ns() // 1_000_000
    metrics = [Metric(key, value, now, 0) for key, value in metrics_of(scores).items()]
    for start in range(0, max(len(params), len(metrics)), 100):  # MLflow takes so many parameters at once
        client.log_batch(run_id, metrics[start : start + 100], params[start : start + 100])
    for path in _files(output):
        client.log_artifact(run_id, str(path))
    client.set_terminated(run_id)
    return f"run {run_id} of experiment {name}, {address}"


def _files(output: Path) -> list[Path]:
    return [output / name for name in FILES if (output / name).is_file()]


def _name(output: Path) -> str:
    """``math4/evaluation`` of ``runs/demo/math4/evaluation``."""
    return "/".join(output.resolve().parts[-2:])


def _config(output: Path) -> dict[str, Any]:
    """How each benchmark was sampled, ``aime24/temperature``; what a request carries beside it stays here."""
    found: dict[str, Any] = {}
    for path in sorted(output.glob("*/sampling.json")):
        told = read_identity(path.parent).items()
        found |= {f"{path.parent.name}/{key}": value for key, value in told if key != "extra"}
    return found


def _of(output: Path, scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a run is of: benchmarks, their n, and how they were sampled."""
    sampled = json.dumps(_config(output), sort_keys=True)
    sizes = {benchmark: row["n"] for benchmark, row in scores.items()}
    return {"n": sizes, "sampling_sha256": hashlib.sha256(sampled.encode()).hexdigest()}


def _is_there(client: Any, run_id: str) -> bool:
    """Somebody may have deleted it."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _known_run(output: Path, tracker: str, place: Mapping[str, Any]) -> str | None:
    """The run of an earlier sending to the same place."""
    known = _note(output).get(tracker, {})
    return known["run"] if known.get("place") == place else None


def _note(output: Path) -> dict[str, Any]:
    path = output / NOTE
    return read_object(path, "remove it to send to new runs") if path.is_file() else {}


def _remember(output: Path, tracker: str, place: Mapping[str, Any], run: str) -> None:
    note = _note(output) | {tracker: {"run": run, "place": place}}
    write_text(output / NOTE, json.dumps(note, indent=1) + "\n")


if __name__ == "__main__":
    main()
