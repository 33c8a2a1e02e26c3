"""``tensorrt_llm._utils``: types, MPI as far as ``torchrun``'s environment tells of it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorrt as trt
import torch


def str_dtype_to_torch(dtype: str) -> torch.dtype:
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[dtype]


def torch_dtype_to_trt(dtype: torch.dtype) -> trt.DataType:
    return trt.DataType(dtype)


def numpy_to_torch(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x)


def torch_to_numpy(x: torch.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


def pad_vocab_size(vocab_size: int, tp_size: int) -> int:
    return -(-vocab_size // tp_size) * tp_size


class _Comm:
    """An MPI communicator: only split."""

    def Split(self, color: int, key: int) -> _Comm:
        return self


def mpi_comm() -> Any:
    return _Comm()


def mpi_rank() -> int:
    return int(os.environ.get("RANK", "0"))


def mpi_world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def mpi_barrier() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
