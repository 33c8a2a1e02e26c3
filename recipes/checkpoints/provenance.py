"""What of the outside a manifest records: the project's commit, the versions of what computes, an import's source."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from recipes.checkpoints.hf_config import CONFIG_NAME
from recipes.checkpoints.manifest import (
    GitState,
    Manifest,
    file_sha256,
    manifest_path,
    model_file,
    write_manifest,
)

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = (
    "torch",
    "nemo_toolkit",
    "nemo-aligner",
    "megatron-core",
    "lightning",
    "transformers",
    "tokenizers",
    "safetensors",
    "transformer-engine",
    "tensorrt-llm",
    "math-verify",
    "sympy",
    "numpy",
)
"""What decides about weights, samples and verdicts."""


IMAGE_COMMIT = ".image-commit"
"""In an image's copy of the sources (Dockerfile): their commit, and ``-dirty`` behind it where they were changed."""


def git_state(root: Path = ROOT) -> GitState | None:
    """The commit of the checkout ``root``, or of an image's copy of one.

    None where it is neither, where the image was built without GIT_SHA, or where git is absent or refuses to look.
    """
    if not (root / ".git").exists() and (root / IMAGE_COMMIT).is_file():
        commit, _, state = (root / IMAGE_COMMIT).read_text(encoding="utf-8").strip().partition("-")
        return GitState(commit, state == "dirty") if commit else None
    top, sha = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not sha or Path(top).resolve() != root.resolve():
        return None
    return GitState(sha, _git(root, "status", "--porcelain", "--untracked-files=no") != "")


def versions() -> dict[str, str]:
    """``python`` and every distribution of ``DISTRIBUTIONS`` that is installed."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_import_manifest(
    checkpoint: Path, hf_dir: Path, overrides: Mapping[str, object], started: datetime
) -> Manifest:
    """Vouch for weights that were converted from the Hugging Face folder ``hf_dir``; the last thing of an import."""
    ended = datetime.now(timezone.utc)
    manifest = Manifest(
        stage="import",
        kind="import",
        steps=0,
        run_directory=str(checkpoint.absolute().parent),
        model=model_file(checkpoint),
        parent=None,
        source={"folder": str(hf_dir.absolute()), "config_sha256": file_sha256(hf_dir / CONFIG_NAME)},
        git=git_state(),
        settings=dict(overrides),
        data={},
        versions=versions(),
        metrics={},
        attempts=[],
        wall_seconds=round((ended - started).total_seconds(), 1),
        device_hours=0.0,
        gpu_hours=0.0,
        temperature=None,
        started=started.isoformat(timespec="milliseconds"),
        finished=ended.isoformat(timespec="milliseconds"),
    )
    write_manifest(manifest_path(checkpoint), manifest)
    return manifest


def _git(root: Path, *words: str) -> str | None:
    """Output of a git command without its newline; None when it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
