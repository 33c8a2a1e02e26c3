"""The tensors of one update: what training builds from graded groups and a policy turns into a gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class PolicyBatch:
    """The rollouts of one data-parallel rank, right-padded, ready for the loss.

    ``B`` rollouts, ``S`` tokens of prompt and response; column ``t`` of the ``[B, S-1]`` tensors belongs to the
    prediction of ``tokens[:, t + 1]``.
    """

    tokens: torch.Tensor
    """[B, S] int64."""
    lengths: torch.Tensor
    """[B] int64, prompt and response together."""
    response_mask: torch.Tensor
    """[B, S-1] bool, every response token, of filtered rollouts too: where entropy is measured."""
    weights: torch.Tensor
    """[B, S-1] float32, ``objectives.token_weights``; 0 outside the loss."""
    advantages: torch.Tensor
    """[B] float32."""
    reference_log_probs: torch.Tensor | None = None
    """[B, S-1] float32, only with a KL term."""

    def rows(self, index: torch.Tensor, width: int) -> PolicyBatch:
        """The rollouts ``index``, cut to ``width`` tokens."""
        reference = self.reference_log_probs
        return PolicyBatch(
            tokens=self.tokens[index, :width],
            lengths=self.lengths[index],
            response_mask=self.response_mask[index, : width - 1],
            weights=self.weights[index, : width - 1],
            advantages=self.advantages[index],
            reference_log_probs=None if reference is None else reference[index, : width - 1],
        )

    def to(self, device: torch.device | int | str) -> PolicyBatch:
        """The same batch on ``device``."""
        reference = self.reference_log_probs
        return PolicyBatch(
            tokens=self.tokens.to(device, non_blocking=True),
            lengths=self.lengths.to(device, non_blocking=True),
            response_mask=self.response_mask.to(device, non_blocking=True),
            weights=self.weights.to(device, non_blocking=True),
            advantages=self.advantages.to(device, non_blocking=True),
            reference_log_probs=None if reference is None else reference.to(device, non_blocking=True),
        )
