"""What the processes of a test use together, and their end; part of the interpreter inside the sandbox."""

from __future__ import annotations

import os
import resource
import time

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_KILL = 9


class ProcessTree:
    """All descendants of this process, which must be their reaper (pid 1 of a namespace, or a subreaper).

    ``namespaced`` says that this process is pid 1 of a pid namespace of its own: only then may it signal pid -1.
    """

    def __init__(self, namespaced: bool) -> None:
        if namespaced and os.getpid() != 1:
            raise RuntimeError(f"this process is not the first of a pid namespace: its pid is {os.getpid()}")
        self.namespaced = namespaced
        self._sees_processes = os.path.exists(f"/proc/{os.getpid()}/stat")
        self._base_pages = self._pages("self") if self._sees_processes else 0

    def usage(self, child: int) -> tuple[float, int, int]:
        """CPU seconds of all descendants since ever; the bytes, and the threads, of those alive now.

        ``child`` stands for all of them where there is no /proc; its memory is then left to its own limit.
        """
        seconds = reaped_seconds()
        if not self._sees_processes:
            return seconds + _process_clock(child), 0, 1
        pages = threads = 0
        pids = self._descendants()
        for pid in pids:
            try:
                with open(f"/proc/{pid}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                seconds += sum(map(int, fields[11:15])) / _TICK
                threads += int(fields[17])
                pages += max(0, self._pages(pid) - self._base_pages)
            except (OSError, ValueError, IndexError):  # it ended meanwhile
                continue
        return seconds, pages * _PAGE, threads

    def proportional_bytes(self) -> int:
        """Bytes that the descendants hold, with what several share counted once."""
        total = 0
        for pid in self._descendants():
            try:
                with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                    total += next(int(line.split()[1]) for line in file if line.startswith(b"Pss:")) << 10
            except (OSError, StopIteration):  # it hides them, or is about to end
                try:
                    total += self._pages(pid) * _PAGE
                except (OSError, ValueError):
                    continue
        return total

    def kill(self) -> dict[int, int]:
        """End and reap every descendant; returns the wait status of each."""
        ended: dict[int, int] = {}
        while True:
            self._signal_all()
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return ended
            ended[pid] = status
            try:
                while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                    ended[reaped[0]] = reaped[1]
            except ChildProcessError:
                return ended

    def _signal_all(self) -> None:
        if self.namespaced:
            try:  # noqa: SIM105, contextlib takes a millisecond to import
                os.kill(-1, _KILL)  # never outside a namespace: it would be every process of the user
            except ProcessLookupError:
                pass
            return
        for pid in self._descendants():
            try:  # noqa: SIM105
                os.kill(pid, _KILL)
            except ProcessLookupError:
                pass

    def _descendants(self) -> list[int]:
        if self.namespaced:
            return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        found: list[int] = []
        waiting = [os.getpid()]
        while waiting:
            pid = waiting.pop()
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                        children = [int(child) for child in file.read().split()]
                    found += children
                    waiting += children
            except OSError:
                continue
        return found

    @staticmethod
    def _pages(pid: int | str) -> int:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared = file.read().split(None, 3)[:3]
        return int(resident) - int(shared)


def reaped_seconds() -> float:
    """CPU seconds of the descendants that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _process_clock(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0
