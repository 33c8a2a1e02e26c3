"""The scores of an evaluation in Weights & Biases and MLflow, where they are asked for (``logging.*``).

One run for the benchmarks and n of a folder: ``DIR/tracking.json`` remembers it, so samples graded again update it.
Neither service can take back a metric, such as pass@64 once n is 16: other benchmarks or another n are a new run.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evaluation.samples import SamplesError
from recipes.atomic_files import write_text
from recipes.settings.schema import LoggingSettings

NOTE = "tracking.json"
FILES = ("scores.json", "scores.csv", "report.html")
DEFAULT_EXPERIMENT = "evaluation"
"""Of MLflow, where ``logging.mlflow_experiment`` is null."""


def require_trackers(logging: LoggingSettings) -> None:
    """Before the first sample: the packages are there.

    Raises:
        SamplesError: one is asked for and not installed.
    """
    asked = {
        "wandb": ("wandb_project", logging.wandb_project),
        "mlflow": ("mlflow_tracking_uri", logging.mlflow_tracking_uri),
    }
    for package, (key, value) in asked.items():
        if value is not None and importlib.util.find_spec(package) is None:
            raise SamplesError(f"logging.{key}={value}: no package {package} here; install it, or logging.{key}=null")


def send_scores(output: Path, logging: LoggingSettings) -> list[str]:
    """Send what lies in an evaluation's folder; nothing where no tracker is asked for.

    A tracker that does not answer costs no score: they are on the disk, and the line says how to send them later.

    Args:
        output: the folder, with ``scores.json``.

    Returns:
        A line for the screen for each tracker.
    """
    trackers: dict[str, tuple[bool, Callable[[Path, LoggingSettings], str], str]] = {
        "wandb": (logging.wandb_project is not None, _to_wandb, f"logging.wandb_project={logging.wandb_project}"),
        "mlflow": (
            logging.mlflow_tracking_uri is not None,
            _to_mlflow,
            f"logging.mlflow_tracking_uri={logging.mlflow_tracking_uri}",
        ),
    }
    lines = []
    for name, (asked, send, word) in trackers.items():
        if not asked:
            continue
        try:
            place = send(output, logging)
        except Exception as error:  # whatever a service and its client may raise
            reason = " ".join(str(error).split()) or type(error).__name__
            again = f"python -m evaluation.score output={output} {word}"
            lines.append(f"{name}: nothing sent ({reason}); the scores are in {output}/scores.json. Later: {again}")
        else:
            lines.append(f"{name}: {place}")
    return lines


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

    scores = _scores(output)
    place = {"project": logging.wandb_project, "n": _sizes(scores)}
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

    address, name = logging.mlflow_tracking_uri, logging.mlflow_experiment or DEFAULT_EXPERIMENT
    client, scores = MlflowClient(tracking_uri=address), _scores(output)
    place = {"tracking_uri": address, "experiment": name, "n": _sizes(scores)}
    run_id, params = _known_run(output, "mlflow", place), []
    if run_id is None:
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


def _scores(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "scores.json").read_text(encoding="utf-8"))
    return found


def _files(output: Path) -> list[Path]:
    return [output / name for name in FILES if (output / name).is_file()]


def _name(output: Path) -> str:
    """``math4/evaluation`` of ``runs/demo/math4/evaluation``."""
    return "/".join(output.resolve().parts[-2:])


def _config(output: Path) -> dict[str, Any]:
    """How each benchmark was sampled, ``aime24/temperature``; what a request carries beside it stays here."""
    found: dict[str, Any] = {}
    for path in sorted(output.glob("*/sampling.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        found |= {f"{path.parent.name}/{key}": value for key, value in told.items() if key != "extra"}
    return found


def _sizes(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {benchmark: row["n"] for benchmark, row in scores.items()}


def _known_run(output: Path, tracker: str, place: Mapping[str, Any]) -> str | None:
    """The run of an earlier sending to the same place."""
    known = _note(output).get(tracker, {})
    return known["run"] if known.get("place") == place else None


def _note(output: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((output / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _remember(output: Path, tracker: str, place: Mapping[str, Any], run: str) -> None:
    note = _note(output) | {tracker: {"run": run, "place": place}}
    write_text(output / NOTE, json.dumps(note, indent=1) + "\n")
