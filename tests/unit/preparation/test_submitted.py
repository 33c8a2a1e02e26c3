"""A start beside jobs of an earlier one is refused; a program on the PATH stands for ``squeue``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.preparation.submitted import note_jobs, require_ended

Squeue = Callable[[str], None]


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Squeue:
    """Put a ``squeue`` with this shell code first."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def write(code: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin" / "squeue"
        program.write_text(f"#!/bin/sh\n{code}\n")
        program.chmod(0o755)

    return write


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "work" / "slurm"
    note_jobs(folder, ["12", "13", "14"])
    return folder


def test_nothing_was_submitted(tmp_path: Path, squeue: Squeue) -> None:
    squeue("exit 1")
    require_ended(tmp_path)


def test_all_have_ended(logs: Path, squeue: Squeue) -> None:
    squeue("echo 2; echo 130; echo 1")
    require_ended(logs)


def test_some_wait(logs: Path, squeue: Squeue) -> None:
    squeue("echo 99; echo 13; echo 14; echo 14")
    with pytest.raises(ValueError, match=r"out: jobs .* scancel 13 14\. "):
        require_ended(logs)


def test_no_answer(logs: Path, squeue: Squeue) -> None:
    squeue("echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(ValueError, match=r"jobs\.json: jobs 12, 13, 14 .* Unable to contact .* remove that file"):
        require_ended(logs)


def test_no_slurm(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="No such file"):
        require_ended(logs)
