"""What Open MPI's ``mpirun`` says of a process, under the names that torch and the rest of the recipe read."""

from __future__ import annotations

import os

MPIRUN = {
    "RANK": "OMPI_COMM_WORLD_RANK",
    "WORLD_SIZE": "OMPI_COMM_WORLD_SIZE",
    "LOCAL_RANK": "OMPI_COMM_WORLD_LOCAL_RANK",
    "LOCAL_WORLD_SIZE": "OMPI_COMM_WORLD_LOCAL_SIZE",
}
"""torch's variable -> Open MPI's (docs.open-mpi.org, "Environment variables set by mpirun")."""


def take_ranks_of_mpirun() -> None:
    """The first thing of a command; nothing where another launcher has spoken, or none has.

    Raises:
        SystemExit: ranks on several machines, and no address of the first one.
    """
    if "WORLD_SIZE" in os.environ or not all(name in os.environ for name in MPIRUN.values()):
        return
    os.environ.update({ours: os.environ[theirs] for ours, theirs in MPIRUN.items()})
    if os.environ["WORLD_SIZE"] != os.environ["LOCAL_WORLD_SIZE"] and "MASTER_ADDR" not in os.environ:
        raise SystemExit(
            f"mpirun started {os.environ['WORLD_SIZE']} ranks on several machines; expected the address of the first "
            "one: mpirun -x MASTER_ADDR=HOST ..., or srun"
        )
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29500")
