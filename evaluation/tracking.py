"""The scores of an evaluation in Weights & Biases and MLflow, where they are asked for (``logging.*``).

Each is sent by a process of its own (``evaluation.trackers``): a service that cannot be reached, and a client that
waits for it at the end of its process, cost a few minutes and no score.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from evaluation.samples import SamplesError
from recipes.settings.schema import LoggingSettings

SEND_SECONDS = 240.0
"""For one tracker: Weights & Biases' client alone waits 90 s for an answer."""


def require_trackers(logging: LoggingSettings) -> None:
    """Before the first sample: the packages are there.

    Raises:
        SamplesError: one is asked for and not installed.
    """
    for name, words in _asked(logging).items():
        if importlib.util.find_spec(name) is None:
            key, _, _ = words[0].partition("=")
            raise SamplesError(f"{words[0]}: no package {name} here; install it, or {key}=null")


def send_scores(output: Path, logging: LoggingSettings) -> list[str]:
    """Send what lies in an evaluation's folder; nothing where no tracker is asked for.

    Scores that do not arrive are on the disk, and the line says how to send them later.

    Args:
        output: the folder, with ``scores.json``.

    Returns:
        A line for the screen for each tracker.
    """
    lines = []
    for name, words in _asked(logging).items():
        sent, told = _send(name, output, logging)
        if not sent:
            again = shlex.join(["python", "-m", "evaluation.score", f"output={output}", *words])
            told = f"nothing sent ({told}); the scores are in {output}/scores.json. Later: {again}"
        lines.append(f"{name}: {told}")
    return lines


def _asked(logging: LoggingSettings) -> dict[str, list[str]]:
    """Package of each tracker that is asked for -> the words that ask for it."""
    found = {}
    if logging.wandb_project is not None:
        found["wandb"] = [f"logging.wandb_project={logging.wandb_project}"]
    if logging.mlflow_tracking_uri is not None:
        found["mlflow"] = [f"logging.mlflow_tracking_uri={logging.mlflow_tracking_uri}"]
        if logging.mlflow_experiment is not None:
            found["mlflow"].append(f"logging.mlflow_experiment={logging.mlflow_experiment}")
    return found


def _send(name: str, output: Path, logging: LoggingSettings) -> tuple[bool, str]:
    """Whether it arrived, and where; or why not."""
    command = [sys.executable, "-m", "evaluation.trackers", name, str(output), json.dumps(vars(logging))]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # with the service that a client starts
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        said, wrong = process.communicate(timeout=SEND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False, f"no end after {SEND_SECONDS:.0f} s"
    last = [line for line in (said if process.returncode == 0 else wrong).splitlines() if line.strip()]
    return process.returncode == 0, last[-1] if last else f"exit status {process.returncode}"
