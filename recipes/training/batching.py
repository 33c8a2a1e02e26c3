"""Graded groups -> the tensors of one update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch

from recipes.objectives.advantages import group_advantages
from recipes.objectives.policy_batch import PolicyBatch
from recipes.objectives.response_mask import response_mask
from recipes.objectives.token_weights import token_weights
from recipes.records import Group
from recipes.settings.schema import GrpoSettings
from recipes.training.ports import Ranks


def policy_batch(
    groups: Sequence[Group], settings: GrpoSettings, ranks: Ranks, *, pad_token: int, width_multiple: int
) -> PolicyBatch:
    """The batch of one replica: advantages (Eq. 2) and token weights (the denominators of Eq. 1).

    Args:
        groups: this replica's whole groups, each of ``settings.rollouts_per_prompt`` rollouts.
        ranks: to count tokens over all replicas where ``token_normalization`` is ``batch``.
        pad_token: fills the right of short rows.
        width_multiple: the padded width is a multiple of it (sequence parallelism cuts the sequence).
    """
    rewards = torch.tensor([group.rewards for group in groups], dtype=torch.float32)
    truncated = torch.tensor([group.truncated for group in groups])
    scored = group_advantages(
        rewards,
        truncated,
        overlong_filtering=settings.overlong_filtering,
        overlong_in_group_statistics=settings.overlong_in_group_statistics,
    )
    tokens, lengths, mask = padded_rollouts(groups, pad_token=pad_token, width_multiple=width_multiple)
    loss_mask = mask & scored.kept.reshape(-1, 1)
    total_tokens = int(ranks.sum_over_replicas({"tokens": float(loss_mask.sum())})["tokens"])
    weights = token_weights(
        loss_mask,
        torch.arange(len(groups)).repeat_interleave(settings.rollouts_per_prompt),
        settings.prompts_per_step,
        normalization=cast(Literal["group", "batch"], settings.token_normalization),
        total_tokens_global=total_tokens,
    )
    return PolicyBatch(tokens, lengths, mask, weights, scored.advantages.reshape(-1))


def entropy_batch(groups: Sequence[Group], *, pad_token: int, width_multiple: int) -> PolicyBatch:
    """Rollouts to look at, not to learn from: weights and advantages are 0."""
    tokens, lengths, mask = padded_rollouts(groups, pad_token=pad_token, width_multiple=width_multiple)
    return PolicyBatch(tokens, lengths, mask, torch.zeros(mask.shape), torch.zeros(len(lengths)))


def padded_rollouts(
    groups: Sequence[Group], *, pad_token: int, width_multiple: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``tokens`` [B, S], ``lengths`` [B] and ``response_mask`` [B, S-1] of a ``PolicyBatch``."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    prompt_lengths = torch.tensor([len(r.prompt_tokens) for r in rollouts])
    lengths = prompt_lengths + torch.tensor([len(r.response_tokens) for r in rollouts])
    width = -(-int(lengths.max()) // width_multiple) * width_multiple
    tokens = torch.full((len(rollouts), width), pad_token, dtype=torch.long)
    for row, rollout in enumerate(rollouts):
        ids = (*rollout.prompt_tokens, *rollout.response_tokens)
        tokens[row, : len(ids)] = torch.tensor(ids)
    return tokens, lengths, response_mask(prompt_lengths, lengths, width)
