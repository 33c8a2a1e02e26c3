"""One program of TensorRT-LLM after the other: output in a log, progress on the screen, a failure that can be read."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from recipes.backends.trtllm.build_commands import shell_line
from recipes.parent_death import die_with_parent

LAST_LINES = 15
"""Of the log, that a failure shows."""
POLL_SECONDS = 0.2
TELL_SECONDS = 60.0
"""Between two lines about the progress where there is no terminal."""


class ToolFailed(RuntimeError):
    """A program is missing or did not end well; the message has the command, its status and its last lines."""


def run_tool(command: Sequence[str], log: Path, title: str) -> float:
    """Run a program to its end; it dies with this process, and so do the processes that it started.

    Args:
        command: program and arguments.
        log: stdout and stderr are appended, below the command itself.
        title: of the progress, as ``building the engine``.

    Returns:
        Wall seconds.

    Raises:
        ToolFailed: no such program, another exit status than 0, or ended by a signal.
    """
    started = time.monotonic()
    with log.open("ab") as output:
        output.write(f"$ {shell_line(command)}\n".encode())
        output.flush()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, which ends as a whole
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise ToolFailed(
                f"{title}: cannot start {command[0]} ({error.strerror})\n  {shell_line(command)}"
            ) from error
        with _ended(process):
            _watch(process, log, title, started)
    if process.returncode != 0:
        raise ToolFailed(_failure(command, process.returncode, log, title))
    return time.monotonic() - started


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends the block, Ctrl-C for instance, ends the group of the process."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _watch(process: subprocess.Popen[bytes], log: Path, title: str, started: float) -> None:
    console = Console(stderr=True)
    told = started
    with console.status(title) as status:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if not console.is_terminal and now - told < TELL_SECONDS:
                continue
            line = f"{title}: {_minutes(now - started)}, {(_last_lines(log, 1) or [''])[0].strip()[:80]}"
            if console.is_terminal:
                status.update(line)
            else:
                console.print(line, markup=False, highlight=False)
            told = now
    console.print(f"{title}: {_minutes(time.monotonic() - started)}", markup=False, highlight=False)


def _failure(command: Sequence[str], status: int, log: Path, title: str) -> str:
    how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    if status == -signal.SIGKILL:
        how += " (out of memory, where nobody sent it)"
    lines = "\n".join(f"  | {line}" for line in _last_lines(log, LAST_LINES))
    return f"{title} failed, {how}:\n  {shell_line(command)}\n{lines}\nThe whole output: {log}"


def _last_lines(log: Path, count: int) -> list[str]:
    """Of a log that may be long; what overwrote itself on a terminal counts as its last state."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
        text = file.read().decode(errors="replace")
    lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in lines if line][-count:]


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
