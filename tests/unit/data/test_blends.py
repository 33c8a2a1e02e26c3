"""Blends: nested, with the same lengths, of the sizes asked for or refused."""

from __future__ import annotations

import itertools
import random

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

from recipes.data.blends import BlendPlan, TooFew, Wanted, blend_report, plan_blends, size_problems

NAMES = ("v1", "v2", "v3")
SCHEMA = {"id": pl.String, "sample": pl.Int32, "domain": pl.String, "tokens": pl.Int32}


def wanted(prompts: tuple[int, ...], samples: tuple[int, ...], domain: str = "math") -> Wanted:
    return Wanted(tuple(f"v{n + 1}" for n in range(len(prompts))), {domain: prompts}, {domain: samples})


def pool(prompts: int, responses: int, domain: str = "math", seed: int = 0) -> pl.DataFrame:
    """Prompts of widely different lengths, each with as many responses."""
    dice = random.Random(seed)
    rows = []
    for number in range(prompts):
        length = dice.lognormvariate(8.5, 0.8)
        for sample in range(responses):
            rows.append((f"{domain}{number:08d}", sample, domain, int(length * dice.uniform(0.8, 1.25)) + 1))
    dice.shuffle(rows)
    return pl.DataFrame(rows, SCHEMA, orient="row")


def blend(plan: BlendPlan, number: int) -> pl.DataFrame:
    return plan.members.filter(pl.col("first") <= number)


def test_blends_have_the_sizes_asked_for_and_contain_each_other() -> None:
    plan = plan_blends(pool(500, 6), wanted((50, 200, 400), (50, 200, 2000)), strata=10, seed=1)
    for number, (prompts, samples) in enumerate([(50, 50), (200, 200), (400, 2000)]):
        here = blend(plan, number)
        assert (here["id"].n_unique(), here.height) == (prompts, samples)
        assert here.select("id", "sample").is_unique().all()
    assert plan.sizes == {"math": [(50, 50), (200, 200), (400, 2000)]}
    assert blend(plan, 1).group_by("id").len()["len"].max() == 1  # one response a prompt, as v1 to v4
    assert set(blend(plan, 2).group_by("id").len()["len"]) == {5}
    assert plan.members.select("id", "sample").rows() == sorted(plan.members.select("id", "sample").rows())


def test_second_responses_come_before_third_ones() -> None:
    plan = plan_blends(pool(100, 4), wanted((100, 100), (150, 250)), strata=1, seed=1)
    assert dict(blend(plan, 0).group_by("id").len()["len"].value_counts().iter_rows()) == {1: 50, 2: 50}
    assert dict(blend(plan, 1).group_by("id").len()["len"].value_counts().iter_rows()) == {2: 50, 3: 50}


def test_all_blends_have_the_same_lengths() -> None:
    samples = pool(4000, 6)
    plan = plan_blends(samples, wanted((300, 1500, 3000), (300, 1500, 15000)), strata=20, seed=5)
    lengths = plan.members.join(samples, on=["id", "sample"])
    everything = samples["tokens"].to_numpy()
    edges = [0, 2000, 4000, 8000, 16000, 10**9]
    whole = [((everything >= low) & (everything < high)).mean() for low, high in itertools.pairwise(edges)]
    for number in range(3):
        tokens = lengths.filter(pl.col("first") <= number)["tokens"].to_numpy()
        # far below what independent draws of this size would give: half of them would have a larger statistic
        assert ks_2samp(tokens, everything).statistic < 0.6 / len(tokens) ** 0.5 + 0.01
        counts = [((tokens >= low) & (tokens < high)).sum() for low, high in itertools.pairwise(edges)]
        assert chisquare(counts, [share * len(tokens) for share in whole]).pvalue > 0.2


def test_too_few_prompts_are_named_with_the_scale_that_works() -> None:
    asked = wanted((50, 200, 400), (50, 200, 800))
    with pytest.raises(TooFew) as caught:
        plan_blends(pool(100, 2), asked, strata=5, seed=1)
    text = str(caught.value)
    assert "v2: 200 math prompts wanted, 100 there" in text and "v3: 400 math prompts" in text and "v1" not in text
    assert "blends.prompts_scale=auto (0.25 here)" in text
    plan = plan_blends(pool(100, 2), asked, strata=5, seed=1, prompts_scale=None)
    assert plan.prompts_scale == 0.25
    assert plan.sizes == {"math": [(12, 12), (50, 50), (100, 200)]}
    same = plan_blends(pool(100, 2), asked, strata=5, seed=1, prompts_scale=0.25)
    assert same.members.equals(plan.members)


def test_too_few_responses_are_named_with_the_scale_that_works() -> None:
    asked = wanted((50, 100), (50, 400))
    with pytest.raises(TooFew, match=r"v2: 300 further math responses.*\n.*responses_scale=auto \(0\.3366"):
        plan_blends(pool(100, 2), asked, strata=5, seed=1)
    plan = plan_blends(pool(100, 2), asked, strata=5, seed=1, responses_scale=None)
    assert plan.sizes == {"math": [(50, 50), (100, 200)]}


def test_a_domain_without_samples() -> None:
    asked = Wanted(("v1",), {"math": (10,), "code": (10,)}, {"math": (10,), "code": (10,)})
    with pytest.raises(TooFew, match=r"v1: 10 code prompts wanted, 0 there\n.*leaves out the domain"):
        plan_blends(pool(20, 1), asked, strata=2, seed=1)
    plan = plan_blends(pool(20, 1), asked, strata=2, seed=1, prompts_scale=None)
    assert plan.missing == ("code",) and plan.sizes == {"math": [(10, 10)]}
    with pytest.raises(TooFew, match="no sample"):
        plan_blends(pool(0, 0), asked, strata=2, seed=1, prompts_scale=None)


def test_blends_that_scaling_leaves_empty_are_refused() -> None:
    with pytest.raises(TooFew, match="nothing is left of v1"):
        plan_blends(pool(3, 1), wanted((1, 100), (1, 100)), strata=2, seed=1, prompts_scale=None)


def test_the_report_counts_what_is_in_no_blend() -> None:
    plan = plan_blends(pool(30, 3), wanted((10, 20), (10, 40)), strata=2, seed=1)
    report = blend_report(plan, ("v1", "v2"), {"math": (30, 90)}, repeated=3)
    assert report["blends"]["v2"]["math"] == {"prompts": 20, "samples": 40, "responses_per_prompt": 2.0}
    assert report["in_no_blend"] == {"math": {"prompts": 10, "samples": 50}}


def test_what_is_wrong_with_sizes() -> None:
    assert size_problems(wanted((10, 20), (10, 40))) == []
    assert "v2; expected at least 20 of v1" in size_problems(wanted((20, 10), (20, 40)))[0]
    assert "math_samples minus math_prompts: -1" in size_problems(wanted((20,), (19,)))[0]
    assert "10 in v2; expected at least 20" in size_problems(wanted((20, 40), (40, 50)))[0]
    assert "1 and 2 sizes" in size_problems(Wanted(("a",), {"code": (1,)}, {"code": (1, 2)}))[0]
    assert "each once" in size_problems(Wanted(("a", "a"), {}, {}))[0]
    assert "cannot be a folder" in size_problems(Wanted(("a/b",), {}, {}))[0]


@settings(deadline=None, max_examples=25)
@example([(1, 1), (1, 1)], [(2, 0)], 4, random.Random(1))  # fewer prompts than strata
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9000)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), min_size=1, max_size=4),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_any_pool_and_growing_sizes(
    prompts: list[tuple[int, int]], growth: list[tuple[int, int]], strata: int, dice: random.Random
) -> None:
    rows = [(f"p{n:04d}", s, "code", tokens + s) for n, (count, tokens) in enumerate(prompts) for s in range(count)]
    counts = [sum(step[0] for step in growth[: n + 1]) for n in range(len(growth))]
    further = [sum(step[1] for step in growth[: n + 1]) for n in range(len(growth))]
    asked = wanted(tuple(counts), tuple(map(sum, zip(counts, further, strict=True))), "code")
    assert size_problems(asked) == []
    shuffled = list(rows)
    dice.shuffle(shuffled)

    def planned(some: list[tuple[str, int, str, int]]) -> BlendPlan | str:
        try:
            return plan_blends(pl.DataFrame(some, SCHEMA, orient="row"), asked, strata, 3, None, None)
        except TooFew as error:
            return str(error)

    one, other = planned(rows), planned(shuffled)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert one.members.equals(other.members) and one.sizes == other.sizes
    for number, (prompts_there, samples_there) in enumerate(one.sizes["code"]):
        here = blend(one, number)
        assert (here["id"].n_unique(), here.height) == (prompts_there, samples_there)
