"""How much of each benchmark problem stands in training texts, from the hits of a scan."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.training_text import Place
from recipes.data.ngrams import NgramIndex, Overlap

PARTS = ("prompt", "response")
KEPT_ROWS = 5
"""Of each problem and part, the rows that share most of it."""


@dataclass(slots=True)
class _Part:
    """Of one problem, what prompts share with it, or what responses do."""

    found: set[int] = field(default_factory=set)
    rows: int = 0
    largest: list[tuple[int, int, Place, str]] = field(default_factory=list)
    """A heap of (shared n-grams, less the order of the row, place, passage): the earlier of two equal ones stays."""


class OverlapCounts:
    """Of the problems of some benchmarks; its memory grows with these and not with the training data."""

    def __init__(self, index: NgramIndex, problems: Sequence[tuple[str, str]]) -> None:
        """Args:
        problems: benchmark and id of each text of the index.
        """
        self._index, self._problems = index, problems
        self._parts: dict[tuple[int, str], _Part] = {}
        self._seen = 0

    def add(self, place: Place, overlaps: Sequence[Overlap]) -> list[dict[str, Any]]:
        """Count a training text.

        Returns:
            One row for ``overlap.jsonl`` for each problem.
        """
        self._seen += 1
        told = []
        for one in overlaps:
            part = self._parts.setdefault((one.text, place.part), _Part())
            part.found |= one.ngrams
            part.rows += 1
            entry = (len(one.ngrams), -self._seen, place, one.passage)
            if len(part.largest) < KEPT_ROWS:
                heapq.heappush(part.largest, entry)
            else:
                heapq.heappushpop(part.largest, entry)
            benchmark, problem = self._problems[one.text]
            told.append(
                {
                    "file": place.file,
                    "line": place.line,
                    "part": place.part,
                    "benchmark": benchmark,
                    "problem_id": problem,
                    "ngrams": len(one.ngrams),
                    "share": self._of(len(one.ngrams), one.text),
                    "passage": one.passage,
                }
            )
        return told

    def benchmark(self, name: str) -> dict[str, Any]:
        """The part of ``overlap.json`` that is about one benchmark."""
        places = [place for place, (benchmark, _) in enumerate(self._problems) if benchmark == name]
        lengths = {place: self._index.lengths[place] for place in places}
        either = self._summary(places, PARTS)
        return {
            "share": round(either["overlapping"] / len(places), 6),
            "problems": len(places),
            "ngrams": sum(self._index.sizes[place] for place in places),
            "looked_for_as_a_whole": [self._problems[p][1] for p in places if 0 < lengths[p] < self._index.n],
            "too_short": [self._problems[p][1] for p in places if lengths[p] == 0],
            **{part: self._summary(places, (part,)) for part in PARTS},
            "either": either,
            "per_problem": {self._problems[p][1]: found for p in places if (found := self._problem(p))},
        }

    def _of(self, ngrams: int, place: int) -> float:
        """Share of a problem's n-grams."""
        return round(ngrams / size, 6) if (size := self._index.sizes[place]) else 0.0

    def _summary(self, places: Sequence[int], parts: Sequence[str]) -> dict[str, Any]:
        """``overlapping``: problems with an n-gram found; ``half`` and ``whole``: with so many of theirs found."""
        shares = []
        for place in places:
            found: set[int] = set().union(
                *(self._parts[place, part].found for part in parts if (place, part) in self._parts)
            )
            shares.append(self._of(len(found), place))
        return {
            "overlapping": sum(share > 0 for share in shares),
            "half": sum(share >= 0.5 for share in shares),
            "whole": sum(share == 1 for share in shares),
            "mean_share": round(sum(shares) / len(shares), 6),
        }

    def _problem(self, place: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in PARTS:
            if (counted := self._parts.get((place, part))) is not None:
                largest = sorted(counted.largest, reverse=True)
                found[part] = {
                    "share": self._of(len(counted.found), place),
                    "rows": counted.rows,
                    "largest": [
                        {"file": at.file, "line": at.line, "share": self._of(shared, place), "passage": passage}
                        for shared, _, at, passage in largest
                    ],
                }
        return {"ngrams": self._index.sizes[place], **found} if found else {}
