"""Batches of like expected length: worked by hand, and what they save where lengths have a long tail."""

from __future__ import annotations

import pytest

from recipes.rollouts.batches_by_length import batches_by_length, decoding_steps, shared_out, simulated_steps


def test_longest_first_and_a_prompts_rows_together() -> None:
    groups = [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert batches_by_length(groups, [10.0, 400.0, 30.0, 300.0], 4) == [[2, 3, 6, 7], [4, 5, 0, 1]]


def test_unknown_prompts_share_batches_among_themselves_at_the_end() -> None:
    groups = [[0], [1], [2], [3], [4]]
    assert batches_by_length(groups, [None, 5.0, None, 50.0, None], 2) == [[3, 1], [0, 2], [4]]


def test_a_group_that_does_not_fit_any_more_opens_a_batch_and_a_larger_one_is_cut() -> None:
    assert batches_by_length([[0, 1], [2, 3]], [2.0, 1.0], 3) == [[0, 1], [2, 3]]
    assert batches_by_length([[0, 1, 2, 3, 4]], [1.0], 2) == [[0, 1], [2, 3], [4]]


def test_ties_keep_their_order() -> None:
    assert batches_by_length([[2], [0], [1]], [1.0, 1.0, 1.0], 2) == [[2, 0], [1]]


def test_packed_prompt_tokens_are_bounded() -> None:
    groups = [[0, 1], [2, 3], [4, 5]]
    # 2 x 30, then 2 x 20 more are 100; the next 2 x 10 open a batch. One row of 60 alone fits in 100.
    assert batches_by_length(groups, [3.0, 2.0, 1.0], 8, prompt_tokens=[30, 20, 10], max_num_tokens=100) == [
        [0, 1, 2, 3],
        [4, 5],
    ]
    assert batches_by_length([[0, 1]], [1.0], 8, prompt_tokens=[60], max_num_tokens=100) == [[0], [1]]
    with pytest.raises(ValueError, match="a prompt of 101 tokens; expected at most 100"):
        batches_by_length([[0]], [1.0], 8, prompt_tokens=[101], max_num_tokens=100)


def test_every_row_is_in_one_batch() -> None:
    groups = [range(first, first + 3) for first in range(0, 60, 3)]
    expected = [None if g % 4 == 0 else float(g * 7 % 11) for g in range(20)]
    batches = batches_by_length(groups, expected, 8)
    assert sorted(row for batch in batches for row in batch) == list(range(60))
    assert max(map(len, batches)) == 6


def test_a_batch_lasts_as_long_as_its_longest_row() -> None:
    lengths = [100, 10, 90, 20]
    assert decoding_steps([[0, 1], [2, 3]], lengths) == 190
    assert decoding_steps([[0, 2], [3, 1]], lengths) == 120


def test_the_dearest_jobs_first_to_the_least_loaded() -> None:
    # 7 and 6 go to one each, 5 to the second (11), 4 to the first (11), 1 to the first of the two equal ones.
    assert shared_out([5.0, 7.0, 1.0, 6.0, 4.0], 2) == [[1, 4, 2], [3, 0]]
    assert shared_out([1.0], 3) == [[0], [], []]


def test_saving_on_a_long_tail() -> None:
    """The paper's step, 128 prompts x 16 rollouts at 24K; engines of 64 rows. README states these numbers."""
    runs = [
        simulated_steps(
            prompts=128, rollouts=16, batch_size=64, budget=24576, between=0.8, within=0.4, noise=0.1, seed=seed
        )
        for seed in range(20)
    ]
    mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    assert all(run["known"] <= run["by_length"] < run["random"] for run in runs)
    saving = 1 - mean["by_length"] / mean["random"]
    assert saving == pytest.approx(SAVING, abs=0.005)
    assert 1 - mean["known"] / mean["random"] == pytest.approx(BEST, abs=0.005)


SAVING, BEST = 0.320, 0.667


def test_no_saving_where_prompts_do_not_differ() -> None:
    runs = [
        simulated_steps(
            prompts=64, rollouts=8, batch_size=32, budget=24576, between=0.0, within=0.4, noise=0.1, seed=seed
        )
        for seed in range(20)
    ]
    random, by_length = (sum(run[name] for run in runs) for name in ("random", "by_length"))
    assert abs(1 - by_length / random) < 0.03
