"""Runs a function on several gloo processes of this machine: the distributed tests' only door to torch.distributed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch.multiprocessing.spawn import ProcessContext, ProcessRaisedException, start_processes

TIMEOUT_SECONDS = 120.0
"""Default limit of one call; a collective that not every rank enters fails within it instead of hanging the suite."""


class RankError(RuntimeError):
    """One rank of :func:`run_on_gloo` raised, or several."""


def run_on_gloo(
    world_size: int, fn: Callable[..., Any], *args: Any, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[Any]:
    """Calls ``fn(rank, world_size, *args)`` on ``world_size`` fresh processes that share a gloo default group.

    The processes are spawned, so ``fn`` must be a module-level function of an importable module and ``args`` must
    pickle. One torch thread each. ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and ``LOCAL_WORLD_SIZE`` are set as torchrun
    sets them. Start-up (importing torch) costs a few seconds: put several checks into one call.

    Returns:
        What ``fn`` returned, in the order of the ranks. Tensors, numbers, strings and containers of these.

    Raises:
        RankError: a rank raised. The message holds the whole traceback of every rank that did, the earliest first: the
            later ones usually only report that their peer is gone. The other ranks were ended.
        torch.multiprocessing.ProcessExitedException: a rank died without a traceback (a signal, ``os._exit``).
        TimeoutError: some rank was still running after ``timeout_seconds``; every rank was killed.
    """
    with tempfile.TemporaryDirectory(prefix="gloo-") as folder:
        spawn: Callable[..., ProcessContext] = start_processes  # torch leaves it untyped
        context = spawn(
            _run_rank,
            args=(world_size, folder, timeout_seconds, fn, args),
            nprocs=world_size,
            join=False,
            start_method="spawn",
        )
        deadline = time.monotonic() + timeout_seconds
        while not _joined(context, folder):
            if time.monotonic() > deadline:
                running = [rank for rank, process in enumerate(context.processes) if process.is_alive()]
                for process in context.processes:
                    process.kill()
                    process.join()
                raise TimeoutError(
                    f"{fn.__module__}.{fn.__qualname__}: ranks {running} of {world_size} still running "
                    f"after {timeout_seconds} s"
                )
        return [torch.load(_result_path(folder, rank), weights_only=False) for rank in range(world_size)]


def _joined(context: ProcessContext, folder: str) -> bool:
    """Whether every rank has ended well; raises RankError with all tracebacks when one has not."""
    try:
        return bool(context.join(timeout=1.0))
    except ProcessRaisedException:
        tracebacks = sorted(Path(folder).glob("error-*.txt"))  # the names sort by time
        raise RankError("\n".join(path.read_text() for path in tracebacks)) from None


def _run_rank(
    rank: int, world_size: int, folder: str, timeout_seconds: float, fn: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(world_size)
    )
    if sys.platform == "linux":
        # Gloo otherwise looks the host's name up, which fails in containers without a name service.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=(Path(folder) / "rendezvous").as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=timeout_seconds),
    )
    try:
        result = fn(rank, world_size, *args)
        torch.save(result, _result_path(folder, rank))
        # No rank may leave while another is still inside a collective with it.
        torch.distributed.barrier()
    except Exception:
        # Written before the group goes down, so that it is older than the complaints of the peers.
        report = Path(folder) / f"error-{time.monotonic_ns():020d}-{rank}.txt"
        report.write_text(f"rank {rank} of {world_size}:\n{traceback.format_exc()}")
        raise
    finally:
        torch.distributed.destroy_process_group()


def _result_path(folder: str, rank: int) -> Path:
    return Path(folder) / f"result-{rank}.pt"
