"""The arithmetic of the gate, by hand."""

from __future__ import annotations

import math

import pytest

from recipes.rollouts.engine_agreement import TokenDifference, agreement


def test_mean_and_worst_token() -> None:
    found = agreement([[-1.0, -2.0], [-0.5]], [[-1.1, -2.0], [-0.1]])
    assert found.tokens == 3
    assert found.mean == pytest.approx((0.1 + 0.0 + 0.4) / 3)
    assert found.worst == TokenDifference(1, 0, -0.5, -0.1)
    assert found.worst.size == pytest.approx(0.4)


def test_what_is_no_number_is_the_worst_of_all() -> None:
    found = agreement([[-1.0, math.nan], [-9.0]], [[-1.0, -1.0], [-1.0]])
    assert found.worst.position == 1
    assert math.isinf(found.mean)
    assert math.isinf(agreement([[-math.inf]], [[-1.0]]).mean)


def test_nothing_to_compare_and_another_shape() -> None:
    with pytest.raises(ValueError, match="no token to compare"):
        agreement([[]], [[]])
    with pytest.raises(ValueError, match="zip"):
        agreement([[-1.0]], [[-1.0, -2.0]])
