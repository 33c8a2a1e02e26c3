"""``torch.distributed.run`` on one machine, for a stage: SIGUSR1 reaches the ranks, their exit status the user.

    python -m recipes.backends.local_launcher PROCESSES AGAIN_IF MODULE [word ...]

When the ranks have ended well and the file AGAIN_IF is there (none: an empty word), the module runs once more with the
same words, in one process: what needs the GPUs that the ranks held.

torchrun itself dies of SIGUSR1 and ends with status 1 whatever status its ranks ended with. Its ranks are its children,
so the signal is handed to each of them as soon as it listens: a rank that still starts would die of it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_RETRY_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Launch the ranks and wait for them."""
    processes, again_if, module, *words = sys.argv[1:] if arguments is None else arguments
    asked = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})  # a signal that came before is waiting
    threading.Thread(target=_hand_on, args=(asked,), name="stop signal", daemon=True).start()
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
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it must not end a process that is about to end well

    if again_if and Path(again_if).is_file():
        os.environ.pop("RECIPE_LAUNCHED_BY", None)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", module, *words])


def _hand_on(asked: threading.Event) -> None:
    """SIGUSR1 to every child, once; the ranks agree among themselves."""
    asked.wait()
    told: set[int] = set()
    while True:
        for child in _children(os.getpid()) - told:
            if _listens(child):
                os.kill(child, signal.SIGUSR1)
                told.add(child)
        time.sleep(_RETRY_SECONDS)


def _children(pid: int) -> set[int]:
    """Direct children (Linux)."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.update(map(int, (task / "children").read_text().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended meanwhile
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
