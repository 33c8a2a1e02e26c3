"""What every test gets: an environment without network and with one thread, and a way to run the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import HealthCheck
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]

# Set when this file is imported, before any test module imports torch or a hub client, which read these once.
os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "WANDB_MODE": "offline",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
)


_FIRST = ("slurm", "functional", "parity", "distributed")
"""Rooms of long tests: begun first, so that no worker is left alone with one at the end."""

hypothesis.settings.register_profile(
    "the same everywhere", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if "EXPLORE" in os.environ:  # EXPLORE=1000: other examples each time, so many of each property
    hypothesis.settings.register_profile(
        "explore",
        hypothesis.settings.get_profile("the same everywhere"),
        derandomize=False,
        max_examples=int(os.environ["EXPLORE"]),
    )
hypothesis.settings.load_profile("explore" if "EXPLORE" in os.environ else "the same everywhere")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(ROOT / "tests").parts[0]
        return _FIRST.index(room) if room in _FIRST else len(_FIRST)

    items.sort(key=place)


class ByFile(LoadScopeScheduling):
    """One worker runs all tests of a file, which share fixtures; those under Slurm share a Slurm."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/slurm" if file.startswith("tests/slurm/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


class Finished(NamedTuple):
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_module() -> Callable[..., Finished]:
    """``run_module("run_sft", "stage=sft", timeout=300)``: the command ``python -m recipes.run_sft stage=sft``.

    A name with a dot is taken whole (``"evaluation.run"``). ``env`` adds variables; ``cwd`` is the repository
    by default. A command that outlives ``timeout`` (seconds) is killed, and the test fails with what it had printed.
    """

    def run(
        module: str,
        *arguments: str | Path,
        timeout: float = 120.0,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Finished:
        name = module if "." in module else f"recipes.{module}"
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        try:
            ended = subprocess.run(
                [sys.executable, "-m", name, *map(str, arguments)],
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": path, **(env or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            printed = [_text(stream)[-4000:] for stream in (late.stdout, late.stderr)]
            pytest.fail(
                f"python -m {name} was killed after {timeout:.0f} s\nstdout: {printed[0]}\nstderr: {printed[1]}"
            )
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    return run


def _text(stream: str | bytes | None) -> str:
    return stream.decode(errors="replace") if isinstance(stream, bytes) else stream or ""
