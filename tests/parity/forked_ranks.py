"""Ranks of one job as forks of a process that has imported the frameworks, which takes longer than all of the work."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable

from recipes.backends.master_port import free_master_port


def run_on_forked_ranks(world_size: int, body: Callable[[], None], timeout_seconds: float) -> None:
    """Call ``body`` on ``world_size`` forks that find the environment of torchrun.

    Raises:
        RuntimeError: a rank failed, or was still running after ``timeout_seconds``; the others are killed.
    """
    context = multiprocessing.get_context("fork")
    port = free_master_port()
    ranks = [context.Process(target=_rank, args=(rank, world_size, port, body)) for rank in range(world_size)]
    for process in ranks:
        process.start()
    deadline = time.monotonic() + timeout_seconds
    while any(process.is_alive() for process in ranks):
        if time.monotonic() > deadline or any(process.exitcode not in (None, 0) for process in ranks):
            break
        time.sleep(0.02)
    states = [process.exitcode for process in ranks]
    for process in ranks:
        process.kill()
        process.join()
    if any(states) or None in states:
        raise RuntimeError(f"exit codes of the ranks {states} within {timeout_seconds} s (None: still running)")


def _rank(rank: int, world_size: int, port: int, body: Callable[[], None]) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "parity",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    body()
