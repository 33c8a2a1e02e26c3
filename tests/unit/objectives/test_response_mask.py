"""The worked example of the module, and the alignment as a property."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipes.objectives.response_mask import next_token_targets, response_mask


def test_worked_example() -> None:
    p0, p1, p2, r0, r1, end, pad = range(10, 17)
    tokens = torch.tensor([[p0, p1, p2, r0, r1, end, pad]])
    targets = next_token_targets(tokens)
    mask = response_mask(torch.tensor([3]), torch.tensor([6]), 7)
    assert targets.tolist() == [[p1, p2, r0, r1, end, pad]]
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[False, False, True, True, True, False]]
    assert targets[mask].tolist() == [r0, r1, end]


def test_empty_response_and_full_row() -> None:
    # Row 0: prompt of 4, nothing after it. Row 1: prompt of 1, every other column a response.
    mask = response_mask(torch.tensor([4, 1]), torch.tensor([4, 4]), 4)
    assert mask.tolist() == [[False, False, False], [True, True, True]]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=5))
def test_masked_targets_are_the_responses(rows: list[tuple[int, int, int]]) -> None:
    width = max(2, max(sum(row) for row in rows))
    prompts = [[1000 + i for i in range(prompt)] for prompt, _, _ in rows]
    responses = [[2000 + i for i in range(response)] for _, response, _ in rows]
    tokens = torch.tensor([(p + r + [0] * width)[:width] for p, r in zip(prompts, responses, strict=True)])
    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts])
    total_lengths = prompt_lengths + torch.tensor([len(response) for response in responses])
    mask = response_mask(prompt_lengths, total_lengths, width)
    for row_targets, row_mask, response in zip(next_token_targets(tokens), mask, responses, strict=True):
        assert row_targets[row_mask].tolist() == response


@pytest.mark.parametrize(
    ("prompt", "total", "message"),
    [
        ([2, 0], [3, 3], "row 1: .* found prompt_length 0, total_length 3, sequence_length 4"),
        ([3, 2], [2, 3], "row 0: .* found prompt_length 3, total_length 2"),
        ([2, 2], [3, 5], "row 1: .* total_length 5, sequence_length 4"),
        ([2], [3, 3], r"must both be \[B\], found \[1\] and \[2\]"),
    ],
)
def test_impossible_lengths_are_named(prompt: list[int], total: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        response_mask(torch.tensor(prompt), torch.tensor(total), 4)


def test_targets_need_two_columns() -> None:
    with pytest.raises(ValueError, match=r"found \[3, 1\]"):
        next_token_targets(torch.zeros(3, 1).long())
