"""A program under test: compiled once in the warm interpreter, run once in each fork of it."""

from __future__ import annotations

import builtins
import gc
import os
import sys

from .header import Header

TYPE_CHECKING = False  # typing's own takes as long to import as everything else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

FILENAME = "<solution>"
OUT_OF_MEMORY = 63
"""The signal with which a test ends itself after an uncaught MemoryError."""
SIGXFSZ = 25
_FLUSH_FAILED = 120  # as CPython's own exit

PREFETCHED = frozenset(
    (
        *("abc", "argparse", "array", "ast", "bisect", "calendar", "cmath", "collections", "contextlib", "copy"),
        *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "io", "inspect"),
        *("itertools", "json", "math", "numbers", "operator", "queue", "random", "re", "statistics", "string"),
        *("struct", "textwrap", "threading", "time", "traceback", "types", "typing", "unittest", "weakref"),
    )
)
"""Modules that are imported before the forks when the program names them: their import costs milliseconds."""


class Program:
    """The compiled source; SyntaxError, ValueError, OverflowError, RecursionError or MemoryError when it is none."""

    def __init__(self, source: str, header: bool) -> None:
        self.code = compile(source, FILENAME, "exec", dont_inherit=True)
        self._wants_header = header
        self._header: Header | None = None

    def prefetch(self, packages: list[str]) -> None:
        """Import what the program is likely to import, from the standard library and the packages it may use."""
        names = {name.partition(".")[0] for name in _names(self.code)}
        self._header = Header(names) if self._wants_header else None
        for name in sorted(names & {*PREFETCHED, *packages}):
            try:
                __import__(name)
            except ImportError:  # the program will see it
                continue

    def run(self, name: str = "solution") -> dict[str, Any]:
        """Execute the program as the module ``name``; returns its namespace."""
        module = type(sys)(name)
        namespace = module.__dict__
        if self._header is not None:
            namespace.update(self._header.namespace())
        namespace["__builtins__"] = builtins
        namespace["__file__"] = FILENAME
        sys.modules[name] = module
        exec(self.code, namespace)
        return namespace

    def test(self, function: Callable[..., Any] | None, arguments: Any, result: int, peer: int | None) -> NoReturn:
        """Be the test: run the program as a script, or ``function`` on it, and exit as ``python`` does."""
        _fresh_streams()
        sys.argv[:] = ["solution.py"]
        code = 0
        try:
            if function is None:
                _hide_judge()
                self.run("__main__")
            else:
                function(self, arguments, result, peer)
        except SystemExit as error:
            code = _exit_code(error)
        except BaseException as error:
            code = _report(error)
        os._exit(_finish(code))


def _hide_judge() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    del sys.path[0]


def _names(code: CodeType) -> set[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        code = waiting.pop()
        found.update(code.co_names)
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, type(code)))
    return found


def _fresh_streams() -> None:
    """New sys.stdin, stdout and stderr on the test's own descriptors, as ``python`` opens them in a UTF-8 locale."""
    import io
    from _signal import SIG_DFL, signal

    for descriptor, name, mode, errors in (
        (0, "stdin", "r", "surrogateescape"),
        (1, "stdout", "w", "surrogateescape"),
        (2, "stderr", "w", "backslashreplace"),
    ):
        stream: Any = io.open(descriptor, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115, UP020
        stream.reconfigure(line_buffering=name == "stderr")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    signal(SIGXFSZ, SIG_DFL)  # Python ignores it: a flood would go on until its time is over


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    try:  # noqa: SIM105, contextlib takes a millisecond to import
        print(error.code, file=sys.stderr)
    except BaseException:
        pass
    return 1


def _report(error: BaseException) -> int:
    """Print the traceback without the frames of this file; 1, or no return when memory ran out."""
    here, traceback = __file__, error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == here:
        traceback = traceback.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        sys.stderr.flush()
    except BaseException:
        pass
    if isinstance(error, MemoryError):
        os.kill(os.getpid(), OUT_OF_MEMORY)
    return 1


def _finish(code: int) -> int:
    """What ``python`` does at its end: wait for threads, run exit functions and finalizers, flush. Returns the code."""
    try:
        if (threading := sys.modules.get("threading")) is not None:
            threading._shutdown()
        import atexit

        atexit._run_exitfuncs()
    except BaseException as error:
        _report(error)
    flushed = _flush()
    try:
        for name in ("__main__", "solution"):
            if (module := sys.modules.pop(name, None)) is not None:
                namespace = module.__dict__
                for key in sorted(namespace, key=lambda key: not key.startswith("_")):
                    if key != "__builtins__":
                        namespace[key] = None
        gc.collect()
    except BaseException:
        pass
    return code if _flush() and flushed else code or _FLUSH_FAILED


def _flush() -> bool:
    flushed = True
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:
            flushed = stream is sys.stderr and flushed
    return flushed
