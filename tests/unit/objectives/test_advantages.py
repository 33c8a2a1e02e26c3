"""Eq. 2 by hand, overlong filtering, and groups without signal."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.objectives.advantages import STD_EPSILON, AdvantageBatch, group_advantages


def _advantages(
    rewards: list[list[float]],
    truncated: list[list[int]] | None = None,
    *,
    filtering: bool = False,
    inside: bool = False,
) -> AdvantageBatch:
    scores = torch.tensor(rewards, dtype=torch.float64)
    flags = torch.zeros(scores.shape, dtype=torch.bool) if truncated is None else torch.tensor(truncated).bool()
    return group_advantages(scores, flags, overlong_filtering=filtering, overlong_in_group_statistics=inside)


def test_one_correct_of_four() -> None:
    # mean 1/4; squares of (3/4, -1/4, -1/4, -1/4) add up to 12/16; / (4 - 1) = 1/4; std 1/2. Population std would be
    # sqrt(3)/4 and give 1.732 instead of 1.5; without the epsilon it would be 1.5, not 1.499997.
    batch = _advantages([[1.0, 0.0, 0.0, 0.0]])
    expected = [0.75 / 0.500001] + [-0.25 / 0.500001] * 3
    assert batch.advantages.dtype == torch.float32
    assert batch.advantages[0].tolist() == pytest.approx(expected, abs=2e-7)
    assert batch.kept.all()


def test_truncated_rollout_leaves_loss_and_statistics() -> None:
    # Counted scores 1, 0, 1: mean 2/3; squares 1/9 + 4/9 + 1/9 = 2/3; / 2 = 1/3; std 1/sqrt(3).
    batch = _advantages([[1.0, 0.0, 1.0, 0.0]], [[0, 0, 0, 1]], filtering=True)
    third = math.sqrt(3) / 3
    assert batch.advantages[0].tolist() == pytest.approx([third, -2 * third, third, 0.0], abs=3e-6)
    assert batch.kept.tolist() == [[True, True, True, False]]


def test_truncated_rollout_may_stay_in_statistics() -> None:
    # Scores 1, 0, 1, 0: mean 1/2; squares 4 * 1/4 = 1; / 3; std 1/sqrt(3); (1/2) / std = sqrt(3)/2.
    batch = _advantages([[1.0, 0.0, 1.0, 0.0]], [[0, 0, 0, 1]], filtering=True, inside=True)
    half = math.sqrt(3) / 2
    assert batch.advantages[0].tolist() == pytest.approx([half, -half, half, 0.0], abs=3e-6)
    assert batch.kept.tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("inside", [False, True])
def test_without_filtering_truncated_rollouts_count_with_score_zero(inside: bool) -> None:
    # The truncated rollout had its answer boxed before the budget ended (reward 1): its score is 0 all the same.
    batch = _advantages([[1.0, 0.0, 1.0, 1.0]], [[0, 0, 0, 1]], inside=inside)
    half = math.sqrt(3) / 2
    assert batch.advantages[0].tolist() == pytest.approx([half, -half, half, -half], abs=3e-6)
    assert batch.kept.all()


@pytest.mark.parametrize(
    ("rewards", "truncated"),
    [
        pytest.param([0.0, 0.0, 0.0], [0, 0, 0], id="nobody solved it"),
        pytest.param([1.0, 1.0, 1.0], [0, 0, 0], id="everybody solved it"),
        pytest.param([0.1, 0.1, 0.1], [0, 0, 0], id="equal scores whose mean is rounded (0.1 + 0.1 + 0.1 is not 0.3)"),
        pytest.param([1.0, 1.0, 0.0], [0, 0, 1], id="the only other score was filtered"),
        pytest.param([1.0, 0.0, 0.0], [0, 1, 1], id="one kept"),
        pytest.param([0.0, 0.0, 0.0], [1, 1, 1], id="none kept"),
    ],
)
def test_group_without_signal_is_exactly_zero(rewards: list[float], truncated: list[int]) -> None:
    batch = _advantages([rewards, [1.0, 0.0, 0.0]], [truncated, [0, 0, 0]], filtering=True)
    assert batch.advantages[0].tolist() == [0.0, 0.0, 0.0]
    assert batch.kept[0].tolist() == [not flag for flag in truncated]
    # The neighbour is untouched: mean 1/3, squares 6/9, / 2, std 1/sqrt(3); (2/3) * sqrt(3) = 1.1547.
    assert batch.advantages[1].tolist() == pytest.approx([1.154701, -0.57735, -0.57735], abs=4e-6)


def test_group_of_one_is_zero() -> None:
    assert _advantages([[1.0]]).advantages.tolist() == [[0.0]]


def test_one_kept_rollout_has_a_baseline_when_the_truncated_ones_count() -> None:
    # Scores 1, 0, 0 (two truncated): the numbers of the neighbour above, the truncated ones out of the loss.
    batch = _advantages([[1.0, 0.0, 0.0]], [[0, 1, 1]], filtering=True, inside=True)
    assert batch.advantages[0].tolist() == pytest.approx([1.154701, 0.0, 0.0], abs=4e-6)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), filtering=st.booleans(), inside=st.booleans())
def test_every_group_is_verls_formula_on_its_counted_scores(data: st.DataObject, filtering: bool, inside: bool) -> None:
    groups, size = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 8)))
    cell = st.tuples(st.sampled_from([0.0, 1.0, 0.5, -1.0]), st.booleans())
    cells = data.draw(st.lists(st.lists(cell, min_size=size, max_size=size), min_size=groups, max_size=groups))
    batch = _advantages(
        [[reward for reward, _ in row] for row in cells],
        [[int(flag) for _, flag in row] for row in cells],
        filtering=filtering,
        inside=inside,
    )
    for row, advantages, kept in zip(cells, batch.advantages, batch.kept, strict=True):
        assert kept.tolist() == [not (filtering and flag) for _, flag in row]
        scores = [0.0 if flag else reward for reward, flag in row]
        counted = torch.tensor(
            [s for s, (_, flag) in zip(scores, row, strict=True) if inside or not (filtering and flag)]
        )
        for advantage, score, keep in zip(advantages.tolist(), scores, kept.tolist(), strict=True):
            if not keep or len(counted) < 2 or len(set(counted.tolist())) == 1:
                assert advantage == 0.0
            else:
                expected = (score - counted.mean()) / (torch.std(counted) + STD_EPSILON)
                assert advantage == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("rewards", "truncated", "message"),
    [
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), r"must both be \[P, G\].*found \[4\] and \[4\]"),
        (torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.bool), r"found \[2, 4\] and \[2, 3\]"),
        (torch.zeros(2, 4), torch.zeros(2, 4), "truncated must be bool, found torch.float32"),
        (torch.tensor([[0.0, math.nan]]), torch.zeros(1, 2, dtype=torch.bool), r"must be finite, found \[nan\]"),
    ],
)
def test_wrong_input_is_named(rewards: torch.Tensor, truncated: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_advantages(rewards, truncated, overlong_filtering=True, overlong_in_group_statistics=False)
