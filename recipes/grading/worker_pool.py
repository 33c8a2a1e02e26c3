"""A pool of worker processes for comparisons that may hang, crash or eat memory.

One bad task costs its own budget and its own verdict, never another task's. The workers are forks of a light template
process (``recipes.grading.worker_process``), which this pool starts as a fresh interpreter: nothing of a trainer that
holds torch, NCCL or gloo threads is forked, and its main module is not imported a second time.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 120.0
"""How long the template may take to load; a cold network file system is slow."""
GRACE_SECONDS = 5.0
"""How long after a task's budget the pool waits for the news before it restarts all processes itself."""
MAX_RESTARTS = 3
"""How often in one ``run`` the template may be lost before the pool gives up."""


class WorkerPoolError(RuntimeError):
    """The worker processes cannot be started or kept alive: a fault of the machine or installation, not of a task."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one task."""

    status: Literal["done", "timeout", "error"]
    value: Any
    """What the function returned, after a trip through JSON; None unless ``status`` is "done"."""
    detail: str
    """The exception or exit code behind an "error", else empty."""
    seconds: float
    """Wall seconds from handing the task to a worker until the result was read."""


@dataclass(frozen=True, slots=True)
class _InFlight:
    index: int
    number: int
    started: float


class _Processes:
    """The template process, seen from the pool: a control connection and one connection per worker."""

    def __init__(self, factory: str, workers: int, timeout_seconds: float, memory_bytes: int) -> None:
        pairs = [multiprocessing.Pipe() for _ in range(workers + 1)]
        theirs = [their_end for _, their_end in pairs]
        self.control, *self.workers = [our_end for our_end, _ in pairs]
        arguments = [factory, str(timeout_seconds), str(memory_bytes), *(str(end.fileno()) for end in theirs)]
        search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "recipes.grading.worker_process", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[end.fileno() for end in theirs],
            start_new_session=True,  # Ctrl-C is the trainer's to handle
            cwd="/",  # "-m" searches the working directory first; this one holds no modules
            # A fixed hash seed: sympy's order of terms, and so a borderline verdict, repeats from run to run.
            env={**os.environ, "PYTHONPATH": search_path, "PYTHONHASHSEED": "0"},
        )
        for end in theirs:
            end.close()
        self._await_ready(factory)

    def _await_ready(self, factory: str) -> None:
        detail = f"it was not ready within {START_SECONDS:g} s"
        try:
            if self.control.poll(START_SECONDS):
                message = json.loads(self.control.recv_bytes())
                if message["ready"]:
                    return
                detail = message["detail"]
        except (EOFError, OSError):
            detail = f"it ended with exit code {self._process.wait()}; see its message above"
        self.stop()
        raise WorkerPoolError(f"the grading process could not load {factory}: {detail}")

    def stop(self) -> None:
        """End every process and reap the template, which reaps its workers. Idempotent."""
        self._process.terminate()
        try:
            orderly = self._process.wait(GRACE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            orderly = False
        if not orderly:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for connection in (self.control, *self.workers):
            connection.close()


class WorkerPool:
    """Runs one function over many tasks in at most ``workers`` processes at a time.

    ``factory`` names a function, ``"package.module:name"``, that is called once in the template process and returns the
    function that the workers run; tasks' arguments and its return values must be JSON. A task that takes more than
    ``timeout_seconds`` of wall time ends with its worker, and so does one that takes more than ``memory_bytes`` of
    address space, unless the function turns MemoryError into a value. The processes start with the first ``run``, end
    with ``close()``, and end by themselves, at the latest after the budget, when this process dies. One thread
    at a time.
    """

    def __init__(self, factory: str, *, workers: int, timeout_seconds: float, memory_bytes: int = 2**30) -> None:
        if workers < 1:
            raise ValueError(f"workers: found {workers}, expected at least 1")
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds: found {timeout_seconds}, expected more than 0")
        self._factory = factory
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._processes: _Processes | None = None
        self._closed = False
        self._last_number = 0

    def run(self, tasks: Sequence[Sequence[Any]]) -> list[TaskResult]:
        """One result per task, in the order of the tasks; each task is the sequence of the function's arguments.

        Raises WorkerPoolError when the processes cannot be started or are lost more than ``MAX_RESTARTS`` times.
        """
        if self._closed:
            raise RuntimeError("the worker pool is closed")
        results: list[TaskResult | None] = [None] * len(tasks)
        waiting = deque(range(len(tasks)))
        losses = 0
        while waiting:
            running: dict[int, _InFlight] = {}
            completed = False
            try:
                completed = self._drain(tasks, waiting, running, results)
            finally:
                if not completed:  # also when interrupted: no reply to an old task may reach the next run
                    self._stop()
            if not completed:
                losses += 1
                if losses > MAX_RESTARTS:
                    raise WorkerPoolError(
                        f"the grading processes were killed {losses} times in one run, and not by their own time "
                        "limit; look for an exhausted memory or process limit of the machine or its container"
                    )
                waiting.extendleft(sorted((task.index for task in running.values()), reverse=True))
        return [result for result in results if result is not None]

    def close(self) -> None:
        """End all processes. Idempotent."""
        self._closed = True
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.stop()

    def _start(self) -> _Processes:
        if self._processes is None:
            self._processes = _Processes(self._factory, self._workers, self._timeout_seconds, self._memory_bytes)
        return self._processes

    def _drain(
        self,
        tasks: Sequence[Sequence[Any]],
        waiting: deque[int],
        running: dict[int, _InFlight],
        results: list[TaskResult | None],
    ) -> bool:
        """Work until no task is waiting or running; False when the processes were lost with ``running`` tasks."""
        processes = self._start()
        worker_of: dict[Connection, int] = {connection: worker for worker, connection in enumerate(processes.workers)}
        idle = deque(range(self._workers))
        patience = self._timeout_seconds + GRACE_SECONDS
        while waiting or running:
            while waiting and idle:
                if not self._hand_over(processes.workers[idle[0]], idle, waiting, running, tasks):
                    return False
            oldest = min(task.started for task in running.values())
            connections = [processes.workers[worker] for worker in running]
            for ready in wait([processes.control, *connections], max(0.0, oldest + patience - time.monotonic())):
                if ready is processes.control:
                    return False
                worker = worker_of[ready]  # type: ignore[index]
                try:
                    reply = json.loads(ready.recv_bytes())  # type: ignore[union-attr]
                except (EOFError, OSError):
                    return False
                task = running[worker]
                if reply["task"] == task.number:  # a worker killed right after its reply is reported once more
                    results[task.index] = _result(reply, task)
                    del running[worker]
                    idle.append(worker)
            if self._expire(running, results, patience):
                return False
        return True

    def _hand_over(
        self,
        connection: Connection,
        idle: deque[int],
        waiting: deque[int],
        running: dict[int, _InFlight],
        tasks: Sequence[Sequence[Any]],
    ) -> bool:
        """Send the next waiting task to the first idle worker; False when nobody is there to read it."""
        self._last_number += 1
        request = json.dumps({"task": self._last_number, "arguments": list(tasks[waiting[0]])}).encode()
        started = time.monotonic()
        try:
            connection.send_bytes(request)
        except OSError:
            return False
        running[idle.popleft()] = _InFlight(waiting.popleft(), self._last_number, started)
        return True

    def _expire(self, running: dict[int, _InFlight], results: list[TaskResult | None], patience: float) -> bool:
        """Record as timed out what is far beyond its budget: its worker's own timer did not end it."""
        now = time.monotonic()
        overdue = [worker for worker, task in running.items() if now - task.started >= patience]
        for worker in overdue:
            task = running.pop(worker)
            results[task.index] = TaskResult("timeout", None, "", now - task.started)
        return bool(overdue)


def _result(reply: dict[str, Any], task: _InFlight) -> TaskResult:
    seconds = time.monotonic() - task.started
    return TaskResult(reply["status"], reply.get("value"), reply.get("detail", ""), seconds)
