"""Unpacking a ``.nemo``: what is in use stays, what a killed process left goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from recipes.checkpoints.nemo_archive import CONFIG_NAME, WEIGHTS_NAME, CheckpointMismatch, read_config, unpacked

HOLD = "import sys; from pathlib import Path; from recipes.checkpoints.nemo_archive import unpacked\n" + (
    "with unpacked(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
)


@pytest.fixture
def nemo(tmp_path: Path) -> Path:
    content, path = tmp_path / "content", tmp_path / "model.nemo"
    (content / WEIGHTS_NAME).mkdir(parents=True)
    (content / CONFIG_NAME).write_text("num_layers: 2\n")
    (content / WEIGHTS_NAME / "tensors").write_bytes(b"weights" * 1000)
    with tarfile.open(path, "w:") as archive:
        for entry in sorted(content.iterdir()):
            archive.add(entry, arcname=entry.name)
    return path


def scratch(nemo: Path) -> set[Path]:
    return set(nemo.parent.glob(f".{nemo.name}.*"))


def test_parts(nemo: Path) -> None:
    with unpacked(nemo, CONFIG_NAME) as folder:
        assert (folder / CONFIG_NAME).is_file() and not (folder / WEIGHTS_NAME).exists()
        assert {folder} == scratch(nemo)
    assert read_config(nemo).num_layers == 2
    assert not scratch(nemo)


def test_killed_while_unpacked(nemo: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, nemo], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"in\n"
    with unpacked(nemo) as mine:  # the other one is at work
        assert len(scratch(nemo)) == 2
    (other,) = scratch(nemo)
    assert mine != other and (other / WEIGHTS_NAME / "tensors").is_file()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert scratch(nemo) == {other}
    with unpacked(nemo) as mine:
        assert scratch(nemo) == {mine}


@pytest.mark.parametrize("length", [100, 3000])
def test_cut_short(nemo: Path, length: int) -> None:
    nemo.write_bytes(nemo.read_bytes()[:length])
    with pytest.raises(CheckpointMismatch, match=r"model\.nemo"), unpacked(nemo):
        pass
    assert not scratch(nemo)


def test_ranks_that_read_at_the_same_time_leave_each_other_alone(nemo: Path) -> None:
    """One rank's folder must not look abandoned to the others while it is taken away."""
    often = "import sys; from pathlib import Path; from recipes.checkpoints.nemo_archive import read_config\n"
    often += "for _ in range(300): read_config(Path(sys.argv[1]))"
    ranks = [subprocess.Popen([sys.executable, "-c", often, nemo], stderr=subprocess.PIPE) for _ in range(4)]
    assert [said for rank in ranks if (said := rank.communicate()[1])] == []
    assert not scratch(nemo)
