"""A stand-in for TensorRT 10.8's Python package: what NeMo's refit and ``recipes.backends.trtllm.refit`` call.

An engine is a dictionary of named weights with the configuration of its network; see ``tests/stand_ins/README.md``.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import weakref
from enum import Enum
from typing import Any, ClassVar

import torch

STALE_REFIT = "STAND_IN_STALE_REFIT"
"""Environment variable: a refitter that says yes and changes nothing, as a bug would."""


class DataType(Enum):
    """Types of tensors."""

    FLOAT = torch.float32
    HALF = torch.float16
    BF16 = torch.bfloat16
    INT32 = torch.int32


class TensorLocation(Enum):
    """Where a pointer points."""

    DEVICE = 0
    HOST = 1


class Logger:
    """Only constructed."""

    ERROR = 1

    def __init__(self, min_severity: int = ERROR) -> None:
        self.min_severity = min_severity


class Weights:
    """A typed piece of memory."""

    def __init__(self, type: DataType, ptr: int, count: int) -> None:
        self.dtype, self.ptr, self.size = type, ptr, count

    def tensor(self) -> torch.Tensor:
        """A copy of what it points to, flat."""
        bytes_ = ctypes.string_at(self.ptr, self.size * self.dtype.value.itemsize)
        return torch.frombuffer(bytearray(bytes_), dtype=self.dtype.value)


class ICudaEngine:
    """A deserialised engine: ``weights`` in memory, whatever lies on disk."""

    alive: ClassVar[weakref.WeakSet[ICudaEngine]] = weakref.WeakSet()
    """Every engine of the process that something still holds; not in the real package."""

    def __init__(self, data: bytes) -> None:
        self.alive.add(self)
        content = pickle.loads(data)
        self.weights: dict[str, torch.Tensor] = content["weights"]
        self.refittable: bool = content["refittable"]
        self.streamable_weights_size = 0


class Runtime:
    """Deserialises."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine:
        return ICudaEngine(bytes(serialized_engine))


class Refitter:
    """Sets weights, and makes the engine use them when ``refit_cuda_engine`` is called."""

    def __init__(self, engine: ICudaEngine, logger: Logger) -> None:
        assert engine.refittable, "the engine was built without the refit flag"
        self._engine = engine
        self._set: dict[str, torch.Tensor] = {}

    def get_all_weights(self) -> list[str]:
        return list(self._engine.weights)

    def get_weights_prototype(self, weights_name: str) -> Weights:
        tensor = self._engine.weights[weights_name]
        return Weights(DataType(tensor.dtype), 0, tensor.numel())

    def set_named_weights(self, name: str, weights: Weights, location: TensorLocation) -> bool:
        """False where the name, the type or the number of elements is another."""
        old = self._engine.weights.get(name)
        if old is None or DataType(old.dtype) != weights.dtype or old.numel() != weights.size:
            return False
        self._set[name] = weights.tensor().reshape(old.shape)
        return True

    def refit_cuda_engine(self) -> bool:
        if STALE_REFIT not in os.environ:
            self._engine.weights.update(self._set)
        return True
