"""Denominators by hand, and the invariance that they exist for: any split of the rows gives the same loss."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.objectives.policy_loss import grpo_loss
from recipes.objectives.token_weights import token_weights


def _mask(lengths: list[int], width: int) -> torch.Tensor:
    """Rows with that many loss positions, at the right end."""
    return torch.arange(width).flip(0) < torch.tensor(lengths).unsqueeze(1)


def test_group_normalization() -> None:
    # Prompt 7 has 2 + 3 = 5 tokens, prompt 3 has 4; the global batch has 8 prompts: 1/(5*8) = 0.025, 1/(4*8) = 0.03125.
    weights = token_weights(
        _mask([2, 4, 3], 5), torch.tensor([7, 3, 7]), 8, normalization="group", total_tokens_global=None
    )
    assert weights.dtype == torch.float32
    expected = [[0, 0, 0, 0.025, 0.025], [0, 0.03125, 0.03125, 0.03125, 0.03125], [0, 0, 0.025, 0.025, 0.025]]
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_batch_normalization() -> None:
    # 9 tokens here, 20 in the global batch: 1/20 each, whichever the prompt.
    weights = token_weights(
        _mask([2, 4, 3], 5), torch.tensor([7, 3, 7]), 8, normalization="batch", total_tokens_global=20
    )
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, _mask([2, 4, 3], 5) * 0.05)


def test_filtered_rollout_leaves_the_denominator() -> None:
    # Row 0 was taken out: prompt 0 has 3 tokens left, 1/(3*2) each.
    weights = token_weights(_mask([0, 3], 4), torch.tensor([0, 0]), 2, normalization="group", total_tokens_global=None)
    torch.testing.assert_close(weights, _mask([0, 3], 4) / 6)


def test_filtered_prompt_adds_nothing_and_still_counts() -> None:
    # Prompt 0 lost all its rollouts; prompt 1 keeps the 1/2 of a batch of two prompts, spread over its 4 tokens.
    weights = token_weights(_mask([0, 4], 4), torch.tensor([0, 1]), 2, normalization="group", total_tokens_global=None)
    assert weights.sum(dim=1).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("normalization", ["group", "batch"])
def test_all_filtered_is_zero_not_nan(normalization: Literal["group", "batch"]) -> None:
    weights = token_weights(
        _mask([0, 0], 3), torch.tensor([0, 1]), 2, normalization=normalization, total_tokens_global=0
    )
    assert weights.tolist() == [[0.0] * 3] * 2


def test_a_rank_without_rows() -> None:
    weights = token_weights(
        torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0).long(), 2, normalization="group", total_tokens_global=None
    )
    assert weights.shape == (0, 3)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), normalization=st.sampled_from(["group", "batch"]))
def test_loss_and_gradient_do_not_depend_on_the_split(
    data: st.DataObject, normalization: Literal["group", "batch"]
) -> None:
    """Whole groups to ranks, rank's rows to micro-batches, both at random: the sum is that of the whole batch."""
    prompts, size, width = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6)))
    lengths = data.draw(st.lists(st.integers(0, width), min_size=prompts * size, max_size=prompts * size))
    rank_of_prompt = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=prompts, max_size=prompts)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))

    mask = _mask(lengths, width)
    group_index = torch.arange(prompts).repeat_interleave(size)
    advantages = torch.randn(prompts * size, generator=generator, dtype=torch.float64)
    reference = torch.randn(mask.shape, generator=generator, dtype=torch.float64)
    whole = torch.randn(mask.shape, generator=generator, dtype=torch.float64, requires_grad=True)
    split = whole.detach().clone().requires_grad_()

    def loss_of(log_probs: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return grpo_loss(
            log_probs[rows], advantages[rows], weights, reference_log_probs=reference[rows], kl_coefficient=0.1
        )[0]

    total = int(mask.sum())
    all_rows = torch.arange(prompts * size)
    weights = token_weights(mask, group_index, prompts, normalization=normalization, total_tokens_global=total)
    expected = loss_of(whole, weights, all_rows)
    expected.backward()

    found = torch.zeros((), dtype=torch.float64)
    for rank in range(3):
        rows = all_rows[rank_of_prompt[group_index] == rank]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        weights = token_weights(
            mask[rows], group_index[rows], prompts, normalization=normalization, total_tokens_global=total
        )
        micro_batch = data.draw(st.integers(1, 4))
        for start in range(0, len(rows), micro_batch):
            part = slice(start, start + micro_batch)
            loss = loss_of(split, weights[part], rows[part])
            loss.backward()
            found += loss.detach()

    torch.testing.assert_close(found, expected.detach(), rtol=1e-10, atol=1e-12)
    gradient = torch.zeros_like(whole) if split.grad is None else split.grad
    torch.testing.assert_close(gradient, whole.grad, rtol=1e-10, atol=1e-12)


_MASK = torch.ones(2, 3, dtype=torch.bool)
_INDEX = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("mask", "index", "groups", "normalization", "total", "message"),
    [
        (_MASK.float(), _INDEX, 2, "group", None, r"response_mask must be bool \[B, S\], found torch.float32 \[2, 3\]"),
        (_MASK, _INDEX[:1], 2, "group", None, r"group_index must be long \[B\] with B = 2, found torch.int64 \[1\]"),
        (_MASK, _INDEX, 1, "group", None, "num_groups_global .* found 1 although group_index alone names 2"),
        (_MASK, _INDEX, 2, "batch", None, "needs total_tokens_global.*found None although response_mask alone has 6"),
        (_MASK, _INDEX, 2, "batch", 5, "found 5 although response_mask alone has 6"),
        (_MASK, _INDEX, 2, "token", 6, "must be 'group' or 'batch', found 'token'"),
    ],
)
def test_wrong_input_is_named(
    mask: torch.Tensor, index: torch.Tensor, groups: int, normalization: Any, total: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        token_weights(mask, index, groups, normalization=normalization, total_tokens_global=total)
