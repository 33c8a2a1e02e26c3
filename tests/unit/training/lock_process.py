"""A process that holds a run directory's lock until its standard input ends.

    python -m tests.unit.training.lock_process FOLDER main|rank LAUNCH WATCH_SECONDS

Prints ``held``, or why not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recipes.training.run_lock import RunLock, RunLocked, RunRefused


def main(folder: str, role: str, launch: str, watch_seconds: str) -> None:
    """Take the lock, or wait for the main process of ``launch``."""
    lock = RunLock(Path(folder), launch=launch, watch_seconds=float(watch_seconds))
    try:
        if role == "rank":
            lock.wait_for_main(30.0)
            print("main is there", flush=True)
            return
        with lock.held():
            print("held", flush=True)
            sys.stdin.read()
    except RunLocked as error:
        print(f"locked: {error}", flush=True)
    except RunRefused:
        print("refused", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
