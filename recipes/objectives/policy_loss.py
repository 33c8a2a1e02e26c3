"""The strictly on-policy GRPO loss (AceReason-Nemotron-1.1 §3.2.1, Eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KL_LOG_RATIO_CAP = 20.0
"""Above this log-ratio the KL estimator goes on as its tangent; exp(20) is 4.9e8. See :func:`capped_k3`."""


@dataclass(frozen=True, slots=True)
class GrpoLossTerms:
    """The parts of the loss, detached float scalars; sums over tokens, so they add over micro-batches and ranks."""

    policy: Tensor
    """``-sum(w * A * ratio)``."""
    kl: Tensor
    """``sum(w * k3)``, before the coefficient; 0 without a reference."""


def grpo_loss(
    log_probs: Tensor,
    advantages: Tensor,
    weights: Tensor,
    *,
    reference_log_probs: Tensor | None = None,
    kl_coefficient: float = 0.0,
) -> tuple[Tensor, GrpoLossTerms]:
    """Negative of Eq. 1, plus an optional KL penalty that the paper leaves out.

    ::

        loss  = - sum over i, t of  w[i, t] * A[i] * ratio[i, t]   +   kl_coefficient * sum of w[i, t] * k3[i, t]
        ratio = exp(log_probs - stop_gradient(log_probs))

    With one update per batch of rollouts the sampling policy is the policy: the ratio is 1 and the value is exactly
    Eq. 1, while its gradient is ``-w * A * grad log pi``. PPO's clipping of the ratio to [1 - e, 1 + e] could never act
    on a ratio of 1, nor change its gradient, so there is none; and no old log-probs, hence no forward pass for them.

    Positions of weight 0 (prompt, padding, filtered rollouts) have exactly zero loss and gradient, whatever their
    log-probs.

    Args:
        log_probs: [B, S] of the targets under the policy at the sampling temperature, with gradient.
        advantages: [B], Eq. 2, no gradient taken.
        weights: [B, S] of :func:`recipes.objectives.token_weights.token_weights`.
        reference_log_probs: [B, S] of the same targets under the reference model; needed for ``kl_coefficient > 0``.
        kl_coefficient: 0 in the paper ("we remove KL divergence term"); then the reference is not looked at.

    Returns:
        The scalar to call ``backward`` on (a sum: never to be divided by micro-batches or ranks), and its parts.

    Raises:
        ValueError: shapes disagree, a negative coefficient, or a positive one without reference.
    """
    if log_probs.ndim != 2 or weights.shape != log_probs.shape or advantages.shape != log_probs.shape[:1]:
        raise ValueError(
            "log_probs and weights must be [B, S] and advantages [B], found "
            f"{list(log_probs.shape)}, {list(weights.shape)} and {list(advantages.shape)}"
        )
    if kl_coefficient < 0.0:
        raise ValueError(f"kl_coefficient must be 0 or more, found {kl_coefficient}")

    in_loss = weights != 0
    log_probs = log_probs.where(in_loss, 0.0)
    ratio = torch.exp(log_probs - log_probs.detach())
    policy = -(weights * advantages.detach().unsqueeze(1) * ratio).sum()
    if kl_coefficient == 0.0:
        return policy, GrpoLossTerms(policy=policy.detach(), kl=torch.zeros_like(policy))

    if reference_log_probs is None or reference_log_probs.shape != log_probs.shape:
        found = None if reference_log_probs is None else list(reference_log_probs.shape)
        raise ValueError(
            f"kl_coefficient {kl_coefficient} needs reference_log_probs of shape {list(log_probs.shape)}, found {found}"
        )
    reference_log_probs = reference_log_probs.detach().where(in_loss, 0.0)
    kl = (weights * capped_k3(reference_log_probs - log_probs)).sum()
    return policy + kl_coefficient * kl, GrpoLossTerms(policy=policy.detach(), kl=kl.detach())


def capped_k3(log_ratio: Tensor) -> Tensor:
    """Schulman's k3 estimator of KL(policy || reference), elementwise, safe from overflow.

    ``k3 = exp(d) - d - 1`` with ``d = log_ratio = reference - policy``: never negative, 0 at d = 0. The exponential of
    float32 overflows at d = 88.7, which one token can reach that the policy gave up and the reference did not. Above
    d = 20 the exponential is therefore replaced by its tangent, ``exp(20) * (1 + d - 20)``: finite, and still pushing
    the policy back to the reference, where a plain clamp of d would stop the gradient (and a clamp inside the
    exponential alone would turn it round). Below, nothing is capped: for d → -∞ k3 grows only linearly.

    ``expm1`` keeps the digits near d = 0, where most tokens are: k3 is about d²/2 there.
    """
    capped = log_ratio.clamp(max=KL_LOG_RATIO_CAP)
    beyond_cap = torch.exp(capped) * (log_ratio - capped)
    return torch.expm1(capped) + beyond_cap - log_ratio
