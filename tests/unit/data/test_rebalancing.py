"""Rebalancing: short prompts at random, then the largest set with the target's shares."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.rebalancing import DISTRIBUTION, SHORT, Target, bin_names, rebalance, target_problems

BINS = (0, 2000, 4000)


def target(
    shares: tuple[float, ...] = (), keep: float = 1.0, tolerance: float = 0.0, most: int | None = None
) -> Target:
    return Target(BINS, shares, short_tokens=2000, short_keep=keep, tolerance=tolerance, most=most)


def prompts(*counts: int) -> pl.DataFrame:
    """As many prompts in each bin as asked, of 1,000, 3,000 and 5,000 tokens."""
    rows = [(f"{place}{n:015x}", 1000.0 + 2000 * place) for place, count in enumerate(counts) for n in range(count)]
    return pl.DataFrame(rows, schema={"id": pl.String, "tokens": pl.Float64}, orient="row")


def kept(report: dict, key: str = "after") -> list[int]:
    return [row[key] for row in report["bins"]]


def test_names_of_bins_have_both_ends() -> None:
    assert bin_names(BINS) == ["0-1999", "2000-3999", "4000-"]


def test_a_share_of_the_short_prompts_goes_at_random() -> None:
    gone, report = rebalance(prompts(100, 50, 10), target(keep=0.3), 1, "math")
    assert kept(report) == [30, 50, 10]
    assert gone.height == 70 and set(gone["rule"]) == {SHORT} and set(gone["bin"]) == {"0-1999"}
    other, _ = rebalance(prompts(100, 50, 10), target(keep=0.3), 2, "math")
    assert set(other["id"]) != set(gone["id"])


def test_the_rest_takes_the_target_s_shares() -> None:
    gone, report = rebalance(prompts(100, 50, 10), target((0.2, 0.3, 0.5), keep=0.5), 1, "math")
    assert kept(report, "before") == [100, 50, 10]
    assert kept(report, "after_short") == [50, 50, 10]
    assert kept(report) == [4, 7, 10]  # as `largest_fit` has it
    assert report["limited_by"] == ["4000-"]
    counts = dict(gone.group_by("rule").len().iter_rows())
    assert counts == {SHORT: 50, DISTRIBUTION: 46 + 43}
    assert gone.height + sum(kept(report)) == 160


def test_the_length_at_an_edge_belongs_to_the_upper_bin() -> None:
    edge = pl.DataFrame({"id": ["a", "b"], "tokens": [1999.9, 2000.0]})
    _, report = rebalance(edge, target(), 1, "math")
    assert kept(report) == [1, 1, 0]
    assert report["prompts"]["short"] == 1


def test_a_limit_on_the_prompts() -> None:
    _, report = rebalance(prompts(100, 50, 10), target((0.5, 0.4, 0.1), most=20), 1, "math")
    assert kept(report) == [10, 8, 2]
    assert report["limited_by"] == []


def test_a_bin_without_prompts_is_named_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"code_shares: .*no code prompt has 4000- tokens.*rebalance\.tolerance=0\.5"):
        rebalance(prompts(100, 50, 0), target((0.2, 0.3, 0.5), tolerance=0.1), 1, "code")
    _, report = rebalance(prompts(100, 50, 0), target((0.2, 0.3, 0.5), tolerance=0.5), 1, "code")
    assert sum(kept(report)) > 0


def test_no_prompt_at_all() -> None:
    gone, report = rebalance(prompts(), target((0.2, 0.3, 0.5)), 1, "code")
    assert gone.height == 0 and sum(kept(report)) == 0


def test_what_is_wrong_with_a_target() -> None:
    assert target_problems(target((0.2, 0.3, 0.5))) == [] == target_problems(target())
    assert "one for each bin" in target_problems(target((0.5, 0.5)))[0]
    assert "sum 1.1" in target_problems(target((0.3, 0.3, 0.5)))[0]
    assert "ascending" in target_problems(Target((5, 2), (), 2000, 1.0, 0.0))[0]
    assert len(target_problems(Target((), (1.0,), 2000, 1.0, 0.0))) == 2


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 9000), max_size=60), st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_and_other_prompts_names_do_not_matter(lengths: list[int], dice: object, seed: int) -> None:
    rows = [(f"{n:016x}", float(length)) for n, length in enumerate(lengths)]
    aim = target((0.4, 0.4, 0.2), keep=0.5, tolerance=0.4)
    shuffled = list(rows)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    schema = {"id": pl.String, "tokens": pl.Float64}
    one, report = rebalance(pl.DataFrame(rows, schema, orient="row"), aim, seed, "math")
    other, same = rebalance(pl.DataFrame(shuffled, schema, orient="row"), aim, seed, "math")
    assert one.equals(other) and report == same
    assert one.height + report["prompts"]["after"] == len(rows)
    assert set(one["id"]) <= {name for name, _ in rows} and one["id"].is_unique().all()
