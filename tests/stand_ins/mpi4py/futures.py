"""A stand-in for mpi4py.futures: only named in an annotation."""


class MPIPoolExecutor:
    """Never started."""
