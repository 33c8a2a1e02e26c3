"""The processes behind ``recipes.grading.worker_pool``: one template, and workers forked from it.

``python -m recipes.grading.worker_process`` is started by the pool as a fresh interpreter, so that it holds none of the
trainer's threads, GPU contexts or sockets. It loads the comparison once (sympy takes seconds), stays single-threaded,
and forks the workers: a worker that was killed is replaced within milliseconds. Each worker arms a kernel timer per
task whose default action ends the process, in native code too and even when the pool's process is busy or gone.

Imports the standard library only, so that the template starts fast.
"""

from __future__ import annotations

import gc
import importlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NoReturn

TASKS_PER_WORKER = 2_000
"""After so many tasks a worker makes room for a fresh one: sympy's caches and leaks stay bounded."""

_POOL_CLOSED, _BROKEN, _RETIRED = 0, 1, 64
_TASK_NUMBER = struct.Struct("q")


class _Slot:
    """A worker's place: its connection to the pool and the number of the task in work, shared over the fork."""

    def __init__(self, connection: Connection, board: mmap.mmap, index: int) -> None:
        self.connection = connection
        self._board = board
        self._offset = index * _TASK_NUMBER.size

    @property
    def task(self) -> int:
        """The number of the task in work, 0 when the worker is idle."""
        number: int = _TASK_NUMBER.unpack_from(self._board, self._offset)[0]
        return number

    @task.setter
    def task(self, number: int) -> None:
        _TASK_NUMBER.pack_into(self._board, self._offset, number)

    def reply(self, **fields: Any) -> None:
        self.connection.send_bytes(json.dumps(fields).encode())


def load(reference: str) -> Callable[..., Any]:
    """Call the factory named ``package.module:function``; what it returns is the function that workers run."""
    module, _, name = reference.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)()
    return function


def serve(slot: _Slot, function: Callable[..., Any], timeout_seconds: float, memory_bytes: int) -> NoReturn:
    """A worker's life: task after task until the pool closes, the timer strikes or the worker has done its share."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes if hard < 0 else min(memory_bytes, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for _ in range(TASKS_PER_WORKER):
        try:
            request = json.loads(slot.connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(_POOL_CLOSED)
        slot.task = request["task"]
        signal.setitimer(signal.ITIMER_REAL, request.get("budget", timeout_seconds))
        try:
            reply = {"task": slot.task, "status": "done", "value": function(*request["arguments"])}
            json.dumps(reply)
        except BaseException as error:
            reply = {"task": slot.task, "status": "error", "detail": f"{type(error).__name__}: {error}"[:500]}
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            slot.reply(**reply)
        except OSError:
            os._exit(_POOL_CLOSED)
        slot.task = 0
    os._exit(_RETIRED)


class Template:
    """Forks one worker per slot and replaces each that ends before the pool closes."""

    def __init__(self, slots: list[_Slot], work: Callable[[_Slot], NoReturn], control: Connection) -> None:
        self._slots = slots
        self._work = work
        self._control = control
        self._workers: dict[int, _Slot] = {}

    def run(self) -> None:
        """Until every worker has seen the pool close, or until SIGTERM; leaves no child behind."""
        watched = {signal.SIGCHLD, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        try:
            for slot in self._slots:
                self._fork(slot)
            while self._workers and signal.sigwait(watched) != signal.SIGTERM:
                # Several ends may share one SIGCHLD.
                while self._workers and (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                    self._replace(*ended)
        finally:
            self._kill_all()

    def _fork(self, slot: _Slot) -> None:
        slot.task = 0
        worker = os.fork()
        if worker:
            self._workers[worker] = slot
            return
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            self._control.close()
            for other in self._slots:
                if other is not slot:
                    other.connection.close()
            self._work(slot)
        finally:  # a worker must never go on as a second template
            os._exit(_BROKEN)

    def _replace(self, worker: int, status: int) -> None:
        slot = self._workers.pop(worker)
        code, task = os.waitstatus_to_exitcode(status), slot.task
        if code == _POOL_CLOSED and not task:
            return
        if code == _BROKEN and not task:
            raise RuntimeError("a worker failed before its first task, and so would the next")
        if task:
            try:
                if code == -signal.SIGALRM:
                    slot.reply(task=task, status="timeout")
                else:
                    slot.reply(task=task, status="error", detail=f"the worker ended with exit code {code}")
            except OSError:  # the pool is gone; the next worker will find out and end
                pass
        self._fork(slot)

    def _kill_all(self) -> None:
        for worker in self._workers:
            os.kill(worker, signal.SIGKILL)
        for worker in self._workers:
            os.waitpid(worker, 0)


def _silence() -> None:
    """Parsers print; the trainer's terminal is not theirs."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(null, stream)


def main(arguments: list[str]) -> int:
    """``REFERENCE TIMEOUT_SECONDS MEMORY_BYTES CONTROL_FD WORKER_FD...``; 0 after an orderly end."""
    reference, timeout_seconds, memory_bytes, control_fd, *worker_fds = arguments
    for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM):  # a trainer may hand down "ignore"
        signal.signal(number, signal.SIG_DFL)
    signal.signal(
        signal.SIGUSR1, signal.SIG_IGN
    )  # a scheduler may send it to every process of a job; it is the trainer's
    control = Connection(int(control_fd))
    try:
        function = load(reference)
    except BaseException:
        control.send_bytes(json.dumps({"ready": False, "detail": traceback.format_exc()}).encode())
        return 1
    board = mmap.mmap(-1, _TASK_NUMBER.size * len(worker_fds))
    slots = [_Slot(Connection(int(fd)), board, index) for index, fd in enumerate(worker_fds)]
    gc.collect()
    gc.freeze()  # keeps the loaded library's pages shared between the workers
    _silence()
    try:
        control.send_bytes(json.dumps({"ready": True}).encode())
    except OSError:
        return 0
    Template(slots, lambda slot: serve(slot, function, float(timeout_seconds), int(memory_bytes)), control).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
