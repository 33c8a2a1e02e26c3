"""Bytes of what stays on a rank from step to step: weights, gradients, optimizer."""

from __future__ import annotations

BYTES = {"32": 4, "bf16": 2, "fp32": 4}
"""Of one number, by the word that the settings have for it."""


def weight_bytes(parameters: int, precision: str) -> int:
    """``parameters x (2 in bf16, 4 in fp32)``: 14.19 GiB for the 7,615,616,512 of Qwen2.5-Math-7B in bf16.

    The distributed optimizer keeps them in one buffer and frees the model's own
    (Megatron-core 0.11, ``distributed/param_and_grad_buffer.py``: ``param_data``).
    """
    return parameters * BYTES[precision]


def gradient_bytes(parameters: int, precision: str, gradient_dtype: str) -> int:
    """``parameters x (4 in fp32, else that of the weights)``, on every data-parallel rank.

    The buffer is whole and stays between steps; only the optimizer's states are cut (Megatron-core 0.11,
    ``distributed/param_and_grad_buffer.py``: ``grad_data``; ``grad_reduce_in_fp32`` decides its type).
    """
    return parameters * (4 if gradient_dtype == "fp32" else BYTES[precision])


def optimizer_bytes(parameters: int, precision: str, shards: int) -> int:
    """``parameters x (4 master + 4 + 4 moments) / shards``; fp32 weights are their own master.

    Rajbhandari et al. 2020 (ZeRO, stage 1): AdamW's two moments and the fp32 copy of bf16 weights, all of them fp32,
    cut over the data-parallel ranks (Megatron-core 0.11, ``optimizer/distrib_optimizer.py``).

    Args:
        shards: data-parallel ranks; 1 for an optimizer that is not distributed.
    """
    each = 8 if precision == "32" else 12
    return -(-parameters * each // shards)
