"""Optimizer states in CPU memory while something else needs the GPU.

NeMo-Aligner's ``offload_distributed_adam`` knows Apex's optimizer alone. Megatron-core's distributed optimizer keeps
two Adam moments and, beside bf16 weights, an fp32 copy of them: 12 bytes a weight over the data-parallel ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def move_optimizer_states(optimizer: Any, device: torch.device | int | str) -> int:
    """Move moments and fp32 weights; values and identities of the tensors stay.

    fp32 weights that are views of the model's own (single precision) stay where they are.

    Args:
        optimizer: NeMo's ``McoreDistributedOptimizer``, or None where there is none.
        device: where to.

    Returns:
        Bytes that moved.
    """
    moved = 0
    for tensor in _states(optimizer):
        there = tensor.data.to(device)
        if there.data_ptr() != tensor.data_ptr():
            moved += there.numel() * there.element_size()
            tensor.data = there
    return moved


def _states(optimizer: Any) -> Iterator[torch.Tensor]:
    inner = getattr(optimizer, "mcore_optimizer", None)
    for one in getattr(inner, "chained_optimizers", [inner]):
        adam = getattr(one, "optimizer", None)
        for state in adam.state.values() if adam is not None else ():
            yield from (value for value in state.values() if torch.is_tensor(value))
        for group in getattr(one, "shard_fp32_from_float16_groups", ()):
            yield from group
