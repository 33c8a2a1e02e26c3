"""Bytes of the logits and of what a loss makes of them, on one tensor-parallel rank of the last pipeline stage.

In bf16 Megatron's ``Float16Module`` turns the model's logits into fp32 before the loss sees them.
"""

from __future__ import annotations

FP32 = 4
LOSS_CHUNK_TOKENS = 512
"""Positions that ``objectives/log_probs.py`` works on at a time (its ``DEFAULT_CHUNK_TOKENS``)."""


def fp32_logits_bytes(vocab_size: int, tensor: int, tokens: int) -> int:
    """``4 tokens V / t``: 18.6 GiB for 32,768 tokens of 152,064 columns on one rank."""
    return FP32 * tokens * vocab_size // tensor


def grpo_loss_bytes(vocab_size: int, tensor: int, tokens: int) -> int:
    """``4 V / t (2 tokens + min(512, tokens))``: the logits, their gradient, and one block of the softmax, all fp32.

    The peak is in the backward pass of ``objectives/log_probs.py``: it keeps the logits and recomputes the softmax
    block by block into the gradient. The forward pass holds less: the model's bf16 logits beside the fp32 ones, then
    two blocks.
    """
    return fp32_logits_bytes(vocab_size, tensor, 2 * tokens + min(LOSS_CHUNK_TOKENS, tokens))


def sft_loss_bytes(vocab_size: int, tensor: int, tokens: int, width: int) -> int:
    """``tokens V / t (4 + b)``: the softmax in fp32, in place, beside the model's logits or their gradient in bf16.

    Megatron-core 0.11, ``tensor_parallel/cross_entropy.py``: subtraction, exponential, division and the gradient all
    happen in one buffer, which is the logits themselves where the model is in fp32 (b counts as 0 then).

    Args:
        width: bytes of a number of the model, b.
    """
    return tokens * vocab_size // tensor * (FP32 + (0 if width == FP32 else width))
