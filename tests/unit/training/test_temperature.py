from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.training.temperature import (
    EntropyPoint,
    PromptEntropy,
    choose_temperature,
    crossing,
    isotonic,
    ratio_error,
    ratio_of_sums,
)

PAPER = ([0.6, 0.85, 1.0], [0.15, 0.26, 0.4])
"""Figure 8: temperature and entropy of the SFT-v7 model at the start."""


def point(temperature: float, *pairs: tuple[float, int], rewards: tuple[float, ...] | None = None) -> EntropyPoint:
    rewards = rewards or (0.5,) * len(pairs)
    prompts = (PromptEntropy(e, n, r, 0.25) for (e, n), r in zip(pairs, rewards, strict=True))
    return EntropyPoint(temperature, tuple(prompts))


def test_the_papers_model() -> None:
    """Between 0.85 and 1.0: 0.85 + 0.15 * ln(0.3 / 0.26) / ln(0.4 / 0.26) = 0.8998."""
    temperature, clamped = crossing(*PAPER, 0.3)
    assert temperature == pytest.approx(0.8998, abs=1e-4)
    assert clamped is None
    assert crossing(*PAPER, 0.26) == (0.85, None)


def test_out_of_reach_is_clamped_and_said() -> None:
    assert crossing(*PAPER, 0.1) == (0.6, "lowest")
    assert crossing(*PAPER, 0.5) == (1.0, "highest")
    assert crossing([0.8], [0.3], 0.3) == (0.8, None)


def test_a_level_stretch_gives_its_middle() -> None:
    assert crossing([0.5, 0.7, 0.9, 1.1], [0.1, 0.3, 0.3, 0.5], 0.3) == (pytest.approx(0.8), None)


def test_isotonic_by_hand() -> None:
    assert isotonic([1, 3, 2, 4]) == [1, 2.5, 2.5, 4]
    assert isotonic([4, 2, 0]) == [2, 2, 2]
    assert isotonic([1, 2, 3]) == [1, 2, 3]


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=8))
def test_isotonic_ascends_and_keeps_the_sum(values: list[float]) -> None:
    smooth = isotonic(values)
    assert smooth == sorted(smooth)
    assert sum(smooth) == pytest.approx(sum(values))


def test_entropy_is_over_tokens_and_its_error_over_prompts() -> None:
    """Sums 10, 20 over 100, 100 tokens: mean 0.15; residuals -5, 5: sqrt(2 * 50) / 200 = 0.05."""
    measured = point(1.0, (10, 100), (20, 100), rewards=(0.25, 0.75))
    assert measured.entropy == 0.15
    assert measured.entropy_stderr == pytest.approx(0.05)
    assert (measured.reward, measured.truncated) == (0.5, 0.25)
    assert measured.reward_stderr == pytest.approx(math.sqrt(0.125 / 2))
    assert ratio_of_sums([10, 90], [100, 300]) == 0.25
    assert ratio_error([25, 75], [100, 300]) == 0  # every prompt has the same ratio


def test_equal_tokens_give_the_plain_standard_error() -> None:
    """With 4 draws 1, 2, 3, 4: sd 1.29, / sqrt(4)."""
    assert ratio_error([1, 2, 3, 4], [1, 1, 1, 1]) == pytest.approx(math.sqrt(5 / 3) / 2)
    with pytest.raises(ValueError, match="at least two"):
        ratio_error([1], [1])


def test_prompts_that_agree_leave_no_uncertainty() -> None:
    points = [point(t, *[(entropy * 100, 100)] * 8) for t, entropy in zip(*PAPER, strict=True)]
    chosen = choose_temperature(points, 0.3, 1)
    assert chosen.temperature == pytest.approx(0.8998, abs=1e-4)
    assert chosen.stderr == pytest.approx(0, abs=1e-9)
    assert chosen.low == pytest.approx(chosen.high)


def test_uncertainty_by_the_delta_method() -> None:
    """T = 0.8 + 0.4 * ln(0.3 / e0) / ln(e1 / e0) with e1 fixed and e0 known to 1 %: the bootstrap agrees."""
    spread = [18.0, 22.0] * 50
    points = [point(0.8, *[(e, 100) for e in spread]), point(1.2, *[(45.0, 100)] * 100)]
    error = points[0].entropy_stderr
    chosen = choose_temperature(points, 0.3, 7)
    log_low, log_high, log_target = math.log(0.2), math.log(0.45), math.log(0.3)
    slope = 0.4 * (log_target - log_high) / (log_high - log_low) ** 2 / 0.2
    assert chosen.stderr == pytest.approx(abs(slope) * error, rel=0.1)
    assert chosen.low < chosen.temperature < chosen.high
    assert chosen == choose_temperature(points, 0.3, 7)
