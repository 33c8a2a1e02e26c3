"""Weights that turn the token-level loss into a plain sum over tokens (AceReason-Nemotron-1.1 §3.2.1, Eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def token_weights(
    response_mask: Tensor,
    group_index: Tensor,
    num_groups_global: int,
    *,
    normalization: Literal["group", "batch"],
    total_tokens_global: int | None,
) -> Tensor:
    """The weight w of every token, such that ``loss = -sum(w * A * ratio)`` over all tokens of the global batch.

    ``group`` is Eq. 1: the tokens of a prompt's kept rollouts share its denominator, and the expectation over prompts
    is the mean over the P prompts of the global batch::

        w[i, t] = 1 / (P * sum of |o_j| over the kept rollouts j of i's prompt)

    ``batch`` divides by every token of the global batch, so that a prompt counts by its length::

        w[i, t] = 1 / (sum of |o_j| over all kept rollouts of the global batch)

    Because the denominators are in the weights, any split of the rows into micro-batches or data-parallel ranks gives
    the same sum. Two duties follow for the caller. Gradients must be SUMMED over micro-batches and ranks (Megatron's
    mean has to be undone). Denominators are those of the rows given here, so this function gets whole groups, all of a
    rank's rollouts before they are cut into micro-batches; a group never straddles data-parallel ranks.

    A prompt whose rollouts were all filtered adds nothing to the sum and still counts in P: the prompts that remain
    keep the weight they would have had, as in Eq. 1, where P is the batch that was drawn.

    Args:
        response_mask: bool [B, S], loss positions; all False in a row that overlong filtering took out.
        group_index: long [B], equal for the rollouts of one prompt; any values.
        num_groups_global: P, prompts of the global batch over all ranks.
        normalization: ``group`` or ``batch``.
        total_tokens_global: True positions of ``response_mask`` over all ranks; ``batch`` needs it, ``group`` takes
            None or ignores it.

    Returns:
        float32 [B, S], 0 outside of ``response_mask``.

    Raises:
        ValueError: shapes, dtypes or counts are not as above; the message names the argument.
    """
    if response_mask.ndim != 2 or response_mask.dtype != torch.bool:
        raise ValueError(f"response_mask must be bool [B, S], found {response_mask.dtype} {list(response_mask.shape)}")
    if group_index.shape != response_mask.shape[:1] or group_index.is_floating_point():
        raise ValueError(
            f"group_index must be long [B] with B = {response_mask.shape[0]}, "
            f"found {group_index.dtype} {list(group_index.shape)}"
        )
    if normalization == "group":
        return _group_weights(response_mask, group_index, num_groups_global)
    if normalization == "batch":
        return _batch_weights(response_mask, total_tokens_global)
    raise ValueError(f"normalization must be 'group' or 'batch', found {normalization!r}")


def _group_weights(response_mask: Tensor, group_index: Tensor, num_groups_global: int) -> Tensor:
    groups, row_group = torch.unique(group_index, return_inverse=True)
    if num_groups_global < len(groups):
        raise ValueError(
            f"num_groups_global counts the prompts of all ranks, found {num_groups_global} "
            f"although group_index alone names {len(groups)}"
        )
    row_tokens = response_mask.sum(dim=1)
    group_tokens = torch.zeros_like(groups, dtype=row_tokens.dtype).index_add_(0, row_group, row_tokens)
    # A group without tokens has no position to give its weight to; the clamp only keeps 1 / 0 out.
    weight = 1.0 / (group_tokens.clamp(min=1).double() * max(num_groups_global, 1))
    return response_mask * weight.float()[row_group].unsqueeze(1)


def _batch_weights(response_mask: Tensor, total_tokens_global: int | None) -> Tensor:
    local_tokens = int(response_mask.sum())
    if total_tokens_global is None or total_tokens_global < local_tokens:
        raise ValueError(
            "normalization 'batch' needs total_tokens_global, the loss positions of all ranks: "
            f"found {total_tokens_global} although response_mask alone has {local_tokens}"
        )
    return response_mask.float() / max(total_tokens_global, 1)
