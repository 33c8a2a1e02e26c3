"""Tallies by hand, and that they add."""

from __future__ import annotations

import math

import pytest
import torch

from recipes.objectives.summaries import (
    Tally,
    groups_with_signal,
    masked_tally,
    mean_tally,
    rollout_summary,
    sum_over_ranks,
)


def _numbers(tally: Tally) -> tuple[float, float]:
    return tally.total.item(), tally.count.item()


def test_masked_tally_of_entropy() -> None:
    # Three response positions: 0.5 + 0.25 + 1.5; what is outside of the mask may be anything.
    entropy = torch.tensor([[9.0, 0.5, 0.25], [math.nan, math.inf, 1.5]])
    mask = torch.tensor([[False, True, True], [False, False, True]])
    tally = masked_tally(entropy, mask)
    assert _numbers(tally) == (2.25, 3.0)
    assert tally.mean() == 0.75


def test_rollout_summary() -> None:
    # Two prompts, two rollouts each; the first prompt has one solution, the second none.
    summary = rollout_summary(
        rewards=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        truncated=torch.tensor([[False, True], [True, True]]),
        response_lengths=torch.tensor([[5, 8], [8, 8]]),
        advantages=torch.tensor([[0.7, -0.7], [0.0, 0.0]]),
    )
    assert {name: _numbers(tally) for name, tally in summary.items()} == {
        "reward": (1.0, 4.0),
        "truncated": (3.0, 4.0),
        "response_length": (29.0, 4.0),
        "groups_with_signal": (1.0, 2.0),
    }
    assert summary["response_length"].mean() == 7.25


def test_the_mean_of_a_sum_weighs_by_count() -> None:
    # Means 1 (of 1 value) and 4 (of 3): together (1 + 12) / 4 = 3.25, not 2.5.
    both = mean_tally(torch.tensor([1.0])) + mean_tally(torch.tensor([4.0, 4.0, 4.0]))
    assert _numbers(both) == (13.0, 4.0)
    assert both.mean() == 3.25


def test_sums_of_many_small_numbers_keep_their_digits() -> None:
    # 2^24 + 1 is the first integer that float32 cannot hold: a tally of token counts has to.
    tally = mean_tally(torch.tensor([2.0**24])) + mean_tally(torch.tensor([1.0]))
    assert tally.total.item() == 2**24 + 1


def test_nothing_to_average_is_nan() -> None:
    assert math.isnan(masked_tally(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool)).mean())


def test_a_single_rank_communicates_nothing() -> None:
    tallies = {"reward": mean_tally(torch.ones(2, 2))}
    assert sum_over_ranks(tallies, None) == tallies


def test_wrong_input_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"mask must be bool of the values' shape \[2, 3\], found torch.int64 \[2, 3\]"
    ):
        masked_tally(torch.zeros(2, 3), torch.ones(2, 3).long())
    with pytest.raises(ValueError, match=r"advantages must be \[P, G\], found \[4\]"):
        groups_with_signal(torch.zeros(4))
    with pytest.raises(ValueError, match=r"must share one \[P, G\]"):
        rollout_summary(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2, 2))
