"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from recipes.atomic_files import atomic_file, write_text


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with atomic_file(path) as file:
        file.write("a\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\n"


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.bin"
    (tmp_path / ".state.bin.partial").write_bytes(b"torn and long")
    with atomic_file(path, "wb") as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    write_text(path, "old\n")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "file", "x")
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "file", tmp_path / "other")}
    assert len(modes) == 1
