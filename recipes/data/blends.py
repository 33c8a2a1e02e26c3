"""The SFT blends v1 to v7: ever more prompts, then ever more responses for each, alike in length (paper §3.1.2).

Published (§3.1.2, §4.4.1): v1 has 18K math and 18K code samples, v7 1.2M and 1.0M; v1 to v4 have one response for each
prompt; from v5 on both grow; v7 has about the prompts of v6 and nearly twice its responses; "each maintaining a similar
distribution of response token lengths". The sizes between are a picture (Figure 4), so those of
``conf/prepare/blends.yaml`` are substitutes.

How it is done here: the prompts of a domain are sorted by length and cut into strata of equal size. Within a stratum
the prompts stand in the order of a keyed random number, and so do the responses of a prompt. A blend takes from each
stratum its proportional part of the prompts, the first ones, with one response each; then its proportional part of the
further responses, second ones before third ones. So every blend contains the smaller ones, prompts and samples, and all
have the same lengths, to within one prompt and one response for each stratum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recipes.data.apportionment import apportion
from recipes.data.keyed_draws import draws

STEPS = 1_000_000
"""A scale that is found is a whole number of these parts of one, so that it can be given again."""
Scale = float | None
"""A factor above 0, or None: the largest one up to 1 that the samples allow."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sizes of the blends, smallest first."""

    names: tuple[str, ...]
    prompts: Mapping[str, tuple[int, ...]]
    """Domain -> prompts of each blend."""
    samples: Mapping[str, tuple[int, ...]]
    """Domain -> samples of each blend."""

    def scaled(self, domain: str, blend: int, prompts: Fraction, further: Fraction) -> tuple[int, int]:
        """(prompts, further responses beyond one for each) of a blend, each factor applied and rounded down."""
        count, samples = self.prompts[domain][blend], self.samples[domain][blend]
        return math.floor(prompts * count), math.floor(prompts * further * (samples - count))


@dataclass(frozen=True, slots=True)
class BlendPlan:
    """Which samples are in which blend."""

    members: pl.DataFrame
    """``id``, ``sample``, ``first``: number of the smallest blend with the sample (every larger one has it as well), in
    the order of id and sample. Samples in no blend are left out."""
    prompts_scale: float
    responses_scale: float
    """The factors that were used."""
    sizes: Mapping[str, Sequence[tuple[int, int]]]
    """Domain -> (prompts, samples) of each blend."""
    missing: tuple[str, ...]
    """Domains that were wanted and of which there is no sample."""


class TooFew(ValueError):
    """There are fewer prompts or responses than the blends want."""


def size_problems(wanted: Wanted) -> list[str]:
    """What is wrong with the sizes, each with what is expected."""
    problems = []
    if not wanted.names or len(set(wanted.names)) != len(wanted.names):
        problems.append(f"blends.names is {list(wanted.names)}; expected at least one name, each once")
    for name in wanted.names:
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith("."):
            problems.append(f"blends.names: {name!r} cannot be a folder; expected letters, digits, dots and dashes")
    for domain, prompts in wanted.prompts.items():
        samples = wanted.samples[domain]
        lengths = {len(wanted.names), len(prompts), len(samples)}
        if len(lengths) > 1:
            problems.append(
                f"blends.{domain}_prompts and blends.{domain}_samples have {len(prompts)} and {len(samples)} sizes; "
                f"expected one for each of the {len(wanted.names)} blends"
            )
            continue
        further = [many - few for many, few in zip(samples, prompts, strict=True)]
        for what, sizes in ((f"{domain}_prompts", prompts), (f"{domain}_samples minus {domain}_prompts", further)):
            for place, size in enumerate(sizes):
                before = sizes[place - 1] if place else 0
                if size < before:
                    after = f"of {wanted.names[place - 1]}, which {wanted.names[place]} contains" if place else ""
                    problems.append(
                        f"blends.{what}: {size} in {wanted.names[place]}; expected at least {before} {after}"
                    )
    return [problem.rstrip() for problem in problems]


def plan_blends(
    samples: pl.DataFrame,
    wanted: Wanted,
    strata: int,
    seed: int,
    prompts_scale: Scale = 1.0,
    responses_scale: Scale = 1.0,
) -> BlendPlan:
    """Chooses the samples of all blends.

    Args:
        samples: ``id``, ``sample`` (number within the prompt), ``domain``, ``tokens`` (of the response); in any order,
            each (id, sample) once.
        wanted: sound (``size_problems``).
        strata: groups of equal size that the prompts of a domain are cut into by the mean length of their responses.
        seed: of the draws.
        prompts_scale: factor of all sizes.
        responses_scale: another factor of the samples beyond one for each prompt.

    Raises:
        TooFew: the samples do not suffice; with all that is missing and the settings that work.
    """
    domains = {
        domain: _Domain(samples.filter(pl.col("domain") == domain), strata, seed)
        for domain in wanted.prompts
        if max(wanted.prompts[domain])
    }
    missing = tuple(domain for domain, found in domains.items() if not found.prompts)
    if prompts_scale is None or len(missing) == len(domains):
        domains = {domain: found for domain, found in domains.items() if found.prompts}
    if not domains:
        raise TooFew(
            "no sample to make a blend of; expected responses to at least one prompt: is the step before right?"
        )
    share = _prompts_scale(domains, wanted, prompts_scale)
    further = _responses_scale(domains, wanted, share, responses_scale)
    for domain, found in domains.items():
        found.choose([wanted.scaled(domain, blend, share, further) for blend in range(len(wanted.names))])
    members = pl.concat([found.members() for found in domains.values()]).sort("id", "sample")
    sizes = {domain: found.sizes for domain, found in domains.items()}
    empty = [name for place, name in enumerate(wanted.names) if not any(size[place][0] for size in sizes.values())]
    if empty:
        raise TooFew(
            f"nothing is left of {', '.join(empty)} at blends.prompts_scale={float(share):g}; expected at least one "
            "prompt in each blend: more prompts, or fewer and larger blends (blends.names and their sizes)"
        )
    return BlendPlan(members, float(share), float(further), sizes, missing)


def _prompts_scale(domains: Mapping[str, _Domain], wanted: Wanted, asked: Scale) -> Fraction:
    exact = [Fraction(found.prompts, max(wanted.prompts[domain])) for domain, found in domains.items()]
    possible = min(Fraction(1), Fraction(math.floor(min(exact) * STEPS), STEPS))
    if asked is None:
        return possible
    share = Fraction(str(asked))
    short = [
        f"{name}: {count:,} {domain} prompts wanted, {found.prompts:,} there"
        for place, name in enumerate(wanted.names)
        for domain, found in domains.items()
        for count in [math.floor(share * wanted.prompts[domain][place])]
        if count > found.prompts
    ]
    if short:
        way = f"blends.prompts_scale=auto ({float(possible):g} here)"
        if not possible:
            way = "blends.prompts_scale=auto, which leaves out the domain that has none"
        raise TooFew("\n".join([*short, f"fix: {way}, other sizes (blends.*_prompts), or more prompts"]))
    return share


def _responses_scale(domains: Mapping[str, _Domain], wanted: Wanted, share: Fraction, asked: Scale) -> Fraction:
    def short(further: Fraction) -> list[str]:
        return [
            f"{name}: {sizes[1]:,} further {domain} responses wanted beyond one for each of {sizes[0]:,} prompts; "
            f"prompts of {tokens:.0f} tokens and like lengths have {have:,} of the {want:,} that are their part"
            for place, name in enumerate(wanted.names)
            for domain, found in domains.items()
            for sizes in [wanted.scaled(domain, place, share, further)]
            for tokens, want, have in found.lacking(*sizes)[:1]
        ]

    low, high = 0, STEPS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if short(Fraction(middle, STEPS)) else (middle, high)
    if asked is None:
        return Fraction(low, STEPS)
    further = Fraction(str(asked))
    found = short(further)
    if found:
        way = f"fix: blends.responses_scale=auto ({low / STEPS:g} here), smaller blends.*_samples, or more responses"
        raise TooFew("\n".join([*found, way]))
    return further


class _Domain:
    """The samples of one domain in the order in which blends take them."""

    def __init__(self, samples: pl.DataFrame, strata: int, seed: int) -> None:
        by_prompt = samples.group_by("id").agg(length=pl.col("tokens").mean(), responses=pl.len()).sort("length", "id")
        self.prompts = by_prompt.height
        self.sizes: list[tuple[int, int]] = []
        strata = min(strata, self.prompts)  # none is empty
        by_prompt = by_prompt.with_columns(
            stratum=pl.int_range(pl.len()) * strata // max(self.prompts, 1),
            draw=pl.Series(draws(by_prompt["id"], seed, "blend prompts"), dtype=pl.UInt64),
        ).sort("stratum", "draw", "id")
        by_prompt = by_prompt.with_columns(rank=pl.int_range(pl.len()).over("stratum"))
        names = (f"{id}/{sample}" for id, sample in samples.select("id", "sample").iter_rows())
        drawn = samples.select("id", "sample").with_columns(
            own=pl.Series(draws(names, seed, "blend responses"), dtype=pl.UInt64)
        )
        drawn = drawn.sort("id", "own", "sample").with_columns(turn=pl.int_range(pl.len()).over("id"))
        # second responses of all prompts before third ones, prompts in their order
        self._samples = drawn.join(by_prompt.select("id", "stratum", "rank"), on="id").sort("stratum", "turn", "rank")
        self._weights = [int(size) for size in by_prompt.group_by("stratum").len().sort("stratum")["len"]]
        lengths = by_prompt.group_by("stratum").agg(pl.col("length").median()).sort("stratum")["length"]
        self._lengths = lengths.to_list()
        self._further = [
            np.concatenate([[0], np.cumsum(group["responses"].to_numpy() - 1)])
            for group in by_prompt.partition_by("stratum", maintain_order=True)
        ]
        self._first: npt.NDArray[np.int8] = np.full(self._samples.height, -1, np.int8)

    def lacking(self, prompts: int, further: int) -> list[tuple[float, int, int]]:
        """(median length, further responses wanted, there) of each stratum that has too few for a blend."""
        if prompts > self.prompts or not further:
            return []
        taken, wanted = apportion(prompts, self._weights), apportion(further, self._weights)
        have = [int(sums[count]) for sums, count in zip(self._further, taken, strict=True)]
        rows = zip(self._lengths, wanted, have, strict=True)
        return [(length, want, there) for length, want, there in rows if want > there]

    def choose(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Marks the smallest blend of each sample.

        Args:
            sizes: (prompts, further responses) of each blend, both growing.
        """
        self.sizes = [(prompts, prompts + further) for prompts, further in sizes]
        prompts = np.array([apportion(count, self._weights) for count, _ in sizes]).reshape(len(sizes), -1)
        further = np.array([apportion(count, self._weights) for _, count in sizes]).reshape(len(sizes), -1)
        strata, turns, ranks = (self._samples[name].to_numpy() for name in ("stratum", "turn", "rank"))
        for stratum in range(len(self._weights)):
            inside = slice(*np.searchsorted(strata, [stratum, stratum + 1]))
            turn, rank, first = turns[inside], ranks[inside], self._first[inside]
            taken = 0
            for blend in range(len(sizes)):
                open_ = (first < 0) & (rank < prompts[blend, stratum])
                first[open_ & (turn == 0)] = blend
                more = np.flatnonzero(open_ & (turn > 0))[: further[blend, stratum] - taken]
                first[more] = blend
                taken += len(more)

    def members(self) -> pl.DataFrame:
        """``id``, ``sample`` and ``first`` of the samples in a blend."""
        return self._samples.select("id", "sample", first=pl.Series(self._first)).filter(pl.col("first") >= 0)


def responses_per_prompt(sizes: Sequence[tuple[int, int]]) -> list[float]:
    """Samples for each prompt, on average, of each blend; 0 where it has no prompt."""
    return [samples / prompts if prompts else 0.0 for prompts, samples in sizes]


def blend_report(
    plan: BlendPlan, names: Sequence[str], there: Mapping[str, tuple[int, int]], repeated: int = 0
) -> dict[str, Any]:
    """Counts of the blends as JSON, with what is in none of them.

    Args:
        names: of the blends.
        there: domain -> (prompts, samples) that could have been chosen.
        repeated: samples that could not, because their response repeats another one of the prompt.
    """
    blends = {
        name: {
            domain: {
                "prompts": sizes[place][0],
                "samples": sizes[place][1],
                "responses_per_prompt": round(responses_per_prompt(sizes)[place], 4),
            }
            for domain, sizes in sorted(plan.sizes.items())
        }
        for place, name in enumerate(names)
    }
    largest = {domain: sizes[-1] for domain, sizes in plan.sizes.items()}
    in_none = {
        domain: {
            "prompts": prompts - largest.get(domain, (0, 0))[0],
            "samples": samples - largest.get(domain, (0, 0))[1],
        }
        for domain, (prompts, samples) in sorted(there.items())
    }
    return {
        "blends": blends,
        "in_no_blend": in_none,
        "prompts_scale": plan.prompts_scale,
        "responses_scale": plan.responses_scale,
        "domains_without_samples": list(plan.missing),
        "repeated_responses": repeated,
    }
