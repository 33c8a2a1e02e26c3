"""Which problems share an n-gram of words with a benchmark problem.

"we conduct data decontamination and filter the sample that has a 9-gram overlap with any test sample in math and coding
benchmarks" (AceReason-Nemotron 1.1, §3.1.1). Words are those of ``recipes.data.ngrams``. A problem is looked at twice:
as it is written, and in the canonical layout that deduplication uses, so that ``\\dfrac12`` in the one and ``\\frac{1}{2}``
in the other hide nothing. Prompts are compared, not responses: those repeat their prompt, and a stock phrase of a long
solution says nothing about where its problem comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from recipes.data.benchmark_texts import BenchmarkText
from recipes.data.canonical_text import canonical_text
from recipes.data.ngrams import NgramIndex, normalised


@dataclass(frozen=True, slots=True)
class Contamination:
    """The benchmark problem that a text shares most n-grams with."""

    benchmark: str
    problem: str
    """Its id."""
    ngram: str
    """The first shared n-gram, its words with blanks between them."""
    shared: int
    """Different n-grams of the benchmark problem that stand in the text."""
    of: int
    """Different n-grams that the benchmark problem has."""
    others: int
    """More benchmark problems that share one."""


class ContaminationIndex:
    """The problems of some benchmarks, to be looked for in any number of texts."""

    def __init__(self, texts: Sequence[BenchmarkText], ngram: int) -> None:
        """Args:
        texts: statements of benchmark problems.
        ngram: words.
        """
        written = [(one, one.text) for one in texts]
        laid_out = [(one, canonical_text(one.text)) for one in texts]
        entries = list(dict.fromkeys([*written, *laid_out]))
        self._owners = [one for one, _ in entries]
        self._ngram = ngram
        self._index = NgramIndex([text for _, text in entries], ngram)

    def scan(self, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Contamination]]:
        """The rows that overlap with a benchmark problem, in their order.

        Args:
            rows: number and text; numbers differ.
        """
        found: dict[BenchmarkText, tuple[int, int, str]] = {}
        at: int | None = None
        for row, overlaps in self._index.scan(_both_layouts(rows)):
            if at is not None and row != at:
                yield at, self._worst(found)
                found = {}
            at = row
            for one in overlaps:
                owner = self._owners[one.text]
                entry = (len(one.ngrams), self._index.sizes[one.text], self._first(one.passage))
                found[owner] = max(found.get(owner, (0, 0, "")), entry)
        if at is not None:
            yield at, self._worst(found)

    def _first(self, passage: str) -> str:
        return " ".join(passage.split(" ")[: self._ngram])

    @staticmethod
    def _worst(found: dict[BenchmarkText, tuple[int, int, str]]) -> Contamination:
        """Most shared n-grams, then by name: the same whatever the order of the benchmarks."""
        owner = min(found, key=lambda one: (-found[one][0], one.benchmark, one.id, one.text))
        shared, of, ngram = found[owner]
        return Contamination(owner.benchmark, owner.id, ngram, shared, of, len(found) - 1)


def _both_layouts(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, text in rows:
        yield number, text
        if "\\" in text and normalised(laid_out := canonical_text(text)) != normalised(text):
            yield number, laid_out
