"""GroupStepAdamW against torch.optim.AdamW and against the update rule by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recipes.backends.cpu.adamw import GroupStepAdamW


def _parameters(seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 3), (7,), (1,))]


def _groups(params: list[torch.nn.Parameter]) -> list[dict]:
    return [{"params": params[:1], "weight_decay": 0.1}, {"params": params[1:], "weight_decay": 0.0, "lr": 3e-2}]


def test_first_step_by_hand() -> None:
    # exp_avg / (1 - 0.9) = g and exp_avg_sq / (1 - 0.98) = g^2, so the step is lr * g / (|g| + eps) after the decay:
    # 2 * (1 - 0.1 * 0.5) - 0.1 * 4 / (4 + 1) = 1.9 - 0.08 = 1.82
    p = torch.nn.Parameter(torch.tensor([2.0]))
    p.grad = torch.tensor([4.0])
    GroupStepAdamW([p], lr=0.1, betas=(0.9, 0.98), eps=1.0, weight_decay=0.5).step()
    assert p.item() == pytest.approx(1.82, abs=1e-6)


def test_equals_torch_adamw_over_many_steps() -> None:
    ours, theirs = _parameters(0), _parameters(0)
    mine = GroupStepAdamW(_groups(ours), lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    reference = torch.optim.AdamW(_groups(theirs), lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    generator = torch.Generator().manual_seed(1)
    for step in range(60):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator) * 10 ** (step % 5 - 2)
            b.grad = a.grad.clone()
        for group, reference_group in zip(mine.param_groups, reference.param_groups, strict=True):
            group["lr"] = reference_group["lr"] = 1e-2 * (1 + math.cos(step / 20))
        mine.step()
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
        for moment in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(mine.state[a][moment], reference.state[b][moment], rtol=1e-6, atol=1e-9)


def test_state_has_no_tensor_that_is_not_of_the_parameters_shape() -> None:
    params = _parameters(0)
    optimizer = GroupStepAdamW(params)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert optimizer.param_groups[0]["step"] == 1
    for p in params:
        assert {key: value.shape for key, value in optimizer.state[p].items()} == {
            "exp_avg": p.shape,
            "exp_avg_sq": p.shape,
        }


def test_resumed_optimizer_goes_on_in_the_same_weights() -> None:
    def run(steps: range, params: list[torch.nn.Parameter], optimizer: GroupStepAdamW) -> None:
        for step in steps:
            for p in params:
                p.grad = torch.full_like(p, math.sin(step + 1))
            optimizer.step()

    straight = _parameters(3)
    run(range(6), straight, GroupStepAdamW(straight, lr=0.1))
    first = _parameters(3)
    saved = GroupStepAdamW(first, lr=0.1)
    run(range(3), first, saved)
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    resumed = GroupStepAdamW(second, lr=0.1)
    resumed.load_state_dict(saved.state_dict())
    run(range(3, 6), second, resumed)
    assert all(torch.equal(a, b) for a, b in zip(straight, second, strict=True))


def test_parameter_without_gradient_stays() -> None:
    moved, kept = _parameters(0)[:2]
    before = kept.detach().clone()
    moved.grad = torch.ones_like(moved)
    optimizer = GroupStepAdamW([moved, kept], weight_decay=0.5)
    optimizer.step()
    assert torch.equal(kept, before)
    assert kept not in optimizer.state


def test_closure_is_called_with_gradients_enabled() -> None:
    p = torch.nn.Parameter(torch.tensor([1.0]))

    def closure() -> float:
        loss = (p * p).sum()
        loss.backward()
        return loss.item()

    assert GroupStepAdamW([p], lr=0.1).step(closure) == 1.0
    assert p.item() == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"eps": -1e-8}, {"betas": (0.9, 1.0)}, {"weight_decay": -0.1}])
def test_hyperparameters_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GroupStepAdamW(_parameters(0), **wrong)
