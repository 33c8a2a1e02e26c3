"""A stand-in for TensorRT-LLM 0.17.0; see ``tests/stand_ins/README.md``."""

from __future__ import annotations

__version__ = "0.17.0.post1"

from tensorrt_llm import models, runtime
from tensorrt_llm._utils import mpi_barrier, mpi_rank, mpi_world_size
from tensorrt_llm.logger import logger
from tensorrt_llm.mapping import Mapping

__all__ = ["Mapping", "logger", "models", "mpi_barrier", "mpi_rank", "mpi_world_size", "runtime"]
