"""``RUN/.lock``: one start of a stage at a time writes a run directory, on one machine and across a cluster's nodes.

The main process holds a POSIX record lock, which the kernel drops with the process, however it ends; unlike ``flock``
it does not live on in forked children. Where a shared file system keeps locks on one node only, a second sign counts:
``RUN/.lock.holder``, which names the holder and is renewed every ``BEAT_SECONDS``. Another node watches it for
``WATCH_SECONDS`` before it takes a lock that its kernel would give.

The other processes of the same start wait until the main one holds the lock, so that a refused start writes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

LOCK_NAME = ".lock"
HOLDER_NAME = ".lock.holder"
BEAT_SECONDS = 3.0
WATCH_SECONDS = 15.0
"""Five beats."""
PATIENCE_SECONDS = 300.0
"""How long a rank waits for the main one: its machine may be busy with its start."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_TAKEN = (errno.EACCES, errno.EAGAIN)
_READS = 3
"""Of a file that another node may be renewing."""
_HELD: set[tuple[int, Path]] = set()
"""Process and run directory: opening and closing a file gives back the record lock that the process has on it."""
_ELSEWHERE = -1
"""Process that has a lock, where it has no number here: on another node, or in another container of this one."""
_FLOCK = "hhqqi4x"
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


class RunLocked(ValueError):
    """Another start is at work in the run directory; the message names it and the fix."""


class RunRefused(Exception):
    """The main process of this start does not get the lock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes a run directory; the fields are the keys of ``RUN/.lock.holder``."""

    token: str
    """Of one taking of the lock."""
    launch: str
    """Equal in all processes of one start."""
    host: str
    machine: str
    """Boot id of the kernel: record locks are kept between its processes, whatever file system it is."""
    pid: int
    slurm_job_id: str | None
    since: str
    beat: int = 0
    """Grows while the holder lives."""

    def __str__(self) -> str:
        job = f", Slurm job {self.slurm_job_id}" if self.slurm_job_id else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"

    @property
    def stop_command(self) -> str:
        """What ends the holder."""
        return f"scancel {self.slurm_job_id}" if self.slurm_job_id else f"kill {self.pid} on {self.host}"


class RunLock:
    """The lock of one run directory, seen from one process."""

    def __init__(self, directory: Path, *, launch: str | None = None, watch_seconds: float = WATCH_SECONDS) -> None:
        self._lock, self._holder = directory / LOCK_NAME, directory / HOLDER_NAME
        self._directory = directory
        self._launch = launch or launch_id()
        self._watch_seconds = watch_seconds

    def holder(self) -> Holder | None:
        """Who holds the lock now, None where it is free; takes nothing and writes nothing.

        A holder on another machine is watched for ``watch_seconds``.
        """
        found = self._named()
        pid = self._locked_by()
        if pid:
            return found if found is not None else replace(self._self(), pid=pid, launch="", token="")
        if found is None or (found.machine == _machine() and pid is not None):
            return None
        return found if self._beats(found) else None

    def require_free(self) -> None:
        """A look before a launch, so that a second command ends at once.

        Raises:
            RunLocked: somebody holds the lock.
        """
        if holder := self.holder():
            raise self._refusal(holder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the time of the block; called on the main process.

        Raises:
            RunLocked: somebody holds the lock.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as file, ExitStack() as stack:
            kernel = self._take(file)
            if kernel:
                _HELD.add(self._key)
                stack.callback(_HELD.discard, self._key)
            found = self._named()
            if found and not (kernel and found.machine == _machine()) and self._beats(found):
                raise self._refusal(found)
            for torn in self._directory.glob(f"{HOLDER_NAME}.*"):
                torn.unlink(missing_ok=True)
            mine, ended = self._self(), threading.Event()
            self._write(mine)
            beating = threading.Thread(target=self._beat, args=(mine, ended), name="run lock", daemon=True)
            beating.start()
            try:
                yield
            finally:
                ended.set()
                beating.join()
                holder = self._named()
                if holder is not None and holder.token == mine.token:
                    self._holder.unlink(missing_ok=True)

    def wait_for_main(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Until the main process of this start holds the lock; called on every other process.

        What another start still holds now, the main process may get a moment later: only a start that is at work for
        longer than ``watch_seconds`` counts.

        Raises:
            RunRefused: another start holds it.
            RunLocked: the patience is over.
        """
        deadline, foreign_since = time.monotonic() + patience_seconds, time.monotonic()
        beats: set[tuple[str, int]] = set()
        while time.monotonic() < deadline:
            found = self._named()
            if found and found.launch == self._launch:
                return
            here = found is not None and found.machine == _machine()
            if found is None or (here and not self._locked_by()):
                foreign_since = time.monotonic()
                beats.clear()
            else:
                beats.add((found.token, found.beat))
            if (here or len(beats) > 1) and time.monotonic() - foreign_since > self._watch_seconds:
                raise RunRefused
            time.sleep(0.05)
        raise RunLocked(f"{self._directory}: the main process of this start did not take the run directory's lock")

    def _take(self, file: Any) -> bool:
        """The record lock; False where the file system has none.

        Raises:
            RunLocked: another process of this machine, or of a cluster whose file system keeps locks, has it.
        """
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            if error.errno not in _TAKEN:
                raise
            raise self._refusal(self._named()) from error
        return True

    def _locked_by(self) -> int | None:
        """Process that has the record lock; 0 when it is free; None where that cannot be told."""
        if self._key in _HELD:
            return os.getpid()
        if sys.platform != "linux":  # ``struct flock`` differs
            return None
        try:
            with self._lock.open("r") as file:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except FileNotFoundError:
            return 0
        except OSError:
            return None
        return 0 if kind == fcntl.F_UNLCK else pid or _ELSEWHERE

    @property
    def _key(self) -> tuple[int, Path]:
        """A fork does not hold the lock."""
        return os.getpid(), self._directory.resolve()

    def _named(self) -> Holder | None:
        return read_holder(self._directory)

    def _beats(self, found: Holder) -> bool:
        """Whether the holder file is renewed while this process looks at it."""
        deadline = time.monotonic() + self._watch_seconds
        while time.monotonic() < deadline:
            now = self._named()
            if now is None:
                return False
            if (now.token, now.beat) != (found.token, found.beat):
                return True
            time.sleep(min(0.5, self._watch_seconds / 10))
        return False

    def _beat(self, mine: Holder, ended: threading.Event) -> None:
        """Renew the holder file; end this process when another start has taken the directory."""
        while not ended.wait(BEAT_SECONDS):
            found = self._named()
            if found is not None and found.token != mine.token:
                print(f"{self._directory}: taken over by {found}; this process ends before it writes", flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            mine = replace(mine, beat=mine.beat + 1)
            try:
                self._write(mine)
            except OSError:  # a full or absent file system for a moment; the next beat tries again
                continue

    def _write(self, holder: Holder) -> None:
        partial = self._holder.with_name(f"{HOLDER_NAME}.{holder.token}")
        partial.write_text(json.dumps(asdict(holder)) + "\n", encoding="utf-8")
        os.replace(partial, self._holder)

    def _self(self) -> Holder:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        job = os.environ.get("SLURM_JOB_ID")
        return Holder(uuid.uuid4().hex, self._launch, socket.gethostname(), _machine(), os.getpid(), job, since)

    def _refusal(self, holder: Holder | None) -> RunLocked:
        who = str(holder) if holder else "a process that has not written its name yet"
        end = f" ({holder.stop_command})" if holder else ""
        return RunLocked(
            f"{self._directory} is being written by {who}; one start at a time writes a run directory: wait for it, "
            f"end it{end}, or set run.directory to another folder"
        )


def read_holder(directory: Path) -> Holder | None:
    """Who wrote its name last; None when nobody did, or the lock was given back."""
    for _ in range(_READS):
        try:
            return Holder(**json.loads((directory / HOLDER_NAME).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, TypeError, ValueError):  # ESTALE: renewed by another node while it was read here
            time.sleep(0.1)
    return None


def require_free(directory: Path) -> None:
    """A look before a launch, so that a second command on the same machine ends at once; writes nothing.

    Raises:
        RunLocked: another start is at work there.
    """
    RunLock(directory, watch_seconds=0.0).require_free()


@contextmanager
def writing(directory: Path, *, is_main: bool) -> Iterator[None]:
    """The one way into a run directory: the main process holds the lock, the others wait until it does.

    Raises:
        RunLocked: another start is at work there, or the main process does not come.
        SystemExit: with status 2, on the other processes of a start that is refused.
    """
    lock = RunLock(directory)
    if not is_main:
        try:
            lock.wait_for_main()
        except RunRefused as error:  # the main process says why
            raise SystemExit(2) from error
        yield
        return
    with lock.held():
        yield


def launch_id(environ: Callable[[str], str | None] = os.environ.get) -> str:
    """Equal in all processes of one start (torchrun, srun, one process), different in the next."""
    if run := environ("TORCHELASTIC_RUN_ID"):
        return (
            f"torchrun {run} {environ('MASTER_ADDR')}:{environ('MASTER_PORT')} {environ('TORCHELASTIC_RESTART_COUNT')}"
        )
    if job := environ("SLURM_JOB_ID"):
        return f"slurm {job}.{environ('SLURM_STEP_ID')} {environ('SLURM_RESTART_COUNT') or 0}"
    if environ("WORLD_SIZE") not in (None, "1"):
        return f"ranks {environ('MASTER_ADDR')}:{environ('MASTER_PORT')}"
    return f"process {socket.gethostname()} {os.getpid()}"


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
