"""Phases: what is done is not done again, what follows from something else is void, a killed process is named."""

from __future__ import annotations

import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from recipes.preparation.executors import TaskDied, run_here
from recipes.preparation.phases import Phase, begin_all


def note(word: str, folder: Path, task: int) -> None:
    with (folder / "calls").open("a", encoding="utf-8") as file:
        file.write(f"{word}{task}\n")


def fail_on_one(folder: Path, task: int) -> None:
    note("task", folder, task)
    if task == 1 and not (folder / "repaired").exists():
        raise ValueError("task one")


def die(folder: Path, task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def phase(name: str, tasks: int, word: str = "a", **follows: object) -> Phase:
    return Phase(name, tasks, partial(note, word), follows)


def calls(work: Path, name: str) -> list[str]:
    return sorted((work / name / "calls").read_text().split())


def run(work: Path, *phases: Phase) -> None:
    for folder in begin_all(list(phases), work):
        for task in folder.open_tasks():
            folder.run(task)


def test_a_task_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    run(tmp_path, phase("s.one", 3))
    run(tmp_path, phase("s.one", 3))
    assert calls(tmp_path, "s.one") == ["a0", "a1", "a2"]


def test_another_input_voids_the_phase_and_all_after_it(tmp_path: Path) -> None:
    run(tmp_path, phase("s.one", 1, n=9), phase("s.two", 1, n=1), phase("s.three", 1))
    run(tmp_path, phase("s.one", 1, n=9), phase("s.two", 1, "b", n=2), phase("s.three", 1, "b"))
    assert [calls(tmp_path, name) for name in ("s.one", "s.two", "s.three")] == [["a0"], ["b0"], ["b0"]]


def test_folders_of_phases_that_are_not_wanted_go_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    run(tmp_path, phase("s.one", 1), phase("s.two", 1))
    run(tmp_path, phase("s.one", 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.one", "slurm"]


def give(path: Path, folder: Path, task: int) -> None:
    note("given", folder, task)
    path.mkdir(exist_ok=True) if path.suffix == "" else path.write_text("x")


def test_what_is_written_for_the_user_is_written_again_and_goes_with_its_phase(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "folder"
    work = tmp_path / "work"

    def giving(path: Path, **follows: object) -> Phase:
        return Phase("s.one", 1, partial(give, path), follows, (path,))

    run(work, giving(first))
    first.unlink()
    run(work, giving(first))
    assert first.exists()
    run(work, giving(second, other=1))
    assert second.is_dir() and not first.exists()
    run(work, phase("s.two", 1))
    assert not second.exists()


def test_a_copied_folder_removes_nothing_of_the_original(tmp_path: Path) -> None:
    original, copied = tmp_path / "original", tmp_path / "copied"
    run(original / "work", Phase("s.one", 1, partial(give, original / "out.jsonl"), {}, (original / "out.jsonl",)))
    shutil.copytree(original, copied)
    run(copied / "work", phase("s.two", 1))
    assert (original / "out.jsonl").exists() and not (copied / "out.jsonl").exists()


def test_a_failed_task_is_told_and_the_others_stay_done(tmp_path: Path) -> None:
    def begin() -> list:
        return begin_all([Phase("s.one", 3, fail_on_one)], tmp_path)

    with pytest.raises(ValueError, match="task one"):
        run_here(begin(), workers=1)
    (tmp_path / "s.one" / "repaired").touch()
    run_here(begin(), workers=2)
    assert begin()[0].open_tasks() == []
    found = calls(tmp_path, "s.one")
    assert found.count("task0") == 1 and found.count("task1") == 2


def test_a_process_that_is_killed_is_named_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(TaskDied, match=r"s\.one.*parts\.workers=1"):
        run_here(begin_all([Phase("s.one", 1, die)], tmp_path), workers=2)
