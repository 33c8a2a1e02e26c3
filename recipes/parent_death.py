"""Processes that do not outlive the one that started them, though SIGKILL gives that one no time to end them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing import parent_process

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # opened before any fork
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when its parent has ended (Linux; elsewhere nothing happens).

    "Parent" is the thread that started it. Called in the child: as ``preexec_fn``, as a pool's initializer or first
    thing in ``main``.

    Args:
        parent: its process; where it is another one by now, the parent ended before, and so does this process.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def end_with_pool() -> None:
    """``die_with_parent`` in a process of ``multiprocessing``."""
    owner = parent_process()
    die_with_parent(owner.pid if owner else None)
