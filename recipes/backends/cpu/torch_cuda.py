"""Patches of torch: calls that raise on a machine without CUDA answer with their CPU equivalent.

Nothing that works today changes: every replaced name raises (or cannot be constructed) without CUDA, and
`torch.cuda.is_available()` goes on answering False.
"""

from __future__ import annotations

from typing import Any

import torch

from recipes.backends.cpu.patch import Patch

LIBRARY = "torch >=2.6"
NO_LONGER_CUDA_ONLY = "NeMo-Aligner and Megatron take the device from the accelerator API instead of naming CUDA"
TENSOR_TYPES = ("FloatTensor", "LongTensor", "IntTensor", "BoolTensor", "ByteTensor")


def _current_device() -> None:
    cpu = torch.device("cpu")
    torch.cuda.current_device = lambda: cpu


def _synchronize() -> None:
    torch.cuda.synchronize = lambda device=None: None


def _set_device() -> None:
    torch.cuda.set_device = lambda device: None


def _mem_get_info() -> None:
    torch.cuda.mem_get_info = lambda device=None: (0, 0)


def _tensor_cuda() -> None:
    def cuda(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self

    torch.Tensor.cuda = cuda


def _module_cuda() -> None:
    def cuda(self: torch.nn.Module, device: Any = None) -> torch.nn.Module:
        return self

    torch.nn.Module.cuda = cuda


class _CpuConstructor(type):
    """Constructing makes the CPU tensor; no CPU tensor counts as an instance, as before the patch."""

    def __call__(cls, *args: Any, **kwargs: Any) -> torch.Tensor:
        return getattr(torch, cls.__name__)(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


def _tensor_types() -> None:
    for name in TENSOR_TYPES:
        setattr(torch.cuda, name, _CpuConstructor(name, (), {"__module__": "torch.cuda"}))


def _patch(name: str, attribute: str, why: str, apply: Any) -> Patch:
    return Patch(name, LIBRARY, (attribute,), why, "none", NO_LONGER_CUDA_ONLY, apply)


PATCHES = (
    _patch("current_device", "torch.cuda.current_device", "device=torch.cuda.current_device() raises", _current_device),
    _patch("synchronize", "torch.cuda.synchronize", "raises", _synchronize),
    _patch("set_device", "torch.cuda.set_device", "raises", _set_device),
    _patch("mem_get_info", "torch.cuda.mem_get_info", "raises", _mem_get_info),
    _patch("tensor_cuda", "torch.Tensor.cuda", "raises", _tensor_cuda),
    _patch("module_cuda", "torch.nn.Module.cuda", "raises", _module_cuda),
    Patch(
        "tensor_types",
        LIBRARY,
        tuple(f"torch.cuda.{name}" for name in TENSOR_TYPES),
        "torch.cuda.LongTensor([...]) raises",
        "none",
        NO_LONGER_CUDA_ONLY,
        _tensor_types,
    ),
)
