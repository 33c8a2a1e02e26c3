"""``tensorrt_llm._common.check_max_num_tokens``: its cases without a warning alone left out."""

from __future__ import annotations

from tensorrt_llm.logger import logger


def check_max_num_tokens(
    max_num_tokens, opt_num_tokens, max_batch_size, max_input_len, max_seq_len, max_beam_width,
    remove_input_padding, enable_context_fmha, tokens_per_block, multiple_profiles,
):  # fmt: skip
    if not remove_input_padding:
        return max_num_tokens, opt_num_tokens
    if max_num_tokens is None:
        max_num_tokens = max_seq_len * max_batch_size
        logger.warning("max_num_tokens is not set, setting to max_batch_size*max_seq_len.")
    if opt_num_tokens is None and not multiple_profiles:
        opt_num_tokens = min(max_batch_size * max_beam_width, max_num_tokens)
    if max_num_tokens > max_seq_len * max_batch_size:
        max_num_tokens = max_seq_len * max_batch_size
    if max_num_tokens < max_input_len and not enable_context_fmha:
        max_num_tokens = max_input_len
    elif max_num_tokens < tokens_per_block and enable_context_fmha:
        logger.warning(f"max_num_tokens ({max_num_tokens}) should be at least tokens_per_block ({tokens_per_block})")
        max_num_tokens = tokens_per_block
    return max_num_tokens, min(opt_num_tokens, max_num_tokens) if opt_num_tokens is not None else None
