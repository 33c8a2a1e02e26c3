"""The frameworks' half of the tests of what steers a stage: which problems, temperature, held-out score, stopping.

    python -m tests.functional.stage_controls FOLDER

Runs the real commands on the tiny model, every one as a fork of a process that has imported the frameworks, and writes
their exit statuses to ``FOLDER/report.json``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.functional import kill_and_resume as commands
from tests.functional.layout_change import cut_back

STEPS = 10
PROMPTS_PER_STEP = 8
"""Of 32 problems: the second epoch begins at step 4."""
KILLED_AFTER = 6
"""Steps in the log when the run is killed: in the second epoch, after the checkpoint of step 5."""
SAVED = 5


def main(folder: Path) -> None:
    """SFT once, then each command on its weights."""
    commands._import_frameworks(folder)
    from recipes import calibrate_temperature, run_grpo, run_sft

    commands._write_data(folder / "data")
    report: dict[str, int] = {}

    def run(name: str, command: Callable[[Sequence[str]], None], *words: str) -> None:
        with _output(folder / f"{name}.txt"):
            report[name] = _status(
                commands._fork(command, [*_shared(folder), f"run.directory={folder / name}", *words])
            )

    run("sft_whole", run_sft.main, "stage=sft", *commands._sft(folder))
    run("calibrated", calibrate_temperature.main, *_grpo(folder))
    run("whole", run_grpo.main, *_grpo(folder), *_filtered(folder))
    with _output(folder / "killed.txt"):
        words = [*_grpo(folder), *_filtered(folder), *_tracked(folder)]
        place = [*_shared(folder), f"run.directory={folder / 'killed'}"]
        report["killed_before"] = _killed(run_grpo.main, [*place, *words], folder / "killed" / "metrics.jsonl")
    run("killed", run_grpo.main, *words)
    run("extended", run_grpo.main, *_grpo(folder), *_filtered(folder), f"grpo.max_steps={SAVED}")
    report["extended_before"] = report.pop("extended")
    manifest = folder / "extended" / "manifest.json"
    manifest.rename(manifest.with_stem(f"manifest_of_step_{SAVED}"))
    run("extended", run_grpo.main, *_grpo(folder), *_filtered(folder))
    cut_back(folder / "whole", folder / "slower", SAVED)
    run("slower", run_grpo.main, *_grpo(folder), *_filtered(folder), "optimizer.learning_rate=1e-5")
    run("plateau", run_grpo.main, *_grpo(folder), "grpo.temperature=1.0", *_stopping())
    ledgers = f"prompts.ledgers=[{folder / 'whole'}]"
    run("hard", run_grpo.main, *_grpo(folder), "grpo.temperature=1.0", "grpo.max_steps=1", ledgers, *_hard())
    run("too_hard", run_grpo.main, *_grpo(folder), ledgers, "prompts.min_solve_rate=1", "prompts.unseen=drop")
    (folder / "report.json").write_text(json.dumps(report, indent=1))


def _tracked(folder: Path) -> list[str]:
    """Trackers that write files; MLflow calls its own old."""
    os.environ |= {"WANDB_MODE": "offline", "MLFLOW_ALLOW_FILE_STORE": "true"}
    mlflow = [f"logging.mlflow_tracking_uri=file:{folder / 'mlflow'}", "logging.mlflow_experiment=grpo"]
    return ["logging.wandb_project=reasoning", *mlflow]


def _shared(folder: Path) -> list[str]:
    return commands._shared(folder)


def _grpo(folder: Path) -> list[str]:
    return [
        "stage=math1",
        *commands._grpo(folder),
        f"grpo.max_steps={STEPS}",
        f"grpo.prompts_per_step={PROMPTS_PER_STEP}",
        "grpo.temperature=auto",
        "calibration.temperatures=[0.6,1.0,1.6]",
        "calibration.prompts=8",
        "calibration.rollouts_per_prompt=2",
        "calibration.lowest_entropy=0.001",
        f"checkpoint.save_every_steps={SAVED}",
    ]


def _filtered(folder: Path) -> list[str]:
    return [
        "prompts.drop_solved=true",
        "prompts.length_sorted_batches=true",
        "validation.every_steps=4",
        "validation.n=2",
        f"data.validation={folder / 'data' / 'problems.jsonl'}",
        "evaluation.max_response_length=48",
    ]


def _stopping() -> list[str]:
    """No reward can grow by more than 1, so the first value stays the best."""
    keys = {"metric": "reward", "min_steps": 1, "window_steps": 1, "patience_steps": 2, "min_improvement": 1}
    return [f"stopping.{key}={value}" for key, value in keys.items()]


def _hard() -> list[str]:
    return ["prompts.max_solve_rate=0.75", "prompts.unseen=keep", "grpo.prompts_per_step=4"]


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _killed(command: Callable[[Sequence[str]], None], words: Sequence[str], metrics: Path) -> int:
    pid = commands._fork(command, words)
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if metrics.is_file() and len(metrics.read_text().splitlines()) >= KILLED_AFTER:
            os.kill(pid, signal.SIGKILL)
            return _status(pid)
        time.sleep(0.002)
    return 0


@contextmanager
def _output(path: Path):
    """What a fork prints goes to a file; the parent's own streams come back."""
    sys.stdout.flush()
    saved = [os.dup(1), os.dup(2)]
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
