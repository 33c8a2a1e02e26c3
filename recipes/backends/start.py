"""First thing a command does: the right number of processes, patches for what the machine lacks, quiet frameworks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from recipes.mpirun_ranks import MPIRUN
from recipes.parent_death import die_with_parent
from recipes.settings.schema import ClusterSettings, Settings

_LAUNCHED = "RECIPE_LAUNCHED_BY"


def start_frameworks(settings: Settings, module: str, arguments: Sequence[str], *, mpi: bool = False) -> None:
    """Make this process one rank of the run (``launch_ranks``); call before anything imports NeMo.

    Args:
        module: name for ``python -m``.
        arguments: command line after the module.
        mpi: as ``launch_ranks``.

    Raises:
        SystemExit: as ``launch_ranks``; or a GPU profile asks for Transformer Engine or Apex, and it is not installed.
    """
    launch_ranks(settings.cluster, module, arguments, mpi=mpi)
    if not is_first_rank():
        os.environ["TQDM_DISABLE"] = "1"
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(Path(settings.run.directory) / "logs" / "frameworks.log")
    import torch

    if settings.cluster.threads_per_process > 0:
        torch.set_num_threads(settings.cluster.threads_per_process)
    if settings.cluster.accelerator == "cpu":
        from recipes.backends.cpu.install import install_cpu_room

        install_cpu_room()
    else:
        from recipes.backends.cpu.condition import this_machine
        from recipes.backends.cpu.install import install_stand_ins

        machine = this_machine(cuda=True)
        if problem := missing_kernels(settings.cluster, machine.packages):
            raise SystemExit(problem)
        install_stand_ins(machine)


def missing_kernels(cluster: ClusterSettings, packages: Collection[str]) -> str | None:
    """What a GPU profile asks for that is not installed, with the fix; None where all is there.

    Args:
        packages: which of ``apex`` and ``transformer_engine`` are installed.
    """
    problems = []
    if cluster.layer_spec == "transformer_engine" and "transformer_engine" not in packages:
        problems.append(
            "cluster.layer_spec=transformer_engine: the package transformer_engine is not installed; run in the "
            "container, or set cluster.layer_spec=local model.sequence_parallel=false"
        )
    if cluster.fused_kernels and not {"apex", "transformer_engine"} <= set(packages):
        problems.append(
            "cluster.fused_kernels=true: needs the packages apex and transformer_engine; run in the container, "
            "or set cluster.fused_kernels=false"
        )
    return "\n".join(problems) or None


def is_first_rank() -> bool:
    """Whether this process is global rank 0, by what its launcher says; true for a process that nobody launched."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def is_launched(cluster: ClusterSettings) -> bool:
    """Whether a launcher (``torchrun``, ``srun``, ``mpirun`` or ``launch_ranks``) made this process a rank of the run.

    Raises:
        SystemExit: another number of ``srun`` tasks than the settings describe.
    """
    return "WORLD_SIZE" in os.environ or _is_slurm_rank(cluster.nodes * cluster.devices_per_node)


def launch_ranks(
    cluster: ClusterSettings,
    module: str,
    arguments: Sequence[str],
    hand_over: Callable[[], None] = lambda: None,
    again_if: Path | None = None,
    *,
    mpi: bool = False,
) -> None:
    """Return in every process of the run; writes nothing.

    With more than one process on one machine and no launcher in sight (see ``is_launched``), the command runs
    itself again under ``local_launcher`` and does not return; ``hand_over`` is called before. When the ranks have ended
    well and the file ``again_if`` is there, the command runs once more, in one process.

    Args:
        mpi: the ranks must know each other by MPI too (TensorRT-LLM): ``mpirun`` starts them.

    Raises:
        SystemExit: several nodes without a launcher, or another number of ``srun`` tasks than the settings describe.
    """
    wanted = cluster.nodes * cluster.devices_per_node
    if is_launched(cluster):
        _die_with_launcher()
        return
    # In a batch script, an salloc shell or a single task of srun, Lightning would still count the allocation's tasks.
    os.environ.pop("SLURM_NTASKS", None)
    if wanted == 1:
        return
    if cluster.nodes > 1:
        raise SystemExit(
            f"cluster.nodes={cluster.nodes}: start one process per device with srun or torchrun, "
            "or set cluster.nodes=1 to run on this machine"
        )
    os.environ[_LAUNCHED] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cluster.threads_per_process, 1)))
    sys.stdout.flush()
    hand_over()
    launcher = [
        "-m",
        "recipes.backends.local_launcher",
        "mpirun" if mpi else "torchrun",
        str(wanted),
        str(again_if or ""),
    ]
    os.execv(sys.executable, [sys.executable, *launcher, module, *arguments])


def _is_slurm_rank(wanted: int) -> bool:
    """Whether this process is one of the tasks that one ``srun`` started; only their environment counts a step's."""
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks not in (1, wanted):
        raise SystemExit(
            f"srun started {tasks} tasks, but cluster.nodes x cluster.devices_per_node is {wanted}; start "
            f"{wanted} tasks (srun --ntasks) or one"
        )
    return tasks > 1


def _die_with_launcher() -> None:
    """Ask the kernel to kill this rank with its launcher, which SIGKILL gives no time to do so."""
    if _LAUNCHED in os.environ:  # mpirun stands between them, and ends with the launcher
        die_with_parent(None if MPIRUN["RANK"] in os.environ else int(os.environ[_LAUNCHED]))
