"""JSON lines that are only ever added to, whatever ends the process that adds them.

A kill leaves at most a torn last line, which counts as not written. A line that the disk does not take (full, or a
quota) is taken back whole.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Any

from recipes.sound_text import json_line


class AppendedFile:
    """A file of JSON lines, one process's; every line is handed to the system at once. From any thread.

    A line that the disk does not take is taken back whole and its error raised: what is there stays readable, and
    whoever goes on later appends behind it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._out: RawIOBase | None = None

    def __enter__(self) -> AppendedFile:
        self._out = self.path.open("ab", buffering=0)
        if self._out.tell() and not _ends_with_newline(self.path):  # torn by a kill: closed, and passed over as no row
            self._append(b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._out is not None
        self._out.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """One line.

        Raises:
            OSError: the disk does not take it.
        """
        line = json_line(row).encode()
        with self._lock:
            self._append(line)

    def _append(self, line: bytes) -> None:
        out = self._out
        assert out is not None, "a file is appended to inside its with block"
        there, written = os.fstat(out.fileno()).st_size, 0
        try:
            while written < len(line):
                written += out.write(line[written:]) or 0
        except OSError:
            with suppress(OSError):  # a device has no length
                os.ftruncate(out.fileno(), there)
            raise


def appended_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place of its first byte, object) of every whole line; torn ones are passed over. One line in memory at a time.

    Nothing where there is no file.
    """
    if not path.is_file():
        return
    place = 0
    with path.open("rb") as file:
        for line in file:
            row = _row(line)
            if row is not None:
                yield place, row
            place += len(line)


def row_at(path: Path, place: int) -> dict[str, Any]:
    """The object of the line that begins at a place which ``appended_rows`` told."""
    with path.open("rb") as file:
        file.seek(place)
        row = _row(file.readline())
    assert row is not None, f"{path}: no row at byte {place}; the file is only ever added to"
    return row


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What two descriptions of how samples are drawn do not share, in words; none where they are equal as JSON."""
    wanted = json.loads(json.dumps(wanted))
    return [
        f"{name} was {found.get(name)!r}, is {wanted.get(name)!r}"
        for name in dict.fromkeys([*found, *wanted])
        if found.get(name) != wanted.get(name)
    ]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
