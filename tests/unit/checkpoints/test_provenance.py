"""The commit that manifests name: of a checkout, or of the copy in an image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import GitState
from recipes.checkpoints.provenance import IMAGE_COMMIT, git_state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("0123abcd\n", GitState("0123abcd", dirty=False)),
        ("0123abcd-dirty\n", GitState("0123abcd", dirty=True)),
        ("\n", None),  # built without GIT_SHA
        (None, None),
    ],
)
def test_the_copy_in_an_image(text: str | None, state: GitState | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / IMAGE_COMMIT).write_text(text)
    assert git_state(tmp_path) == state


def test_a_checkout_speaks_for_itself(tmp_path: Path) -> None:
    git = shutil.which("git")
    assert git is not None, "the tests need git"
    (tmp_path / "file").write_text("1")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init", "--quiet"], ["add", "file"], [*identity, "commit", "--quiet", "--message", "one"]):
        subprocess.run([git, "-C", str(tmp_path), *words], check=True)
    (tmp_path / IMAGE_COMMIT).write_text("ffff\n")
    state = git_state(tmp_path)
    assert state is not None and len(state.sha) == 40 and not state.dirty
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path) == GitState(state.sha, dirty=True)
