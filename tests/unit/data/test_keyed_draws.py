"""Draws belong to their keys."""

from __future__ import annotations

import hashlib

from scipy.stats import kstest

from recipes.data.keyed_draws import UNIT, draws


def test_a_draw_is_the_start_of_the_sha_256_of_seed_purpose_and_key() -> None:
    expected = int.from_bytes(hashlib.sha256(b"7\x1forder\x1fab").digest()[:8], "big")
    assert draws(["ab"], 7, "order").tolist() == [expected]


def test_a_draw_depends_on_seed_purpose_and_key_alone() -> None:
    keys = [f"{number:016x}" for number in range(50)]
    one = dict(zip(keys, draws(keys, 1, "a").tolist(), strict=True))
    assert dict(zip(keys[::-1], draws(keys[::-1], 1, "a").tolist(), strict=True)) == one
    assert draws(keys[:1], 1, "a")[0] == one[keys[0]]
    assert set(draws(keys, 2, "a").tolist()).isdisjoint(one.values())
    assert set(draws(keys, 1, "b").tolist()).isdisjoint(one.values())
    assert draws([], 1, "a").tolist() == []


def test_draws_are_uniform() -> None:
    values = draws((str(number) for number in range(5000)), 3, "u") * UNIT
    assert kstest(values, "uniform").pvalue > 0.01
