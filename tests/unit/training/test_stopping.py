from __future__ import annotations

from collections.abc import Sequence

import pytest

from recipes.settings.schema import StoppingSettings
from recipes.training.stopping import plateau


def rule(metric: str, **values: float) -> StoppingSettings:
    defaults = {"min_steps": 0, "patience_steps": 3, "min_improvement": 0.0, "window_steps": 1}
    return StoppingSettings(metric=metric, **(defaults | values))  # type: ignore[arg-type]


def rewards(*values: float) -> list[dict[str, float]]:
    return [{"step": step, "reward": value} for step, value in enumerate(values)]


def first_stop(rows: Sequence[dict[str, float]], settings: StoppingSettings) -> int | None:
    """Steps done when the rule first ends the stage."""
    return next((done for done in range(len(rows) + 1) if plateau(rows[:done], settings)), None)


def test_reward_by_hand() -> None:
    """The best value, 0.5, is known after two steps; three steps later it is still the best."""
    assert first_stop(rewards(0.1, 0.5, 0.4, 0.5, 0.3, 0.6), rule("reward")) == 5
    assert first_stop(rewards(0.1, 0.5, 0.4, 0.6, 0.3, 0.6), rule("reward")) is None
    assert first_stop(rewards(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), rule("reward")) is None


def test_a_small_gain_is_no_gain() -> None:
    growing = rewards(0.1, 0.11, 0.12, 0.13, 0.14, 0.15)
    assert first_stop(growing, rule("reward", min_improvement=0.05)) == 4
    # Many small gains over the best value add up to one: 0.13 is more than 0.025 above 0.1.
    assert first_stop(growing, rule("reward", min_improvement=0.025, patience_steps=4)) is None


def test_reward_is_averaged_over_the_window() -> None:
    """Means of two: 0.5 after two steps, then 0.5, 0.5, 0.5: the first one stays the best."""
    assert first_stop(rewards(0, 1, 0, 1, 0, 1), rule("reward", window_steps=2)) == 5
    assert first_stop(rewards(0, 1, 0, 1, 0, 1), rule("reward", window_steps=7)) is None


def test_min_steps_are_done_in_any_case() -> None:
    assert first_stop(rewards(*[0.5] * 9), rule("reward", min_steps=8)) == 8


def test_validation_by_hand() -> None:
    rows = rewards(*[0.0] * 9)
    rows[0]["validation_start_avg"] = 0.4
    for done, score in ((2, 0.5), (4, 0.5), (6, 0.45), (8, 0.55)):
        rows[done - 1]["validation_avg"] = score
    assert first_stop(rows, rule("validation", patience_steps=4)) == 6
    assert first_stop(rows, rule("validation", patience_steps=7)) is None  # 0.55 after eight steps is a new best
    rows[0]["validation_start_avg"] = 0.6  # better than anything later
    assert first_stop(rows, rule("validation", patience_steps=4)) == 4


@pytest.mark.parametrize("metric", ["none", "validation"])
def test_without_a_value_a_stage_goes_on(metric: str) -> None:
    assert first_stop(rewards(*[0.5] * 20), rule(metric)) is None
