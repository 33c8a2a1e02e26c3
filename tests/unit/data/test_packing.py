"""Best-fit decreasing, against hand-worked packings and the plain algorithm."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.packing import best_fit_decreasing


def plain(lengths: list[int], limit: int) -> int:
    """One demonstration at a time."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [place for place, room in enumerate(rooms) if room >= length]
        if fitting:
            rooms[min(fitting, key=lambda place: rooms[place])] -= length
        else:
            rooms.append(limit - length)
    return len(rooms)


def test_hand_worked() -> None:
    found = best_fit_decreasing([7, 5, 5, 3, 2, 2], 10)  # 7+3, 5+5, 2+2
    assert (found.sequences, found.demonstrations, found.tokens) == (3, 6, 24)
    assert found.efficiency == pytest.approx(0.8)


def test_one_demonstration_that_fills_a_sequence_and_none_at_all() -> None:
    assert best_fit_decreasing([10, 10], 10).efficiency == 1.0
    nothing = best_fit_decreasing([], 10)
    assert (nothing.sequences, nothing.efficiency) == (0, 0.0)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="from 4 to 11 tokens; expected 1 to 10"):
        best_fit_decreasing([4, 11], 10)
    with pytest.raises(ValueError, match="from 0 to 0"):
        best_fit_decreasing([0], 10)


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(30, 60))
def test_the_same_as_one_at_a_time(lengths: list[int], limit: int) -> None:
    found = best_fit_decreasing(lengths, limit)
    assert found.sequences == plain(lengths, limit)
    assert found.tokens == sum(lengths)


def test_millions_take_seconds() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(9, 0.8, 500_000), 50, 32768).astype(int).tolist()
    started = time.process_time()
    found = best_fit_decreasing(lengths, 32768)
    assert time.process_time() - started < 10
    assert found.efficiency > 0.95
