"""Whole numbers in proportion: hand-worked seats, and what must hold for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.apportionment import apportion, largest_fit


def test_seats_of_an_election_by_sainte_lague() -> None:
    # quotients of 53: 53, 17.7, 10.6, 7.6; of 24: 24, 8, 4.8; of 23: 23, 7.7, 4.6: the seven largest
    assert apportion(7, [53, 24, 23]) == [3, 2, 2]
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]  # equal turns go to the first
    assert apportion(0, [5, 5]) == [0, 0]
    assert apportion(3, [0, 9, 0]) == [0, 3, 0]
    assert apportion(0, [0, 0]) == [0, 0]


def test_seats_without_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one stratum with rows"):
        apportion(1, [0, 0])


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12).filter(any), st.data())
def test_seats_sum_grow_and_stay_within_the_weights(weights: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(weights)))
    more = data.draw(st.integers(total, 3 * sum(weights)))
    counts = apportion(total, weights)
    assert sum(counts) == total
    assert all(count <= weight for count, weight in zip(counts, weights, strict=True))
    assert all(few <= many for few, many in zip(counts, apportion(more, weights), strict=True))
    assert all(abs(count - total * w / sum(weights)) < len(weights) for count, w in zip(counts, weights, strict=True))


def test_the_scarcest_stratum_decides() -> None:
    fit = largest_fit([100, 50, 10], [0.2, 0.3, 0.5], 0.0)
    assert fit.counts == (4, 7, 10)  # 21 rows, exactly 4.2, 6.3 and 10.5
    assert fit.limits == (2,)


def test_a_tolerance_makes_the_set_larger() -> None:
    fit = largest_fit([100, 50, 10], [0.2, 0.3, 0.5], 0.1)
    assert fit.counts == (7, 10, 10)  # 10 of 27 is 40% to within one row; the others are two to three, as their shares


def test_a_limit_on_the_whole() -> None:
    fit = largest_fit([1000, 1000, 1000], [0.1, 0.3, 0.6], 0.0, most=100)
    assert fit.counts == (10, 30, 60)
    assert fit.limits == ()


def test_a_share_of_nothing_takes_nothing() -> None:
    assert largest_fit([50, 50], [0.0, 1.0], 0.2).counts == (0, 50)


def test_a_missing_stratum_leaves_nothing_or_what_the_tolerance_allows() -> None:
    assert sum(largest_fit([0, 100], [0.4, 0.6], 0.0).counts) <= 2  # within one row of nothing
    assert largest_fit([0, 100], [0.04, 0.96], 0.05).counts == (0, 100)


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 20)), min_size=1, max_size=8).filter(
        lambda rows: any(weight for _, weight in rows)
    ),
    st.floats(0, 0.3),
    st.one_of(st.none(), st.integers(0, 5000)),
)
def test_a_fit_is_within_its_bounds(rows: list[tuple[int, int]], tolerance: float, most: int | None) -> None:
    available = [count for count, _ in rows]
    shares = [weight / sum(w for _, w in rows) for _, weight in rows]
    counts = largest_fit(available, shares, tolerance, most).counts
    total = sum(counts)
    assert most is None or total <= most
    for count, have, share in zip(counts, available, shares, strict=True):
        assert 0 <= count <= have
        assert total * (share - tolerance) - 1 <= count <= total * (share + tolerance) + 1
