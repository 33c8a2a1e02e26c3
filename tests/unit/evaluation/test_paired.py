from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from evaluation.paired import DRAWS, PairingError, difference_interval, pair, permutation_test


def test_three_problems_by_hand() -> None:
    """d = 1/2, 1/4, 0: mean 1/4, sd 1/4, so sd / sqrt(3) = 0.1443 and t_2 = 4.3027 (95%, two-sided)."""
    found = pair({"a": 0.0, "b": 0.5, "c": 1.0}, {"a": 0.5, "b": 0.75, "c": 1.0}, 0.03, 0.04)
    assert (found.avg_a, found.avg_b, found.difference) == (0.5, 0.75, 0.25)
    assert found.stderr_sampling == pytest.approx(0.05)
    assert found.stderr_problems == pytest.approx(0.25 / math.sqrt(3))
    assert found.ci95_problems == pytest.approx((0.25 - 4.302653 * 0.1443376, 0.25 + 4.302653 * 0.1443376), abs=1e-6)
    # Signs of 1/2 and 1/4: sums 3/4, 1/4, -1/4, -3/4; two of four are as far from 0 as 3/4.
    assert found.p_value == 0.5
    assert (found.gained, found.lost) == (("a",), ())
    assert dict(found.per_problem) == {"a": (0.0, 0.5), "b": (0.5, 0.75), "c": (1.0, 1.0)}


def test_the_other_way_round_is_the_mirror() -> None:
    a, b = {"x": 0.25, "y": 0.5, "z": 1.0, "w": 0.0}, {"x": 0.0, "y": 0.75, "z": 1.0, "w": 0.125}
    there, back = pair(a, b), pair(b, a)
    assert there.difference == -back.difference
    assert there.p_value == back.p_value
    assert (there.gained, there.lost) == (back.lost, back.gained) == (("w",), ("x",))
    assert there.ci95_problems == pytest.approx([-end for end in reversed(back.ci95_problems or ())])


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.5], 1.0),  # -0.5 is as far
        ([0.5, 0.0, 0.0], 1.0),
        ([0.5, -0.5], 1.0),
        ([0.25] * 5, 2 / 32),
        ([0.25] * 4 + [-0.25], 12 / 32),  # all alike: 2; one or four unlike: 10
        ([0.1] * 10, 2 / 1024),
        ([-0.1] * 16, 2 / 65536),
    ],
)
def test_exact_permutation_values(differences: list[float], p: float) -> None:
    assert permutation_test(differences) == p


def test_every_sign_is_looked_at() -> None:
    random = np.random.default_rng(3)
    differences = [float(value) / 8 for value in random.integers(-8, 9, 9)]
    observed = abs(sum(differences)) - 1e-9
    signs = list(product((-1, 1), repeat=len(differences)))
    as_large = sum(abs(sum(s * d for s, d in zip(row, differences, strict=True))) >= observed for row in signs)
    assert permutation_test(differences) == as_large / len(signs)


def test_drawn_signs_approach_the_exact_value_and_are_never_zero() -> None:
    assert permutation_test([0.5] * 40) == 1 / (1 + DRAWS)
    # 17 equal differences, 13 up and 4 down: |sum| >= 9 of 17, twice the binomial tail P(X >= 13).
    exact = 2 * sum(math.comb(17, up) for up in range(13, 18)) / 2**17
    found = permutation_test([0.25] * 13 + [-0.25] * 4)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / DRAWS))
    assert found == permutation_test([0.25] * 13 + [-0.25] * 4)


def test_the_test_keeps_its_level_and_the_interval_its_coverage() -> None:
    """Two equal models: both sides of 2,000 pairs are drawn from the same 30 solve rates, 8 samples each."""
    random = np.random.default_rng(0)
    runs, problems, n = 2000, 30, 8
    rejected = covered = 0
    for _ in range(runs):
        rates = random.beta(0.8, 0.8, problems)
        a, b = (random.binomial(n, rates) / n for _ in range(2))
        rejected += permutation_test((b - a).tolist(), draws=199) <= 0.05
        low, high = difference_interval((b - a).tolist()) or (1.0, 0.0)
        covered += low <= 0 <= high
    deviation = math.sqrt(0.05 * 0.95 / runs)  # 0.5 points
    assert abs(rejected / runs - 0.05) < 3 * deviation + 0.005  # ties make the test a little shy
    assert 0.93 < covered / runs < 0.97


def test_one_problem_has_no_interval() -> None:
    found = pair({"a": 0.5}, {"a": 1.0})
    assert (found.ci95_problems, found.stderr_problems, found.stderr_sampling) == (None, None, None)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ({"x": 1.0}, {"y": 1.0}, "2 of them are on one side only, e.g. x, y"),
        ({}, {}, "the problems differ"),
        ({"x": 1.0, "y": None}, {"x": 1.0, "y": 0.5}, "problem y has no sample on one side"),
    ],
)
def test_what_cannot_be_paired_is_refused(a: dict, b: dict, message: str) -> None:
    with pytest.raises(PairingError, match=message):
        pair(a, b)
