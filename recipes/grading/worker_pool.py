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
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, TypeVar

from recipes.grading.closing import ClosesOnExit

A = TypeVar("A")
B = TypeVar("B")

START_SECONDS = 120.0
"""How long the template may take to load; a cold network file system is slow."""
GRACE_SECONDS = 5.0
"""How long after a task's budget the pool waits for the news before it restarts all processes itself."""
MAX_RESTARTS = 3
"""How often the template may be lost while one task is in work before the pool gives up."""


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


@dataclass(slots=True)
class _Task:
    arguments: list[Any]
    budget: float
    """Wall seconds."""
    future: Future[TaskResult]
    number: int = 0
    """Of the hand-over; a worker's reply names it."""
    started: float = 0.0
    losses: int = 0
    """How often the processes were lost while this task was in work."""


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """For this thread, and for good in processes that it starts meanwhile; for this thread it is late, not lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Processes:
    """The template process, seen from the pool: a control connection and one connection per worker."""

    def __init__(self, factory: str, workers: int, timeout_seconds: float, memory_bytes: int) -> None:
        pairs = [multiprocessing.Pipe() for _ in range(workers + 1)]
        theirs = [their_end for _, their_end in pairs]
        self.control, *self.workers = [our_end for our_end, _ in pairs]
        arguments = [factory, str(timeout_seconds), str(memory_bytes), *(str(end.fileno()) for end in theirs)]
        search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with _blocked(signal.SIGUSR1):  # Slurm sends it to every process of a step, and the new one ignores it late
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


class WorkerPool(ClosesOnExit):
    """Runs one function over many tasks in at most ``workers`` processes at a time.

    ``factory`` names a function, ``"package.module:name"``, that is called once in the template process and returns the
    function that the workers run; tasks' arguments and its return values must be JSON. A task that takes more than its
    budget of wall time ends with its worker, and so does one that takes more than ``memory_bytes`` of address space,
    unless the function turns MemoryError into a value. The processes start with the first task, end with ``close()``,
    and end by themselves, at the latest after the budget, when this process dies. Tasks may come from any thread; a
    thread of the pool's own hands them out, so results arrive while the caller does something else.
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
        self._lock = threading.Lock()
        self._inbox: deque[_Task] = deque()
        self._bell, self._ringer = multiprocessing.Pipe(duplex=False)
        self._rung = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, arguments: Sequence[Any], budget: float | None = None) -> Future[TaskResult]:
        """Hand in one task: the sequence of the function's arguments, and its budget in wall seconds if it has its own.

        The future raises WorkerPoolError when the processes cannot be started, or are lost more than ``MAX_RESTARTS``
        times around this task. RuntimeError when the pool is closed.
        """
        task = _Task(list(arguments), self._timeout_seconds if budget is None else budget, Future())
        task.future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker pool is closed")
            self._inbox.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="grading-pool", daemon=True)
                self._thread.start()
            self._ring()
        return task.future

    def run(self, tasks: Sequence[Sequence[Any]]) -> list[TaskResult]:
        """One result per task, in the order of the tasks. Raises as the futures of ``submit`` do."""
        return [future.result() for future in [self.submit(task) for task in tasks]]

    def close(self) -> None:
        """End all processes; what is not finished raises WorkerPoolError. Idempotent."""
        with self._lock:
            self._closed = True
            self._ring()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._ringer.send_bytes(b"")

    def _serve(self) -> None:
        """The pool's thread: until ``close()``, in work or asleep."""
        desk = _Desk(self._factory, self._workers, self._timeout_seconds, self._memory_bytes)
        try:
            while True:
                desk.work(self._bell)
                with self._lock:
                    if self._rung:
                        self._bell.recv_bytes()
                        self._rung = False
                    desk.waiting.extend(self._inbox)
                    self._inbox.clear()
                    if self._closed:
                        desk.give_up(WorkerPoolError("the worker pool was closed before this task was finished"))
                        return
        except BaseException as error:
            with self._lock:  # nobody may wait for ever; the next task starts a thread of its own
                desk.waiting.extend(self._inbox)
                self._inbox.clear()
                self._thread = None
            failure = WorkerPoolError(f"the grading pool broke down: {type(error).__name__}: {error}")
            failure.__cause__ = error
            desk.give_up(failure)


class _Desk:
    """Who works on what. One thread's own."""

    def __init__(self, factory: str, workers: int, timeout_seconds: float, memory_bytes: int) -> None:
        self.waiting: deque[_Task] = deque()
        self._start = lambda: _Processes(factory, workers, timeout_seconds, memory_bytes)
        self._processes: _Processes | None = None
        self._running: dict[int, _Task] = {}
        self._idle = deque(range(workers))
        self._last_number = 0

    def work(self, bell: Connection) -> None:
        """Hand out what waits, collect what is finished; returns once the bell rings."""
        while True:
            if self.waiting and not self._hand_out():
                continue
            connections: list[Any] = [bell]
            if self._processes is not None:
                connections += [self._processes.control, *(self._processes.workers[i] for i in self._running)]
            ready = wait(connections, self._seconds_until_overdue())
            if not self._collect(ready) or not self._expire():
                self._recover()
            if bell in ready:
                return

    def give_up(self, error: WorkerPoolError) -> None:
        """End the processes and fail every task."""
        if self._processes is not None:
            self._processes.stop()
        self._processes = None
        tasks = [*self._running.values(), *self.waiting]
        self._idle.extend(self._running)
        self._running.clear()
        self.waiting.clear()
        for task in tasks:
            task.future.set_exception(error)

    def _hand_out(self) -> bool:
        """Give waiting tasks to idle workers; False when that had to be interrupted."""
        if self._processes is None:
            try:
                self._processes = self._start()
            except WorkerPoolError as error:
                self.give_up(error)
                return False
        while self.waiting and self._idle:
            task = self.waiting[0]
            self._last_number += 1
            task.number = self._last_number
            request = {"task": task.number, "arguments": task.arguments, "budget": task.budget}
            task.started = time.monotonic()
            try:
                self._processes.workers[self._idle[0]].send_bytes(json.dumps(request).encode())
            except OSError:
                task.losses += 1
                self._recover()
                return False
            self._running[self._idle.popleft()] = self.waiting.popleft()
        return True

    def _collect(self, ready: Sequence[Any]) -> bool:
        """Read the replies that are there; False when the processes were lost."""
        processes = self._processes
        if processes is None:
            return True
        if processes.control in ready:
            return False
        for worker in [worker for worker in self._running if processes.workers[worker] in ready]:
            try:
                reply = json.loads(processes.workers[worker].recv_bytes())
            except (EOFError, OSError):
                return False
            task = self._running[worker]
            if reply["task"] == task.number:  # a worker killed right after its reply is reported once more
                del self._running[worker]
                self._idle.append(worker)
                task.future.set_result(_result(reply, task))
        return True

    def _seconds_until_overdue(self) -> float | None:
        if not self._running:
            return None
        deadline = min(task.started + task.budget for task in self._running.values()) + GRACE_SECONDS
        return max(0.0, deadline - time.monotonic())

    def _expire(self) -> bool:
        """Time out what is far beyond its budget; False when there was any: its worker's timer did not end it."""
        now = time.monotonic()
        overdue = [w for w, task in self._running.items() if now - task.started >= task.budget + GRACE_SECONDS]
        for worker in overdue:
            task = self._running.pop(worker)
            self._idle.append(worker)
            task.future.set_result(TaskResult("timeout", None, "", now - task.started))
        return not overdue

    def _recover(self) -> None:
        """After the processes were lost: end what is left of them, and let what was in work wait again."""
        if self._processes is not None:
            self._processes.stop()
        self._processes = None
        tasks = sorted(self._running.values(), key=lambda task: task.number)
        self._idle.extend(self._running)
        self._running.clear()
        for task in tasks:
            task.losses += 1
        self.waiting.extendleft(reversed(tasks))
        if any(task.losses > MAX_RESTARTS for task in self.waiting):
            self.give_up(
                WorkerPoolError(
                    f"the grading processes were killed {MAX_RESTARTS + 1} times around one task, and not by their own "
                    "time limit; look for an exhausted memory or process limit of the machine or its container"
                )
            )


def _result(reply: dict[str, Any], task: _Task) -> TaskResult:
    seconds = time.monotonic() - task.started
    return TaskResult(reply["status"], reply.get("value"), reply.get("detail", ""), seconds)


def then(future: Future[A], change: Callable[[A], B]) -> Future[B]:
    """The future of ``change(result)``; an exception passes on."""
    changed: Future[B] = Future()

    def pass_on(finished: Future[A]) -> None:
        error = finished.exception()
        if error is not None:
            changed.set_exception(error)
        else:
            changed.set_result(change(finished.result()))

    future.add_done_callback(pass_on)
    return changed
