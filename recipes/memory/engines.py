"""Bytes that the rollout engines need beside weights and cache, on one rank."""

from __future__ import annotations

from recipes.memory.architecture import Architecture

TENSORRT_ELEMENTS = 2**31 - 1
"""Of one TensorRT tensor at most."""
PREFILL_TOKENS = 16384
"""Prompt tokens that the Megatron engine reads at a time. It makes the logits of all of them: 3.5 GiB in bf16 and fp32
for 152,064 columns over 4 ranks."""
DRAW_BYTES = 48
"""For one logit of a row: gathered in fp32, divided by the temperature, softmax, sorted with its index, cumulated in
fp64 (``backends/aligner/drawing.py``)."""


def prefill_rows(rows: int, prompt_length: int) -> int:
    """Rows whose prompts the Megatron engine reads at a time: as many as ``PREFILL_TOKENS`` holds, and at least one."""
    return min(rows, max(1, PREFILL_TOKENS // prompt_length))


def megatron_bytes(model: Architecture, tensor: int, *, tokens: int, rows: int, key_bytes: int, width: int) -> int:
    """The larger of prefill and decoding; sequence parallelism is off while the model samples::

        prefill   tokens (b 2h + max(V / t (4 + b), b (2h + 3f / t)))     hidden states; logits of all positions (the
                                                                          model's and fp32), or one layer's MLP
        decoding  48 rows V + keys of a layer                             the draw; the rotated copy of a layer's keys

    Args:
        tokens: of one prefill pass.
        rows: decoded at a time.
        key_bytes: of one layer's keys in the cache: Megatron-core 0.11 caches them unrotated.
        width: bytes of a number, b.
    """
    hidden = width * 2 * model.hidden_size
    logits = model.vocab_size // tensor * (4 + width)
    mlp = hidden + width * 3 * model.ffn_hidden_size // tensor
    return max(tokens * (hidden + max(logits, mlp)), DRAW_BYTES * rows * model.vocab_size + key_bytes)


def mlp_buffer_bytes(model: Architecture, tensor: int, tokens: int, width: int = 2) -> int:
    """``b tokens f / t``, a buffer of a TensorRT-LLM engine's MLP: 9.8 GiB for 8 sequences of 34,816 tokens, t = 1."""
    return width * tokens * model.ffn_hidden_size // tensor


def trtllm_buffer_bytes(model: Architecture, tensor: int, *, max_num_tokens: int, rows: int, width: int = 2) -> int:
    """``max_num_tokens b (4h + 3f / t) + 12 rows V``, an upper estimate.

    Hidden states, their norm, QKV with the attention's output, and three buffers of the MLP (gate, up, product) for all
    tokens of a pass: the Python runtime gives the prompts of a whole batch to the engine at once. Only the last
    position of each row has logits, of which sampling makes copies. TensorRT decides at build time which of them share
    memory.
    """
    hidden = width * 4 * model.hidden_size * max_num_tokens
    return hidden + 3 * mlp_buffer_bytes(model, tensor, max_num_tokens, width) + 12 * rows * model.vocab_size


def trtllm_most_tokens(ffn_hidden_size: int, tensor: int, fused: int = 2) -> int:
    """``floor((2^31 - 1) / (fused f / t))``: tokens of a pass whose widest tensor, the MLP's, TensorRT can still hold.

    A larger engine fails when it runs, not when it is built.

    Args:
        ffn_hidden_size: f.
        fused: 2 where the build fuses the two inputs of the gated MLP into one tensor, as TensorRT-LLM 0.17 does
            unless told otherwise; with 1 it is 113,359 for Qwen2.5-Math-7B and t = 1.
    """
    return TENSORRT_ELEMENTS // (fused * ffn_hidden_size // tensor)
