"""Checkpoints are whole or not there, whatever is killed when."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recipes.checkpoints.store import CheckpointStore


def save(store: CheckpointStore, step: int) -> None:
    store.begin(step)
    (store.pending_state(step) / "weights").write_text(f"state of {step}")
    store.commit(step, {"order": step})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_newest_first_and_no_more_than_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (1, 2, 10):
        save(store, step)
    assert [found.step for found in store.complete()] == [10, 2]
    assert names(tmp_path) == ["step_00000002", "step_00000010"]
    latest = store.latest()
    assert latest is not None and latest.progress == {"order": 10}
    assert (latest.state / "weights").read_text() == "state of 10"


class Killed(Exception):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("at", ["fsync", "replace", "rmtree"])
def test_killed_in_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """At any call that touches the disk: every checkpoint that has the name is whole, and the next save cleans up."""
    count = 0
    while True:
        folder = tmp_path / str(count)
        store = CheckpointStore(folder, keep=1)
        save(store, 1)
        module = shutil if at == "rmtree" else os
        original, left = getattr(module, at), count

        def dying(*arguments, original=original, **options):
            nonlocal left
            if left == 0:
                if at == "rmtree":  # halfway
                    (Path(arguments[0]) / "state" / "weights").unlink(missing_ok=True)
                raise Killed
            left -= 1
            return original(*arguments, **options)

        monkeypatch.setattr(module, at, dying)
        try:
            save(store, 2)
            ended = True
        except Killed:
            ended = False
        monkeypatch.setattr(module, at, original)
        whole = [found.directory for found in store.complete()]
        assert whole and whole == sorted(folder.glob("step_*"), reverse=True)
        save(store, 3)
        assert names(folder) == ["step_00000003"]
        if ended:
            break
        count += 1
    assert count >= 1  # at least one save was killed


def test_a_damaged_checkpoint_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    save(store, 1)
    save(store, 2)
    (tmp_path / "step_00000002" / "state" / "weights").write_text("cut")
    latest = store.latest()
    assert latest is not None and latest.step == 1
    assert "step_00000002 is not complete (state/weights has 3 bytes" in caplog.text


@pytest.mark.parametrize("at", ["read_text", "stat"])
def test_a_checkpoint_removed_while_another_command_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The run at work there prunes: after any access to the old checkpoint it may be gone, and no look fails."""
    store, count = CheckpointStore(tmp_path / "kept", keep=3), 0
    save(store, 1)
    save(store, 2)
    while True:
        shutil.copytree(tmp_path / "kept", folder := tmp_path / str(count))
        original, left = getattr(Path, at), count

        def removing(path: Path, *given, folder=folder, original=original, **options):
            nonlocal left
            found = original(path, *given, **options)
            if "step_00000001" in path.parts:
                left -= 1
                if left == -1:
                    shutil.rmtree(folder / "step_00000001")
            return found

        monkeypatch.setattr(Path, at, removing)
        found = [checkpoint.step for checkpoint in CheckpointStore(folder, keep=3).complete()]
        monkeypatch.setattr(Path, at, original)
        assert found in ([2], [2, 1])
        if left >= 0:
            break
        count += 1
    assert count >= 1


def test_resume_off_refuses_a_folder_with_a_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    assert store.resume_point(resume=False) is None
    save(store, 1)
    with pytest.raises(ValueError, match=r"checkpoint of step 1.*run\.resume=true"):
        store.resume_point(resume=False)
