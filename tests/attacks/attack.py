"""What an attack is: a program that would harm a judge without a sandbox, and what must hold instead."""

from __future__ import annotations

from dataclasses import dataclass

HOST_SECRET = "SECRET-OF-THE-JUDGE"
"""Begins every secret that the test session plants in the judge's memory, environment and files."""

PROBE = """\
import sys as _sys
if _sys.argv[0] and (_line := _sys.stdin.readline()) == "probe\\n":
    import os, time
    time.sleep(0.01)
    print(os.getcwd().rpartition("/")[0], os.listdir("."), len(os.listdir("/tmp")), len(os.environ))
    print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == [1, os.getpid()])
    print(len([1, 2]), sum([1, 2]), int("3"), os.sched_getaffinity(0) == os.sched_getaffinity(1))
    print(os.getpriority(os.PRIO_PROCESS, 0), os.listdir("/proc/self/fd"), sorted(os.environ))
    _sys.exit()
"""
"""Put before each program: the test after the attack, in the same sandbox, looks for what the attack left behind."""

PRELUDE = """\
import ctypes, errno, os, resource, signal, socket, sys, threading, time
ADDRESS = _line.split()
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result

def system_call(number, *arguments):
    return call("syscall", number, *arguments)

def refused(*actions):
    for action in actions:
        try:
            result = action()
        except (OSError, ValueError, AttributeError) as error:
            print("held", error)
        else:
            print("ESCAPED", result)

def forbidden(*actions):
    for action in actions:
        try:
            result = action()
        except OSError as error:
            allowed = error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.EAFNOSUPPORT)
            print("ESCAPED as far as" if allowed else "held", error)
        else:
            print("ESCAPED", result)
"""


@dataclass(frozen=True)
class Attack:
    """One program and its outcome.

    ``limits``: what may end it (``None``: nothing); ``exits``: its exit codes, any when empty; ``held``: how many of
    its attempts must be refused, each of which it reports itself.
    """

    name: str
    source: str
    limits: tuple[str | None, ...] = (None,)
    exits: tuple[int, ...] = ()
    held: int = 0
    cpu_seconds: float = 0.5
    wall_seconds: float = 10.0
    """Long where processor time is to decide, however busy the machine; short for programs that wait."""
    stdout: bytes | None = None

    def __str__(self) -> str:
        return self.name


def escape(name: str, source: str, held: int, **changes: object) -> Attack:
    """An attack that tries something which must be refused ``held`` times, and goes on to its own end."""
    return Attack(name, PRELUDE + source, exits=(0,), held=held, **changes)  # type: ignore[arg-type]
