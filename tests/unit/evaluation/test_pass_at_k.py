from __future__ import annotations

import itertools
import math
from statistics import fmean

import numpy as np
import pytest

from evaluation.pass_at_k import benchmark_pass_at_k, pass_at_k, resampled_pass_at_k, sizes


@pytest.mark.parametrize("samples", [1, 2, 5, 8])
def test_is_the_share_of_subsets_that_hold_a_solved_sample(samples: int) -> None:
    for solved, k in itertools.product(range(samples + 1), range(1, samples + 1)):
        subsets = list(itertools.combinations(range(samples), k))
        share = sum(any(index < solved for index in subset) for subset in subsets) / len(subsets)
        assert pass_at_k(samples, solved, k) == pytest.approx(share, abs=1e-15)


@pytest.mark.parametrize(
    ("samples", "solved", "k"), [(256, 3, 64), (256, 200, 256), (256, 1, 8), (200, 17, 100), (64, 0, 8)]
)
def test_equals_the_code_of_the_humaneval_paper(samples: int, solved: int, k: int) -> None:
    """Chen et al. 2021, Figure 3."""
    wrong = samples - solved
    expected = 1.0 if wrong < k else 1.0 - np.prod(1.0 - k / np.arange(wrong + 1, samples + 1))
    assert pass_at_k(samples, solved, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_1_is_the_average() -> None:
    counts = [(3, 8), (8, 8), (0, 8)]
    assert benchmark_pass_at_k(counts, 1) == pytest.approx(fmean([3 / 8, 1, 0]))


def test_resamplings_agree_with_the_closed_form_and_repeat() -> None:
    counts = [(solved, 32) for solved in (0, 1, 2, 5, 16, 31, 32)]
    for k in (1, 4, 16):
        found = resampled_pass_at_k(counts, k, 2000)
        exact = benchmark_pass_at_k(counts, k)
        assert found is not None
        assert exact is not None
        mean, deviation = found
        assert abs(mean - exact) < 4 * deviation / math.sqrt(2000)
        assert resampled_pass_at_k(counts, k, 2000) == found
    assert resampled_pass_at_k(counts, 32) == (6 / 7, pytest.approx(0.0, abs=1e-12))


def test_fewer_samples_than_k_is_unknown() -> None:
    assert benchmark_pass_at_k([(1, 4), (1, 3)], 4) is None
    assert resampled_pass_at_k([(1, 4), (1, 3)], 4) is None
    assert benchmark_pass_at_k([], 1) is None
    for arguments in ((4, 1, 5), (4, 5, 1), (4, 1, 0)):
        with pytest.raises(ValueError, match="expected 1 <= k <= n"):
            pass_at_k(*arguments)


def test_sizes_of_a_curve() -> None:
    assert [sizes(n) for n in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
