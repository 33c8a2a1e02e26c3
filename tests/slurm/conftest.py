"""A local Slurm for the whole session, and data and words with which a stage takes seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.chain import STAGES, Chain
from tests.slurm.cluster import LOCAL_SLURM, PROGRAMS, Slurm, clean_environment
from tests.slurm.small_data import words, write_data


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Three virtual nodes: for jobs of two, and of one beside them.

    Skips where Slurm is not installed, fails there where REQUIRE_SLURM=1.
    """
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        reason = f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client munge"
        if os.environ.get("REQUIRE_SLURM") == "1":
            pytest.fail(f"REQUIRE_SLURM=1, but there is {reason}")
        pytest.skip(f"Slurm is not installed, {reason}")
    state = Path(tempfile.mkdtemp(prefix="slurm."))
    environment = {**clean_environment(), "SLURM_CONF": str(state / "slurm.conf"), "PYTHON": sys.executable}
    start = [str(LOCAL_SLURM), "start", str(state), "3", str(os.getpid())]
    subprocess.run(start, check=True, env=environment, timeout=120)
    try:
        yield Slurm(environment)
    finally:
        subprocess.run([LOCAL_SLURM, "stop", state], check=True, env=environment, timeout=120)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problems, demonstrations and a tokenizer for every stage."""
    folder = tmp_path_factory.mktemp("small data")
    write_data(folder)
    return folder


@pytest.fixture(scope="session")
def chain(slurm: Slurm, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A curriculum whose first stage is done: ``curriculum.sh --to sft``."""
    shape = ["cluster.devices_per_node=1", f"curriculum.stages=[{','.join(STAGES)}]"]
    chain = Chain(slurm, tmp_path_factory.mktemp("chain"), [*words(data, steps=1), *shape])
    chain.submit("--to", "sft")
    chain.wait()
    states = chain.states()
    assert set(states.values()) == {"COMPLETED"}, chain.logs()
    assert set(states) == {"demo-sft", "demo-sft-evaluation", "demo-report"}
    return chain
