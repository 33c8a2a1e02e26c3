"""What a loaded engine keeps of a sampling, and how it is given back.

TensorRT-LLM's Python session allocates the key/value cache and its buffers in ``setup``, which every ``generate`` calls
anew, and keeps them when the batch is decoded (``runtime/generation.py``, read at commits before and after 0.17): tens
of GiB that the update has need of.
"""

from __future__ import annotations

from typing import Any

import torch
from nemo_aligner.utils.utils import clear_memory

GIB = 2**30
_POOLS = (
    "_memory_pool_allocator",
    "_cross_memory_pool_allocator",
    "pools_kv_cache_manager",
    "cross_pools_kv_cache_manager",
)


class EngineKeepsMemory(RuntimeError):
    """The GPU does not have the room for the update that the memory plan counts on."""


def release_cache(decoder: Any) -> None:
    """Drop what the next ``setup`` allocates again.

    Args:
        decoder: ``tensorrt_llm.runtime.ModelRunner``.
    """
    session = decoder.session
    session.buffer = {}
    for name in _POOLS:
        if hasattr(session, name):
            setattr(session, name, None)
    clear_memory()


class RoomWatch:
    """Whether the GPU is as free after a sampling as it was with the engine just loaded."""

    def __init__(self, spare_gib: float) -> None:
        """Args:
        spare_gib: what may be missing, GiB: the plan's reserve.
        """
        self._spare_gib = spare_gib
        self._loaded: int | None = None

    def loaded(self) -> None:
        """The engine is on the GPU and has not sampled since."""
        torch.cuda.empty_cache()
        self._loaded = _free_bytes()

    def check(self) -> None:
        """After the engine has given back what it sampled with, and before anything else comes; once after a load.

        Raises:
            EngineKeepsMemory: more is missing than the plan has in reserve.
        """
        if self._loaded is None:
            return
        missing = (self._loaded - _free_bytes()) / GIB
        self._loaded = None
        if missing > self._spare_gib:
            raise EngineKeepsMemory(
                f"the rollout engine keeps {missing:.1f} GiB of the GPU after sampling; expected at most "
                f"cluster.memory_reserve_gib={self._spare_gib:g} (its key/value cache is dropped by the names that "
                "TensorRT-LLM's session had in the versions read). trtllm.unload_after_sampling=true takes the whole "
                "engine from the GPU"
            )


def _free_bytes() -> int:
    """Of the GPU; 0 where there is none."""
    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else 0
