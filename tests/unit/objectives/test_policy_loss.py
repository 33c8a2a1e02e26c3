"""Eq. 1 by hand, its gradient, and the KL estimator where float32 is tempted to overflow."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from recipes.objectives.policy_loss import KL_LOG_RATIO_CAP, capped_k3, grpo_loss

WEIGHTS = torch.tensor([[0.1, 0.1, 0.0], [0.2, 0.0, 0.0]])
ADVANTAGES = torch.tensor([1.5, -0.5])


def _log_probs(values: list[list[float]] | None = None) -> torch.Tensor:
    return torch.tensor(values or [[-0.5, -2.0, -1.0], [-3.0, -0.1, -7.0]], requires_grad=True)


def test_value_is_equation_one_and_gradient_is_advantage_times_score() -> None:
    # -(0.1 * 1.5 + 0.1 * 1.5 + 0.2 * -0.5) = -0.2: the log-probs are not in it. d/d log pi = -w * A.
    log_probs = _log_probs()
    loss, terms = grpo_loss(log_probs, ADVANTAGES, WEIGHTS)
    loss.backward()
    assert loss.item() == pytest.approx(-0.2, abs=1e-7)
    assert terms.policy.item() == loss.item()
    assert not terms.policy.requires_grad
    assert terms.kl.item() == 0.0
    torch.testing.assert_close(log_probs.grad, torch.tensor([[-0.15, -0.15, 0.0], [0.1, 0.0, 0.0]]))


def test_kl_penalty() -> None:
    # One token with reference - policy = ln 2: k3 = 2 - ln 2 - 1 = 0.306853, weight 0.1, coefficient 0.5; the others
    # agree with the reference. d k3 / d log pi = 1 - exp(ln 2) = -1, times 0.1 * 0.5.
    log_probs = _log_probs()
    reference = log_probs.detach().clone()
    reference[0, 0] += math.log(2)
    loss, terms = grpo_loss(log_probs, ADVANTAGES, WEIGHTS, reference_log_probs=reference, kl_coefficient=0.5)
    loss.backward()
    assert terms.kl.item() == pytest.approx(0.0306853, abs=1e-7)
    assert loss.item() == pytest.approx(-0.2 + 0.5 * 0.0306853, abs=1e-7)
    torch.testing.assert_close(log_probs.grad, torch.tensor([[-0.15 - 0.05, -0.15, 0.0], [0.1, 0.0, 0.0]]))


def test_reference_is_not_looked_at_without_a_coefficient() -> None:
    loss, terms = grpo_loss(_log_probs(), ADVANTAGES, WEIGHTS, reference_log_probs=torch.full((2, 3), math.nan))
    assert loss.item() == pytest.approx(-0.2, abs=1e-7)
    assert terms.kl.item() == 0.0


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_positions_of_weight_zero_have_no_loss_and_no_gradient(value: float) -> None:
    log_probs = _log_probs([[-0.5, -2.0, value], [-3.0, value, value]])
    reference = torch.tensor([[-0.5, -2.0, value], [-3.0, value, value]])
    loss, _ = grpo_loss(log_probs, ADVANTAGES, WEIGHTS, reference_log_probs=reference, kl_coefficient=1.0)
    loss.backward()
    assert loss.item() == pytest.approx(-0.2, abs=1e-7)
    assert log_probs.grad is not None
    assert log_probs.grad[WEIGHTS == 0].tolist() == [0.0, 0.0, 0.0]
    assert torch.isfinite(log_probs.grad).all()


def test_k3_below_the_cap_is_the_plain_formula() -> None:
    log_ratio = torch.tensor([-1e4, -50.0, -1.0, 0.0, 0.5, 19.9], dtype=torch.float64, requires_grad=True)
    estimate = capped_k3(log_ratio)
    estimate.sum().backward()
    torch.testing.assert_close(estimate.detach(), log_ratio.detach().exp() - log_ratio.detach() - 1)
    torch.testing.assert_close(log_ratio.grad, log_ratio.detach().exp() - 1)


def test_k3_beyond_the_cap_is_finite_and_pushes_the_policy_back() -> None:
    # float32 exp overflows at 88.7. The tangent at 20: exp(20) * (1 + d - 20) - d - 1, of slope exp(20) - 1.
    log_ratio = torch.tensor([20.0, 21.0, 100.0, 1e4], requires_grad=True)
    estimate = capped_k3(log_ratio)
    estimate.sum().backward()
    top = math.exp(20.0)
    expected = [top - 21.0, 2 * top - 22.0, 81 * top - 101.0, 9981 * top - 10001.0]
    torch.testing.assert_close(estimate.detach(), torch.tensor(expected), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(log_ratio.grad, torch.full((4,), top - 1), rtol=1e-6, atol=0.0)
    assert KL_LOG_RATIO_CAP == 20.0


def test_k3_keeps_its_digits_near_zero() -> None:
    # d²/2 + d³/6 at d = 1e-3 is 5.001667e-7; exp(d) - d - 1 in float32 is off by up to 1.2e-7.
    assert capped_k3(torch.tensor([1e-3])).item() == pytest.approx(5.001667e-7, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"advantages": torch.zeros(3)}, r"found \[2, 3\], \[2, 3\] and \[3\]"),
        ({"weights": torch.zeros(2, 4)}, r"found \[2, 3\], \[2, 4\] and \[2\]"),
        ({"kl_coefficient": -0.1}, "kl_coefficient must be 0 or more, found -0.1"),
        ({"kl_coefficient": 0.1}, r"kl_coefficient 0.1 needs reference_log_probs of shape \[2, 3\], found None"),
        ({"kl_coefficient": 0.1, "reference_log_probs": torch.zeros(2, 2)}, r"found \[2, 2\]"),
    ],
)
def test_wrong_input_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grpo_loss(**{"log_probs": _log_probs(), "advantages": ADVANTAGES, "weights": WEIGHTS, **arguments})
