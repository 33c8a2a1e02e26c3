"""NeMo's and Megatron's export code names CUDA in two places that a machine without it cannot follow.

The loader calculates with ``torch.cuda.current_device()``, a number on a GPU and ``torch.device("cpu")`` in the CPU
room (``recipes/backends/cpu``); the converter asks for pinned memory. Both see torch through a proxy here.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import torch

LOADER = "nemo.export.trt_llm.tensorrt_llm_run"
CONVERTER = "megatron.core.export.trtllm.trtllm_weights_converter.distributed_trtllm_model_weights_converter"


class _Torch:
    def __init__(self, **replaced: Any) -> None:
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _unpinned(*size: Any, pin_memory: bool = False, **options: Any) -> torch.Tensor:
    return torch.empty(*size, **options)


def let_nemo_run_without_cuda() -> None:
    """Does nothing on a machine with CUDA, and nothing the second time."""
    if torch.cuda.is_available():
        return
    cuda = SimpleNamespace(current_device=lambda: 0, empty_cache=lambda: None, synchronize=lambda: None)
    importlib.import_module(LOADER).torch = _Torch(cuda=cuda)
    importlib.import_module(CONVERTER).torch = _Torch(empty=_unpinned)
