from __future__ import annotations

import numpy as np
import pytest

from evaluation.intervals import error_of_exact_rates, problem_error, problem_interval
from evaluation.paired import difference_interval
from recipes.rollouts.sampling_error import sampling_error

PROBLEMS, SAMPLES, TRIALS = 30, 64, 4000


def test_three_problems_by_hand() -> None:
    """Mean 7/12, error sqrt(7)/12, t(0.975) with two degrees of freedom = 4.302653."""
    rates = [0.25, 0.5, 1.0]
    assert problem_error(rates) == pytest.approx(7**0.5 / 12)
    assert problem_interval(rates) == (0.0, 1.0)
    low, high = problem_interval(rates, 0.5)  # t(0.75, 2) = 0.816497
    assert (low, high) == pytest.approx((7 / 12 - 0.816497 * 7**0.5 / 12, 7 / 12 + 0.816497 * 7**0.5 / 12), abs=1e-6)
    assert problem_interval([0.5]) is None


@pytest.mark.parametrize("shape", [(0.9, 0.35), (2.0, 2.0)])
def test_coverage(shape: tuple[float, float]) -> None:
    """Nominal 95%: the interval over new problems, and the conditional error over new samples of the same ones.

    Solve rates of the first shape crowd at the ends, as those of AIME do.
    """
    random = np.random.default_rng(7)
    a, b = shape
    population = a / (a + b)
    fixed = random.beta(a, b, PROBLEMS)
    problems = samples = 0
    for _ in range(TRIALS):
        rates = random.binomial(SAMPLES, random.beta(a, b, PROBLEMS)) / SAMPLES
        interval = problem_interval(rates.tolist())
        assert interval is not None
        problems += interval[0] <= population <= interval[1]
        solved = random.binomial(SAMPLES, fixed)
        error = sampling_error([(int(count), SAMPLES) for count in solved])
        assert error is not None
        samples += abs(solved.mean() / SAMPLES - fixed.mean()) <= 1.96 * error
    assert 0.93 <= problems / TRIALS <= 0.97
    assert 0.93 <= samples / TRIALS <= 0.97


def test_what_stays_of_the_error_is_the_spread_of_the_true_rates() -> None:
    """Beta(2, 2) has the variance 1/20, so 1/600 over 30 problems, though four samples a problem show 1/20 + 1/20."""
    random = np.random.default_rng(7)
    n, found = 4, []
    for _ in range(TRIALS):
        solved = random.binomial(n, random.beta(2.0, 2.0, PROBLEMS))
        over_problems = problem_error((solved / n).tolist())
        over_samples = sampling_error([(int(count), n) for count in solved])
        assert over_problems is not None and over_samples is not None
        found.append(error_of_exact_rates(over_problems, over_samples) ** 2)
    assert np.mean(found) == pytest.approx(1 / 600, rel=0.03)
    assert error_of_exact_rates(0.1, 0.06) == pytest.approx(0.08)
    assert error_of_exact_rates(0.1, 0.2) == 0.0


def test_errors_at_the_papers_sample_numbers() -> None:
    """Standard deviations of AIME24 of the paper (4.1): 1.8, 1.2 and 0.7 points at n = 16, 32 and 64 of 30 problems.

    They are the conditional error, which falls with the root of n: any population of solve rates with 1.8 points at
    n = 16 has 1.27 at 32 and 0.9 at 64.
    """
    rates = np.array([0.75] * 12 + [0.25] * 4 + [1.0] * 14)
    errors = []
    for n in (16, 32, 64):
        counts = [(round(rate * n), n) for rate in rates]
        errors.append(100 * (sampling_error(counts) or 0.0))
    assert errors[0] / errors[1] == pytest.approx(2**0.5, rel=0.03)
    assert errors[1] / errors[2] == pytest.approx(2**0.5, rel=0.03)
    assert errors == pytest.approx([1.49, 1.04, 0.73], abs=0.01)


def test_none_or_all_solved_is_no_proof() -> None:
    """Clopper-Pearson of 0 in 30: 1 - 0.025^(1/30) = 0.1157."""
    assert problem_interval([0.0] * 30) == pytest.approx((0.0, 0.115703), abs=1e-6)
    assert problem_interval([1.0] * 30) == pytest.approx((1 - 0.115703, 1.0), abs=1e-6)
    assert problem_interval([0.0] * 2, 0.5) == pytest.approx((0.0, 0.5))
    assert problem_interval([0.5] * 3) == (0.5, 0.5)
    assert difference_interval([0.0] * 30) == pytest.approx((-0.115703, 0.115703), abs=1e-6)


def test_coverage_where_most_draws_of_problems_have_none_that_is_solved() -> None:
    """One problem in fifty is ever solved: 55% of draws of 30 problems have none."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(TRIALS):
        interval = problem_interval((random.random(PROBLEMS) < 0.02).astype(float).tolist())
        assert interval is not None
        held += interval[0] <= 0.02 <= interval[1]
    assert held / TRIALS >= 0.95
