"""Patches of torch: calls that raise on a machine without CUDA answer with their CPU equivalent.

Nothing that works today changes: every replaced name raises (or cannot be constructed) without CUDA, and
`torch.cuda.is_available()` goes on answering False.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import torch

from recipes.backends.cpu.condition import GPU_ONLY
from recipes.backends.cpu.patch import Patch

LIBRARY = "torch >=2.6"
NO_LONGER_CUDA_ONLY = "NeMo-Aligner and Megatron take the device from the accelerator API instead of naming CUDA"
TENSOR_TYPES = ("FloatTensor", "LongTensor", "ByteTensor")


def _gpu_packages() -> None:
    for name in GPU_ONLY:
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            sys.modules[name] = None  # importing it raises ModuleNotFoundError


def _current_device() -> None:
    cpu: Any = torch.device("cpu")  # callers hand it on as `device=`, where an index would mean a CUDA device
    torch.cuda.current_device = lambda: cpu


def _synchronize() -> None:
    torch.cuda.synchronize = lambda device=None: None


def _tensor_cuda() -> None:
    def cuda(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self

    torch.Tensor.cuda = cuda


class _CpuConstructor(type):
    """Constructing makes the CPU tensor; no CPU tensor counts as an instance, as before the patch."""

    def __call__(cls, *args: Any, **kwargs: Any) -> torch.Tensor:
        return getattr(torch, cls.__name__)(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


def _tensor_types() -> None:
    for name in TENSOR_TYPES:
        setattr(torch.cuda, name, _CpuConstructor(name, (), {"__module__": "torch.cuda"}))


PATCHES = (
    Patch(
        "gpu_packages",
        "apex, transformer_engine",
        (),
        "where they are installed, the frameworks pick their kernels, which need CUDA",
        "as without them: torch kernels",
        "Megatron-core and NeMo choose kernels by device",
        _gpu_packages,
        before_import=True,
    ),
    Patch(
        "current_device",
        LIBRARY,
        ("torch.cuda.current_device",),
        'device=torch.cuda.current_device(), the frameworks\' way to say "here", raises',
        "none",
        NO_LONGER_CUDA_ONLY,
        _current_device,
    ),
    Patch(
        "synchronize",
        LIBRARY,
        ("torch.cuda.synchronize",),
        "timers, training steps and checkpoint writers call it: raises",
        "none",
        NO_LONGER_CUDA_ONLY,
        _synchronize,
    ),
    Patch(
        "tensor_cuda",
        LIBRARY,
        ("torch.Tensor.cuda",),
        "tensor.cuda() and module.cuda() raise",
        "none: the tensor itself",
        NO_LONGER_CUDA_ONLY,
        _tensor_cuda,
    ),
    Patch(
        "tensor_types",
        LIBRARY,
        tuple(f"torch.cuda.{name}" for name in TENSOR_TYPES),
        "torch.cuda.LongTensor([...]) and its like raise",
        "none",
        NO_LONGER_CUDA_ONLY,
        _tensor_types,
    ),
)
