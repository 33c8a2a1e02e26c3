"""Rebalancing by difficulty: how long the teacher's responses are decides which prompts stay (paper §3.1.1).

"a large portion of the collected prompts are relatively simple, with many responses around or below 2,000 tokens in
length. To achieve a better balance across difficulty levels, we randomly filtered out a subset of these simpler prompts
and adjusted the proportions of other difficulty levels through additional random sampling." How many were filtered out
and which proportions were aimed at is not published: Figure 3 is a picture.

The length of a prompt is the mean length of its responses. Per domain: a share of the short prompts stays, then every
bin of lengths gives as many prompts as the largest set with the target shares needs. Which ones is drawn by keyed
random numbers, so a prompt's fate depends on the seed, its id and the counts of the bins, and not on order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recipes.data.apportionment import largest_fit
from recipes.data.keyed_draws import draws

SHORT = "short"
"""Rule that dropped a prompt: shorter than the limit, and not among the share that stays."""
DISTRIBUTION = "distribution"
"""Rule that dropped a prompt: its bin had more than the target distribution takes."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the prompts of one domain are to look like."""

    bins: tuple[int, ...]
    """Tokens, ascending from 0: the least length of each bin; the last one is open."""
    shares: tuple[float, ...]
    """Of the prompts in each bin, sum 1; empty: as they come after the rule about short prompts."""
    short_tokens: int
    """Shorter prompts are short."""
    short_keep: float
    """0 to 1: the share of the short prompts that stays."""
    tolerance: float
    """0 to 1: how far a bin's share may be from its target where that makes the set larger."""
    most: int | None = None
    """Prompts at most; None: no limit."""


def bin_names(bins: Sequence[int]) -> list[str]:
    """``0-1999``, ..., ``16000-``: tokens, both ends included."""
    ends = [str(high - 1) for high in bins[1:]] + [""]
    return [f"{low}-{end}" for low, end in zip(bins, ends, strict=True)]


def target_problems(target: Target) -> list[str]:
    """What is wrong with a target, each with what is expected."""
    problems = []
    if not target.bins or target.bins[0] != 0 or list(target.bins) != sorted(set(target.bins)):
        problems.append(f"bins are {list(target.bins)}; expected ascending numbers of tokens from 0 on")
    if target.shares and len(target.shares) != len(target.bins):
        problems.append(f"{len(target.shares)} shares for {len(target.bins)} bins; expected one for each bin, or none")
    elif target.shares and (min(target.shares) < 0 or abs(sum(target.shares) - 1) > 1e-6):
        problems.append(f"shares are {list(target.shares)}, sum {sum(target.shares):g}; expected 0 or more, sum 1")
    return problems


def rebalance(prompts: pl.DataFrame, target: Target, seed: int, domain: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Which prompts of a domain go.

    Args:
        prompts: ``id`` and ``tokens`` (mean tokens of the prompt's responses), one row for each prompt, in any order.
        target: sound (``target_problems``).
        seed: of the draws.
        domain: for the messages.

    Returns:
        The prompts that go, sorted by id: ``id``, ``tokens``, ``bin`` (name), ``rule``. And the report: what there was
        in each bin, after the rule about short prompts, in the end, and the targets.

    Raises:
        ValueError: the target cannot be met, because a bin that it asks for is empty.
    """
    names = bin_names(target.bins)
    whole = prompts.select("id", "tokens").sort("id")
    places = pl.lit(-1)
    for low in target.bins:
        places = places + (pl.col("tokens") >= low).cast(pl.Int32)
    ids = whole["id"].to_list()
    whole = whole.with_columns(
        place=places,
        first=pl.Series(draws(ids, seed, "rebalance short")),
        second=pl.Series(draws(ids, seed, "rebalance")),
    )
    short = whole.filter(pl.col("tokens") < target.short_tokens).sort("first", "id")
    kept_short = int(short.height * target.short_keep + 0.5)
    gone_short = short[kept_short:]
    left = whole.join(gone_short, on="id", how="anti")
    before, after_short = _counts(whole, len(names)), _counts(left, len(names))
    counts, limits = _fitted(after_short, target, domain, names)
    ranked = left.sort("second", "id").with_columns(rank=pl.int_range(pl.len()).over("place"))
    taken = pl.DataFrame({"place": range(len(names)), "take": counts}, schema={"place": pl.Int32, "take": pl.Int64})
    gone = ranked.join(taken, on="place", how="left").filter(pl.col("rank") >= pl.col("take"))
    columns = ("id", "tokens", "place")
    both = pl.concat(
        [
            gone_short.select(*columns, rule=pl.lit(SHORT)),
            gone.select(*columns, rule=pl.lit(DISTRIBUTION)),
        ]
    )
    named = both.with_columns(bin=pl.Series([names[place] for place in both["place"]], dtype=pl.String))
    report = {
        "prompts": {"before": whole.height, "short": short.height, "after_short": left.height, "after": sum(counts)},
        "at_most": target.most,
        "bins": [
            {
                "bin": name,
                "before": before[place],
                "after_short": after_short[place],
                "after": counts[place],
                "share": round(counts[place] / sum(counts), 6) if sum(counts) else 0.0,
                "target": target.shares[place] if target.shares else None,
            }
            for place, name in enumerate(names)
        ],
        "limited_by": [names[place] for place in limits],
    }
    return named.select("id", "tokens", "bin", "rule").sort("id"), report


def _counts(prompts: pl.DataFrame, bins: int) -> list[int]:
    found = dict(prompts.group_by("place").len().iter_rows())
    return [found.get(place, 0) for place in range(bins)]


def _fitted(
    available: Sequence[int], target: Target, domain: str, names: Sequence[str]
) -> tuple[Sequence[int], Sequence[int]]:
    """Prompts of each bin that stay, and the bins that set the limit."""
    have = sum(available)
    if not have:
        return available, ()
    most = have if target.most is None else min(target.most, have)
    shares = target.shares or tuple(count / have for count in available)
    tolerance = target.tolerance if target.shares else 0.0
    empty = [place for place, share in enumerate(shares) if share > tolerance and not available[place]]
    if empty:
        raise ValueError(
            f"rebalance.{domain}_shares: no set of prompts has them: no {domain} prompt has "
            f"{' or '.join(names[place] for place in empty)} tokens; expected prompts in every bin with a share above "
            f"rebalance.tolerance={tolerance:g}: set the shares of those bins to 0, or "
            f"rebalance.tolerance={max(shares[place] for place in empty):g}"
        )
    fit = largest_fit(available, shares, tolerance, most)
    return fit.counts, (fit.limits if target.shares and sum(fit.counts) < most else ())
