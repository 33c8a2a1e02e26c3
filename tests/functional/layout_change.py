"""The frameworks' half of the layout test: stages that go on at another tensor, pipeline or data parallel size.

    python -m tests.functional.layout_change FOLDER

SFT and GRPO run once on two replicas to the end. Their folders, cut back to an earlier checkpoint as a kill would have
left them, then go on under every other layout. The ranks are forks of a process that has imported the frameworks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from recipes.backends.master_port import free_master_port
from tests.functional import kill_and_resume as commands

LAYOUTS = {"tp2": (2, 2, 1), "pp2": (2, 1, 2), "dp1": (1, 1, 1)}
"""Name -> ranks, tensor parallel, pipeline parallel. The first part runs at data parallel 2."""
CUT = {"sft": 44, "grpo": 2}
"""Updates in the checkpoint that a stage goes on from."""
STEPS = {"sft": 48, "grpo": 4}


def main(folder: Path) -> None:
    """Both stages under every layout."""
    commands._import_frameworks(folder)
    from recipes import run_grpo, run_sft

    commands._write_data(folder / "data")
    stages: dict[str, tuple[Callable[[Sequence[str]], None], list[str]]] = {
        "sft": (run_sft.main, ["stage=sft", *commands._sft(folder), *_sft()]),
        "grpo": (run_grpo.main, ["stage=math1", *commands._grpo(folder), *_grpo(folder)]),
    }
    for name, (command, words) in stages.items():
        words = [*commands._shared(folder), *words]
        whole = folder / f"{name}_dp2"
        _run(command, [*words, f"run.directory={whole}"], 2, 1, 1)
        for layout, (ranks, tensor, pipeline) in LAYOUTS.items():
            rest = folder / f"{name}_{layout}"
            cut_back(whole, rest, CUT[name])
            _run(command, [*words, f"run.directory={rest}"], ranks, tensor, pipeline)


def _sft() -> list[str]:
    return [f"sft.epochs={STEPS['sft'] // 2}", "sft.micro_batch_size=8", "checkpoint.save_every_steps=1000"]


def _grpo(folder: Path) -> list[str]:
    return [f"grpo.max_steps={STEPS['grpo']}", f"model.restore_from={folder / 'sft_dp2' / 'model.nemo'}"]


def cut_back(run: Path, to: Path, step: int) -> None:
    """A copy of a finished run as a kill after the save of ``step`` leaves it, rows and rollouts beyond it included."""
    shutil.copytree(run, to)
    (to / "manifest.json").unlink()
    (to / "model.nemo").unlink()
    for checkpoint in (to / "checkpoints").glob("step_*"):
        if int(checkpoint.name[-8:]) > step:
            shutil.rmtree(checkpoint)


def _run(
    command: Callable[[Sequence[str]], None], words: Sequence[str], ranks: int, tensor: int, pipeline: int
) -> None:
    """The command on ``ranks`` processes, as torchrun would start them."""
    port = free_master_port()
    words = [
        *words,
        f"cluster.devices_per_node={ranks}",
        f"model.tensor_model_parallel_size={tensor}",
        f"model.pipeline_model_parallel_size={pipeline}",
    ]
    pids = []
    for rank in range(ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
        os.environ.update({key: str(value) for key, value in place.items()})
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        pids.append(commands._fork(command, words))
    if any(statuses := _statuses(pids)):
        raise RuntimeError(f"{words} ended with {statuses}")


def _statuses(pids: Sequence[int]) -> list[int]:
    """Of every rank; when one fails, the others, which wait for it, are ended as a launcher would."""
    found: dict[int, int] = {}
    while len(found) < len(pids):
        pid, status = os.wait()
        found[pid] = os.waitstatus_to_exitcode(status)
        if found[pid] and all(code == 0 for other, code in found.items() if other != pid):
            for other in set(pids) - found.keys():
                os.kill(other, signal.SIGKILL)
    return [found[pid] for pid in pids]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
