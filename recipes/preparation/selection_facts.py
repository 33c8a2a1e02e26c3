"""What is known of the difficulty of each problem (1.0 §3.2.1): how long the teacher's responses are, how many fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

RESPONSES = 8
"""``difficulty`` counts the failures of so many; of another number it is the like share."""
TOKENS, DIFFICULTY, ASKED = "teacher_tokens", "difficulty", "teacher_responses"
"""Keys of published rows. A row's own ``difficulty`` counts where ``teacher_responses`` stands beside it: other
collections call other things by that name."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a teacher's responses say of one problem."""

    tokens: float | None = None
    """Mean length."""
    difficulty: float | None = None
    """Failures of ``RESPONSES``."""
    responses: int | None = None
    """That were graded."""

    @property
    def metadata(self) -> dict[str, Any]:
        """As a published row carries it; what is not known is left out."""
        found = {TOKENS: _rounded(self.tokens), DIFFICULTY: _rounded(self.difficulty), ASKED: self.responses}
        return {key: value for key, value in found.items() if value is not None}


def read_facts(facts: Path | None, lengths: Path | None, parts: Iterable[int]) -> dict[str, Fact]:
    """Problem id -> what is known.

    Args:
        facts: folder of ``teacher_keeping.FACTS``; None: no teacher was asked, and none was graded.
        lengths: folder with the tokens of each sample (columns ``id`` and ``tokens``), for responses whose teacher did
            not count; None: not counted.
    """
    numbers = list(parts)
    found: dict[str, Fact] = {}
    if lengths is not None:
        paths = [lengths / f"{part:05d}.parquet" for part in numbers]
        means = pl.concat([pl.scan_parquet(path).select("id", "tokens") for path in paths])
        for id, tokens in means.group_by("id").agg(pl.col("tokens").mean()).collect().iter_rows():
            found[id] = Fact(tokens=tokens)
    for part in numbers if facts is not None else ():
        assert facts is not None
        for row in pl.read_parquet(facts / f"{part:05d}.parquet").iter_rows(named=True):
            found[row["id"]] = _fact(row, found.get(row["id"], Fact()))
    return found


def own_fact(metadata: Mapping[str, Any]) -> Fact:
    """What a row says of itself, in the form that this step writes."""
    tokens, responses = _number(metadata.get(TOKENS)), _number(metadata.get(ASKED))
    difficulty = None if responses is None else _number(metadata.get(DIFFICULTY))
    return Fact(tokens, difficulty, None if difficulty is None or responses is None else int(responses))


def merged(fact: Fact | None, own: Fact) -> Fact:
    """What was measured here goes before what a row says of itself."""
    if fact is None:
        return own
    tokens = own.tokens if fact.tokens is None else fact.tokens
    if fact.difficulty is None:
        return Fact(tokens, own.difficulty, own.responses)
    return Fact(tokens, fact.difficulty, fact.responses)


def _fact(row: Mapping[str, Any], counted: Fact) -> Fact:
    tokens = row["tokens"] / row["counted"] if row["counted"] else counted.tokens
    if not row["graded"]:
        return Fact(tokens=tokens)
    return Fact(tokens, RESPONSES * (row["graded"] - row["correct"]) / row["graded"], row["graded"])


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _rounded(value: float | None) -> float | int | None:
    """Whole numbers as such; others to three places."""
    if value is None:
        return None
    return int(value) if value == int(value) else round(value, 3)
