"""Functions that misbehave on demand, for worker processes to load by name."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def _perform(action: str, argument: Any = None) -> Any:
    if action == "echo":
        return argument
    if action == "sleep":
        time.sleep(argument)
        return argument
    if action == "pids":
        return [os.getpid(), os.getppid()]
    if action == "exit":
        os._exit(argument)
    if action == "raise":
        raise ValueError(argument)
    if action == "system_exit":
        sys.exit(argument)
    if action == "kill_self":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "kill_template":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if action == "allocate":
        return len(bytearray(argument))
    if action == "native_power":  # one operation inside the interpreter: no Python signal handler could run
        return len(str(argument ** (10**9)))
    if action == "deaf_sleep":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(argument)
    if action == "unserialisable":
        return object()
    if action == "print":
        print(argument, flush=True)
        return True
    raise AssertionError(action)


def perform() -> Callable[..., Any]:
    return _perform


def failing() -> Callable[..., Any]:
    raise RuntimeError("no such library here")


def dying() -> Callable[..., Any]:
    os._exit(9)


def sleeping_symbolic_comparison() -> Callable[[str, str], bool]:
    """Stands in for math-verify: the answer ``wait`` hangs, ``die`` ends the process, the rest compares as text."""

    def compare(extracted: str, gold: str) -> bool:
        if extracted == "wait":
            time.sleep(60)
        if extracted == "die":
            os._exit(1)
        return extracted == gold

    return compare
