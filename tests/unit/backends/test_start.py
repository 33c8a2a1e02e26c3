"""Which process of a run this is, by what its launcher says."""

from __future__ import annotations

import os

import pytest

from recipes.backends import rollout_engines
from recipes.backends.start import is_first_rank, is_launched
from recipes.mpirun_ranks import take_ranks_of_mpirun
from recipes.settings.compose import settings_from_command_line
from recipes.settings.plan import launch_problems
from tests.unit.settings.composing import composed

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in NAMES or name.startswith(("OMPI_", "SLURM_")):
            monkeypatch.delenv(name)
    for name in NAMES:  # so that what the code sets is taken back
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def mpirun(monkeypatch: pytest.MonkeyPatch, rank: int, size: int, local_size: int) -> None:
    """What Open MPI sets for a rank, and what the command makes of it."""
    told = {"RANK": rank, "SIZE": size, "LOCAL_RANK": rank % local_size, "LOCAL_SIZE": local_size}
    for name, value in told.items():
        monkeypatch.setenv(f"OMPI_COMM_WORLD_{name}", str(value))
    take_ranks_of_mpirun()


def test_ranks_of_mpirun(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = composed("grpo").cluster
    assert not is_launched(cluster) and is_first_rank()
    mpirun(monkeypatch, 3, 4, 4)
    assert not is_first_rank() and is_launched(cluster)
    assert [os.environ[name] for name in NAMES] == ["3", "4", "3", "4", "127.0.0.1", "29500"]


def test_torchs_own_ranks_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun inside an allocation that mpirun made."""
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "0")
    mpirun(monkeypatch, 1, 2, 1)
    assert is_launched(composed("grpo").cluster) and is_first_rank()
    assert os.environ["WORLD_SIZE"] == "8" and "MASTER_ADDR" not in os.environ


def test_several_machines_need_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "node1")
    mpirun(monkeypatch, 9, 16, 8)
    assert is_launched(composed("grpo").cluster)
    assert (os.environ["MASTER_ADDR"], os.environ["LOCAL_RANK"]) == ("node1", "1")
    for name in NAMES:
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit, match="mpirun -x MASTER_ADDR=HOST"):
        take_ranks_of_mpirun()


def test_another_number_of_ranks_than_the_settings_describe(monkeypatch: pytest.MonkeyPatch) -> None:
    mpirun(monkeypatch, 0, 4, 4)
    (problem,) = launch_problems(composed("grpo"), "grpo", os.environ)
    assert problem.key == "cluster.devices_per_node" and problem.found.startswith("4 processes")


def test_trtllm_needs_ranks_that_mpi_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_engines, "require_tensorrt_llm", lambda *_: None)
    monkeypatch.setattr(rollout_engines.shutil, "which", lambda _: None)
    one, two = composed("grpo", "rollouts.engine=trtllm"), composed("grpo", "cluster.devices_per_node=2")
    rollout_engines.require_rollout_engine(one)
    rollout_engines.require_rollout_engine(two)
    two.rollouts.engine = "trtllm"
    with pytest.raises(ValueError, match=r"srun --mpi=pmix .* Open MPI .* rollouts\.engine=megatron"):
        rollout_engines.require_rollout_engine(two)
    monkeypatch.setattr(rollout_engines.shutil, "which", lambda _: "/usr/bin/mpirun")
    rollout_engines.require_rollout_engine(two)
    monkeypatch.setattr(rollout_engines.shutil, "which", lambda _: None)
    mpirun(monkeypatch, 0, 2, 2)
    rollout_engines.require_rollout_engine(two)


def test_one_rank_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for rank, says in ((0, True), (1, False)):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        mpirun(monkeypatch, rank, 2, 2)
        with pytest.raises(SystemExit):
            settings_from_command_line("grpo", "", ["grpo.temprature=1"])
        assert ("grpo.temperature" in capsys.readouterr().err) == says
