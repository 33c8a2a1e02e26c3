"""Which positions of the logits are trained on, and towards which token.

A causal model's logits at position t are about token t + 1. Worked example, one row of S = 7 with a prompt of 3 tokens
(p), a response of 2 tokens and its end token (r0 r1 e), and 1 token of padding (x)::

    position t           0    1    2    3    4    5    6
    tokens               p0   p1   p2   r0   r1   e    x      prompt_length 3, total_length 6
    logits at t are of   p1   p2   r0   r1   e    x    -
    targets [S - 1]      p1   p2   r0   r1   e    x
    mask    [S - 1]      F    F    T    T    T    F           True for t = prompt_length - 1 … total_length - 2

As many positions are True as the response has tokens, the end token included. Logits, log-probs, entropy, weights and
mask are all [B, S - 1, …]: run the model on ``tokens[:, :-1]`` rather than cutting the logits of S positions, whose
gradient autograd would have to copy into a second buffer of the logits' size.
"""

from __future__ import annotations

import torch
from torch import Tensor


def next_token_targets(tokens: Tensor) -> Tensor:
    """Targets long [B, S - 1] of right-padded ``tokens`` long [B, S]: a view, shifted by one."""
    if tokens.ndim != 2 or tokens.shape[1] < 2:
        raise ValueError(f"tokens must be [B, S] with S >= 2, found {list(tokens.shape)}")
    return tokens[:, 1:]


def response_mask(prompt_lengths: Tensor, total_lengths: Tensor, sequence_length: int) -> Tensor:
    """Loss positions of right-padded sequences, aligned with :func:`next_token_targets`.

    Args:
        prompt_lengths: long [B], tokens of the prompt, at least 1 (the first response token needs a position before
            it).
        total_lengths: long [B], tokens of prompt and response, padding not counted; equal to the prompt's length for
            an empty response, whose row is then all False.
        sequence_length: S, columns of the token tensor.

    Returns:
        bool [B, S - 1], True where the target is a token of the response.

    Raises:
        ValueError: ``1 <= prompt_length <= total_length <= sequence_length`` fails; names the first such row.
    """
    if prompt_lengths.ndim != 1 or prompt_lengths.shape != total_lengths.shape:
        raise ValueError(
            "prompt_lengths and total_lengths must both be [B], "
            f"found {list(prompt_lengths.shape)} and {list(total_lengths.shape)}"
        )
    wrong = (prompt_lengths < 1) | (prompt_lengths > total_lengths) | (total_lengths > sequence_length)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"row {row}: 1 <= prompt_length <= total_length <= sequence_length must hold, found "
            f"prompt_length {int(prompt_lengths[row])}, total_length {int(total_lengths[row])}, "
            f"sequence_length {sequence_length}"
        )
    target_position = torch.arange(1, sequence_length, device=prompt_lengths.device)
    return (target_position >= prompt_lengths.unsqueeze(1)) & (target_position < total_lengths.unsqueeze(1))
