"""The frameworks' half of the resume test: the real commands, killed at random points and started again.

    python -m tests.functional.kill_and_resume FOLDER SEED

Every attempt is a fork of a process that has imported the frameworks: a kill costs a second instead of ten, so there is
time for many. Writes ``FOLDER/report.json``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recipes.parent_death import die_with_parent

KILLS = {"sft": 4, "grpo": 5}
STEPS = {"sft": 60, "grpo": 8}


def main(folder: Path, seed: int) -> None:
    """Each command once without interruption and once under fire."""
    _import_frameworks(folder)
    from recipes import run_grpo, run_sft

    _write_data(folder / "data")
    dice, report = random.Random(seed), {}
    commands: dict[str, tuple[Callable[[Sequence[str]], None], list[str]]] = {
        "sft": (run_sft.main, [*_shared(folder), "stage=sft", *_sft(folder)]),
        "grpo": (run_grpo.main, [*_shared(folder), "stage=math1", *_grpo(folder)]),
    }
    for name, (command, arguments) in commands.items():
        whole, broken = folder / f"{name}_whole", folder / f"{name}_killed"
        seconds = _run(command, [*arguments, f"run.directory={whole}"])
        report[name] = {"seconds": seconds, "kills": _run_under_fire(command, arguments, broken, seconds, dice, name)}
    (folder / "report.json").write_text(json.dumps(report, indent=1))


def _import_frameworks(folder: Path) -> None:
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(folder / "frameworks.log")
    from recipes.backends.cpu.install import install_cpu_room

    install_cpu_room()
    import recipes.backends.aligner.actor
    import recipes.backends.aligner.sft  # noqa: F401 - shared by the forks


def _write_data(folder: Path) -> None:
    """So few and simple problems that a minute of SFT answers some of them: an update without signal moves nothing."""
    from recipes.data import tiny_math, tiny_tokenizer
    from recipes.data.jsonl import demonstration_row, problem_row, write_jsonl

    folder.mkdir()
    tiny_tokenizer.save(folder / "tokenizer")
    demonstrations = tiny_math.demonstrations(
        1, "train", 32, (1,), ("add",), responses_per_problem=1, slip_fraction=0.0, checked_fraction=0.0
    )
    write_jsonl(folder / "demonstrations.jsonl", map(demonstration_row, demonstrations))
    write_jsonl(folder / "problems.jsonl", [problem_row(d.problem) for d in demonstrations])


def _shared(folder: Path) -> list[str]:
    data = folder / "data"
    return ["cluster=cpu", "model=tiny", f"data.directory={data}", f"model.tokenizer={data / 'tokenizer'}"]


def _sft(folder: Path) -> list[str]:
    rows = folder / "data" / "demonstrations.jsonl"
    keys: dict[str, Any] = {
        "sft.epochs": 30,
        "sft.global_batch_size": 16,
        "sft.micro_batch_size": 16,
        "checkpoint.save_every_steps": 7,
    }
    keys |= {"optimizer.learning_rate": 3e-3, "data.train": rows, "data.validation": rows}
    return [f"{key}={value}" for key, value in keys.items()]


def _grpo(folder: Path) -> list[str]:
    keys: dict[str, Any] = {
        "grpo.max_steps": STEPS["grpo"],
        "grpo.prompts_per_step": 8,
        "grpo.rollouts_per_prompt": 4,
        "grpo.micro_batch_size": 8,
    }
    keys |= {"grpo.max_response_length": 48, "grpo.temperature": 1.0, "grpo.overlong_filtering": "false"}
    keys |= {"checkpoint.save_every_steps": 2, "data.train": folder / "data" / "problems.jsonl"}
    keys |= {"model.restore_from": folder / "sft_whole" / "model.nemo", "optimizer.learning_rate": 1e-3}
    return [f"{key}={value}" for key, value in keys.items()]


def _run(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> float:
    started = time.monotonic()
    _, status = os.waitpid(_fork(command, arguments), 0)
    if status != 0:
        raise RuntimeError(f"{arguments} ended with wait status {status}")
    return time.monotonic() - started


def _run_under_fire(command, arguments, directory: Path, seconds: float, dice: random.Random, name: str) -> list[str]:
    """Start, kill, start again ...; the first kill is in the middle of a save, the others anywhere."""
    arguments = [*arguments, f"run.directory={directory}"]
    kills = []
    for attempt in range(KILLS[name]):
        pid = _fork(command, arguments)
        due = None if attempt == 0 else time.monotonic() + dice.uniform(0.1, 1.0) * seconds
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            saving = _is_saving(directory)
            if (due is None and saving) or (due is not None and time.monotonic() > due):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                done = sorted(p.name for p in (directory / "checkpoints").glob("step_*"))
                kills.append(f"in a save: {saving}, complete: {done}")
                break
            time.sleep(0.002)
        else:
            break  # it came through before its kill was due
    _run(command, arguments)
    return kills


def _is_saving(directory: Path) -> bool:
    """Whether a checkpoint is half written at this moment."""
    try:
        return any((directory / "checkpoints").glob(".step_*.partial/state/*"))
    except FileNotFoundError:  # renamed while it was looked at: the save is over
        return False


def _fork(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    sys.stdout.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    die_with_parent(parent)  # its output after the end of this process would hide why that ended
    try:
        command(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        print(end.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
