"""The warm interpreter: the first process of a sandbox, which runs each test of one program in a fork of itself.

Nothing in a fork is trusted. This process holds the judge's connection, cannot be signalled, traced or read from the
forks, ends every process of a test before it answers, and gives each test an empty directory.
"""

from __future__ import annotations

import _ctypes
import _signal
import _socket
import _thread
import gc
import os
import resource
import select
import sys
import time

from . import framing, process_tree, program

TYPE_CHECKING = False  # typing's own takes as long to import as everything else here
if TYPE_CHECKING:
    from typing import Any, NoReturn

RECURSION_LIMIT = 50_000
"""LiveCodeBench's."""
THREAD_STACK_BYTES = 8 << 20
COMPILE_SECONDS, COMPILE_WALL_SECONDS = 5.0, 20.0
POLL_SECONDS = 0.02
MAX_FILES = 20_000
"""Files and directories that a test may keep in its temporary directory: empty ones cost memory too."""
STDERR_BYTES = 4096
_CONNECTION, _PEER_HERE = 40, 41  # above all that requests bring
_RESULT, _PEER = 3, 4
_BROKEN = 70
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36


def main(directory: str) -> NoReturn:
    """Serve the judge, whose socket is descriptor 0, until it closes."""
    connection = _socket.socket(fileno=os.dup2(0, _CONNECTION, inheritable=False))
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # without handlers the first process of a namespace gets no signals
    _thread.stack_size(THREAD_STACK_BYTES)  # else it is the main thread's
    os.environ.pop("PWD", None)  # bwrap's
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    try:
        configuration, descriptors = framing.receive_request(connection)
        interpreter = Interpreter(connection, directory, configuration, descriptors)
        framing.send_reply(connection, {"status": "ready"})
        while True:
            request, descriptors = framing.receive_request(connection)
            if request["do"] == "load":
                reply = interpreter.load(request["source"], request.get("header", False))
            else:
                reply = interpreter.run(request, descriptors)
            framing.send_reply(connection, reply)
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the judge closed the sandbox, or is gone
        pass
    if os.getpid() != 1:  # a judge that was killed cannot remove it
        _empty(directory)
        os.rmdir(directory)
    os._exit(0)


class Interpreter:
    """Loads one program and runs its tests."""

    def __init__(
        self, connection: _socket.socket, directory: str, configuration: dict[str, Any], descriptors: list[int]
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._program: program.Program | None = None
        self._memory_bytes: int = configuration["memory_bytes"]
        self._processes: int = configuration["processes"]
        self._packages: list[str] = configuration["packages"]
        self._peer = None
        if descriptors:
            self._peer = os.dup2(descriptors[0], _PEER_HERE, inheritable=False)
            os.close(descriptors[0])
        _isolate(configuration, directory)
        self._tree = process_tree.ProcessTree(configuration["namespaced"])
        _limit(configuration)
        self._tests = 0

    def load(self, source: str, header: bool) -> dict[str, Any]:
        """Compile the program and import the modules that it names; nothing of it runs here."""
        if (complaint := self._try_compiler(source)) is not None:
            return {"status": "syntax_error", "detail": complaint}
        try:
            self._program = program.Program(source, header)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            return {"status": "syntax_error", "detail": f"{type(error).__name__}: {error}"[:1000]}
        self._program.prefetch(self._packages)
        gc.collect()
        gc.freeze()
        return {"status": "ready"}

    def _try_compiler(self, source: str) -> str | None:
        """Compile in a fork first: a few nested blocks can take the compiler hours, or crash it."""
        cpu_before = process_tree.reaped_seconds()
        child = os.fork()
        if child == 0:
            try:
                program.Program(source, header=False)
            except BaseException:  # this process finds it once more, and reports it
                pass
            finally:
                os._exit(0)
        limit, status = self._watch(child, cpu_before + COMPILE_SECONDS, time.monotonic() + COMPILE_WALL_SECONDS)
        if limit is None and status == 0:
            return None
        return f"the compiler met its limit of {limit}" if limit else "the compiler crashed"

    def run(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """One test: ``descriptors`` are its standard input, output, error and, for a function, its result."""
        if self._program is None:
            raise RuntimeError("run before load")
        function = None
        if request["entry"] != "script":
            module, _, name = request["entry"].partition(":")
            function = getattr(__import__(f"{__package__}.{module}", fromlist=[name]), name)
        self._tests += 1
        directory = f"{self._directory}/{self._tests}"
        os.mkdir(directory)
        cpu_before, started = process_tree.reaped_seconds(), time.monotonic()
        child = os.fork()
        if child == 0:
            try:
                self._become_test(request, descriptors, directory)
                self._program.test(function, request.get("arguments"), _RESULT, _PEER if self._peer else None)
            finally:
                os._exit(_BROKEN)
        limit, status = self._watch(child, cpu_before + request["cpu_seconds"], started + request["wall_seconds"])
        wall_seconds = time.monotonic() - started
        cpu_seconds = process_tree.reaped_seconds() - cpu_before
        for descriptor in descriptors:
            os.close(descriptor)
        exit_code = os.waitstatus_to_exitcode(status)
        if limit is None:
            if exit_code == -program.OUT_OF_MEMORY:
                exit_code, limit = 1, "memory"
            elif exit_code == -program.SIGXFSZ:
                limit = "output"
            elif cpu_seconds >= request["cpu_seconds"]:
                limit = "time"
        _empty(self._directory)
        return {"exit": exit_code, "limit": limit, "cpu_seconds": cpu_seconds, "wall_seconds": wall_seconds}

    def _become_test(self, request: dict[str, Any], descriptors: list[int], directory: str) -> None:
        seconds = int(request["cpu_seconds"]) + 2  # a backstop: the exact limit is the watcher's
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        for target, descriptor in enumerate(descriptors):  # each is above its target and all later ones
            os.dup2(descriptor, target)
        first_unused = len(descriptors)
        if first_unused > _RESULT and self._peer is not None:
            os.dup2(self._peer, _PEER)
            first_unused = _PEER + 1
        _prctl(_PR_SET_DUMPABLE, 1)  # so that the watcher sees what its processes share
        self._connection.detach()
        os.closerange(first_unused, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.chdir(directory)
        sys.setrecursionlimit(RECURSION_LIMIT)

    def _watch(self, child: int, cpu_end: float, wall_end: float) -> tuple[str | None, int]:
        """Wait for the test, or the judge's end, and end all its processes; returns the limit and the wait status."""
        poller = select.poll()
        pidfd = os.pidfd_open(child)
        poller.register(pidfd, select.POLLIN)
        poller.register(
            self._connection, 0
        )  # tells when the judge is gone: bwrap may not signal another user's process
        limit = None
        while limit is None:
            patience = min(POLL_SECONDS, wall_end - time.monotonic())
            if poller.poll(max(0.0, patience) * 1000 + 1):
                break
            cpu_seconds, memory, threads = self._tree.usage(child)
            if cpu_seconds >= cpu_end or time.monotonic() >= wall_end:
                limit = "time"
            elif memory > self._memory_bytes and self._tree.proportional_bytes() > self._memory_bytes:
                limit = "memory"
            elif threads > 2 * self._processes:  # where the kernel does not count: mode "none", and root's namespaces
                break
            else:
                files = os.statvfs(self._directory)
                if files.f_files - files.f_ffree > MAX_FILES and self._tree.namespaced:
                    limit = "output"
        os.close(pidfd)
        return limit, self._tree.kill()[child]


def _isolate(configuration: dict[str, Any], directory: str) -> None:
    """Give up every privilege, become invisible to the tests, and end when the judge's process ends."""
    uid = configuration["uid"]
    if uid is not None:
        os.chmod(directory, 0o777)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _prctl(_PR_SET_DUMPABLE, 0)  # no test may trace it or look at its memory and descriptors
    if configuration["namespaced"]:
        _prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL)  # a change of user has taken back bwrap's
    else:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # it has to see the judge's end itself, and end its tests


def _prctl(option: int, value: int) -> None:
    this_program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
    function = _ctypes.dlsym(this_program, "prctl")
    if _ctypes.call_function(function, (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl({option}, {value}) failed")


def _limit(configuration: dict[str, Any]) -> None:
    with open("/proc/self/statm", "rb") as file:
        base = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = {
        resource.RLIMIT_AS: base + configuration["memory_bytes"],
        resource.RLIMIT_FSIZE: configuration["output_bytes"],
        resource.RLIMIT_NOFILE: 128,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if configuration["namespaced"]:  # elsewhere all of the user's processes would count
        limits[resource.RLIMIT_NPROC] = configuration["processes"]
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _empty(directory: str) -> None:
    """Remove everything in it, however deep or guarded: directories are moved up, so that no path grows long."""
    moved = 0
    if os.stat(directory).st_uid == os.getuid():  # the tests' user too, who may have closed it
        os.chmod(directory, 0o700)
    while entries := list(os.scandir(directory)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            try:
                os.rmdir(entry.path)
                continue
            except OSError:
                os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)
                    moved += 1
                    os.rename(inner.path, f"{directory}/.removed-{moved}")
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
