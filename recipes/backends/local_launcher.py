"""The ranks of a stage on one machine: SIGUSR1 reaches them, their exit status the user.

    python -m recipes.backends.local_launcher torchrun|mpirun PROCESSES AGAIN_IF MODULE [word ...]

When the ranks have ended well and the file AGAIN_IF is there (none: an empty word), the module runs once more with the
same words, in one process: what needs the GPUs that the ranks held.

torchrun (``torch.distributed.run``, in this process) dies of SIGUSR1 itself and ends with status 1 whatever status its
ranks ended with; mpirun hands the signal on at once. A rank that still starts would die of it, so the launcher hands it
to each rank as soon as that listens.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from recipes.backends.master_port import free_master_port
from recipes.parent_death import die_with_parent

_RETRY_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Launch the ranks and wait for them."""
    kind, processes, again_if, module, *words = sys.argv[1:] if arguments is None else arguments
    asked = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})  # a signal that came before is waiting
    threading.Thread(target=_hand_on, args=(asked, kind), name="stop signal", daemon=True).start()
    try:
        (_mpirun if kind == "mpirun" else _torchrun)(processes, module, words)
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it must not end a process that is about to end well

    if again_if and Path(again_if).is_file():
        os.environ.pop("RECIPE_LAUNCHED_BY", None)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", module, *words])


def _torchrun(processes: str, module: str, words: Sequence[str]) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    try:
        run(parse_args(["--standalone", "--nproc_per_node", processes, "-m", module, *words]))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        status = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        if status != 2:  # wrong input, already explained by the rank
            print(error, file=sys.stderr)
        sys.exit(status)


def _mpirun(processes: str, module: str, words: Sequence[str]) -> None:
    """Open MPI's; it ends with the status of the first rank that failed."""
    options = ["--host", f"localhost:{processes}", "-n", processes, "--bind-to", "none"]
    options += ["--allow-run-as-root"] if os.getuid() == 0 else []
    command = ["mpirun", *options, sys.executable, "-m", module, *words]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_master_port())}
    # In a session of its own, so that nothing but this process sends it signals.
    process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=die_with_parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: process.send_signal(number))
    if status := process.wait():
        sys.exit(status if status > 0 else 128 - status)


def _hand_on(asked: threading.Event, kind: str) -> None:
    """SIGUSR1 to every rank, once; they agree among themselves."""
    asked.wait()
    told: set[int] = set()
    while True:
        ranks = _children(os.getpid())
        if kind == "mpirun":
            ranks = set().union(*map(_children, ranks))
        for rank in ranks - told:
            if _listens(rank):
                with suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGUSR1)
                told.add(rank)
        time.sleep(_RETRY_SECONDS)


def _children(pid: int) -> set[int]:
    """Direct children (Linux)."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):  # it, or a thread of it, ended meanwhile; the next look sees
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found.update(map(int, children.read_text().split()))
    return found


def _listens(pid: int) -> bool:
    """Whether a process catches SIGUSR1."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (signal.SIGUSR1 - 1) & 1)


if __name__ == "__main__":
    main()
