"""Bytes of keys and values while an engine samples."""

from __future__ import annotations

from recipes.memory.architecture import Architecture

TOKENS_PER_BLOCK = 128
"""Of TensorRT-LLM's paged cache: the default of Megatron-core 0.11's ``TRTLLMHelper.build_and_save_engine``."""


def token_bytes(model: Architecture, tensor: int, layers: int, width: int) -> int:
    """``2 b k layers / t``: keys and values of one token on one rank (57,344 for Qwen2.5-Math-7B in bf16, t = 1).

    Args:
        layers: that the rank holds.
        width: bytes of a number, b.
    """
    return 2 * width * model.kv_channels // tensor * layers


def megatron_bytes(per_token: int, rows: int, length: int) -> int:
    """``rows x length``, allocated at the first token (Megatron-core 0.11, ``transformer/attention.py``).

    Args:
        per_token: ``token_bytes``.
        length: longest prompt of the batch and the response's budget.
    """
    return rows * length * per_token


def trtllm_bytes(per_token: int, rows: int, length: int) -> int:
    """``rows x ceil(length / 128) x 128``: whole blocks for every sequence before the first token.

    TensorRT-LLM's Python ``GenerationSession.setup`` takes the blocks of the longest prompt of the batch and the
    budget, for all rows, at every call.
    """
    return megatron_bytes(per_token, rows, -(-length // TOKENS_PER_BLOCK) * TOKENS_PER_BLOCK)
