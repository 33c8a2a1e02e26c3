"""The comparison on numbers made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recipes.gpu_checking.agreement import compare, deviation, unsound
from recipes.gpu_checking.measurements import Half
from tests.unit.gpu_check.recorded import REFERENCE, SCALE, SPEEDS, half

RELATIVE = 2.0**-8 * 2


def _failed(**changes: Any) -> list[str]:
    return [one.name for one in compare(REFERENCE, replace(REFERENCE, **changes)) if not one.passed]


def test_equal_halves_pass() -> None:
    found = compare(REFERENCE, REFERENCE)
    assert [one.difference for one in found] == [0.0] * 8
    assert _failed() == []


def test_tolerances_by_hand() -> None:
    assert deviation(REFERENCE.log_probs) == 1.0  # mean -6, each one away from it
    assert pytest.approx(1 / 128) == SCALE
    expected = [2 * SCALE, 3 * RELATIVE, 3 * SCALE, 20 * SCALE, 1e-4, 2 * SCALE, 3 * RELATIVE, 6 * SCALE]
    assert [one.tolerance for one in compare(REFERENCE, REFERENCE)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("SFT: loss at every step", {"sft_losses": (6.0, 5.015, 4.0)}, {"sft_losses": (6.0, 5.016, 4.0)}),
        (
            "SFT: gradient norm, relative",  # 3/128 of 1.0 is 0.0234
            {"sft_gradient_norms": (2.0, 1.023, 0.5)},
            {"sft_gradient_norms": (2.0, 1.024, 0.5)},
        ),
        (
            "log-probabilities: mean",  # 3/128 on average is 0.09375 in all
            {"log_probs": (-5.09, -7.0, -5.0, -7.0)},
            {"log_probs": (-5.05, -7.05, -5.0, -7.0)},
        ),
        ("GRPO: loss", {"grpo_loss": 0.25009}, {"grpo_loss": 0.2502}),
        ("GRPO: entropy", {"grpo_entropy": 6.015}, {"grpo_entropy": 5.98}),
        ("GRPO: gradient norm, relative", {"grpo_gradient_norm": 1.535}, {"grpo_gradient_norm": 1.536}),
        (
            "log-probabilities after the GRPO update: mean",  # 6/128 on average is 0.1875 in all
            {"updated_log_probs": (-4.18, -8.0, -5.0, -7.0)},
            {"updated_log_probs": (-4.19, -8.0, -5.0, -7.0)},
        ),
    ],
)
def test_each_tolerance_holds_and_bites(name: str, inside: dict[str, Any], outside: dict[str, Any]) -> None:
    assert _failed(**inside) == []
    assert _failed(**outside) == [name]


def test_one_token_far_off_is_seen_where_the_mean_hides_it() -> None:
    many = replace(REFERENCE, log_probs=REFERENCE.log_probs * 100, updated_log_probs=REFERENCE.updated_log_probs * 100)
    found = compare(many, replace(many, log_probs=(-5.2, *many.log_probs[1:])))
    assert [one.name for one in found if not one.passed] == ["log-probabilities: largest"]


@pytest.mark.parametrize("name", ["sft_losses", "sft_gradient_norms", "log_probs", "updated_log_probs"])
def test_nan_never_passes(name: str) -> None:
    values = (*getattr(REFERENCE, name)[:-1], math.nan)
    assert _failed(**{name: values}) != []
    assert unsound(replace(REFERENCE, **{name: values})) != []


def test_no_gradient_is_no_sound_step() -> None:
    assert unsound(REFERENCE) == []
    assert unsound(replace(REFERENCE, grpo_gradient_norm=0.0)) == ["gradient norm 0.0"]


@pytest.mark.parametrize("changes", [{"layers": 2}, {"log_probs": (-5.0,)}, {"sft_losses": (6.0,)}])
def test_other_tokens_or_another_model_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not the same model and tokens"):
        compare(REFERENCE, replace(REFERENCE, **changes))


def test_a_half_comes_back_from_its_file(tmp_path: Path) -> None:
    written = half(REFERENCE, SPEEDS)
    written.write(tmp_path / "half.json")
    assert Half.read(tmp_path / "half.json") == written
