"""Which problems share an n-gram of words with a benchmark problem.

"we conduct data decontamination and filter the sample that has a 9-gram overlap with any test sample in math and coding
benchmarks" (AceReason-Nemotron 1.1, §3.1.1). Words are those of ``recipes.data.ngrams``. A problem is looked at twice:
as it is written, and with one command of LaTeX for one thing, so that ``\\dfrac12`` in the one and ``\\frac{1}{2}`` in
the other hide nothing. Of a problem with fewer words than an n-gram all of them must stand in the
text one after the other; with fewer than ``ngrams.SHORTEST`` all signs as well, in the canonical layout. Prompts are
compared, not responses: those repeat their prompt, and a stock phrase of a long solution says nothing about where its
problem comes from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from recipes.data.benchmark_texts import BenchmarkText
from recipes.data.canonical_text import canonical_sentences, canonical_text
from recipes.data.ngrams import NgramIndex, normalised

LAYOUT = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac\s*(\d|(?<=\s)[A-Za-z])\s*([A-Za-z\d])", r"\\frac{\1}{\2}"),
        (r"\\sqrt\s*(\d)", r"\\sqrt{\1}"),
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![A-Za-z])", " "),
        (r"\\(?:text(?:rm|bf|it|normal)?|mbox|mathrm|operatorname)(?![A-Za-z])", " "),
        (r"\\(?:q?quad(?![A-Za-z])|[,;:! ])", " "),
        (r"\\(le|ge|ne)(?:q|qslant)(?![A-Za-z])", r"\\\1"),
        (r"\\(?:l|c)dots(?![A-Za-z])", r"\\dots"),
    )
)
"""Commands of LaTeX for one thing, and those that only place it. What is a word of a formula stays one: the canonical
text of deduplication has ``a``, ``_`` and ``1`` for ``a_1``, of which nine would be too little for an overlap."""
REAL_WORD = 4
"""Letters."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """The benchmark problem that a text shares most n-grams with."""

    benchmark: str
    problem: str
    """Its id."""
    ngram: str
    """The first of its n-grams that is shared, its words with blanks between them."""
    shared: int
    """Different n-grams of the benchmark problem that stand in the text."""
    of: int
    """Different n-grams that the benchmark problem has."""
    others: int
    """More benchmark problems that share one."""


class ContaminationIndex:
    """The problems of some benchmarks, to be looked for in any number of texts."""

    def __init__(self, texts: Sequence[BenchmarkText], ngram: int, stock_phrase: int | None = None) -> None:
        """Args:
        texts: statements of benchmark problems.
        ngram: words.
        stock_phrase: an n-gram that so many of the problems have is a stock phrase and counts for nothing; None: every
            n-gram counts, as in the paper.
        """
        entries = list(dict.fromkeys((one, text) for one in texts for text in _layouts(one.text)))
        self._owners = [one for one, _ in entries]
        self._index = NgramIndex([text for _, text in entries], ngram)
        known = zip(self._owners, self._index.lengths, strict=True)
        self._short = [_short_entry(owner) for owner in dict.fromkeys(owner for owner, length in known if length == 0)]
        self._grams = [
            _grams(normalised(text).split(), length)
            for (_, text), length in zip(entries, self._index.lengths, strict=True)
        ]
        problems = Counter(
            gram
            for gram, _ in {
                (gram, one.text) for one, grams in zip(self._owners, self._grams, strict=True) for gram in grams
            }
        )
        self._stock = frozenset(gram for gram, count in problems.items() if stock_phrase and count >= stock_phrase)

    def scan(self, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Contamination]]:
        """The rows that overlap with a benchmark problem, each once: first those that share n-grams, in their order.

        Args:
            rows: number and text; numbers differ.
        """
        short: dict[int, Contamination] = {}

        def layouts() -> Iterator[tuple[int, str]]:
            for number, whole in rows:
                if (one := self._short_problem(whole)) is not None:
                    short[number] = one
                for text in _layouts(whole):
                    yield number, text

        for row, one in self._scan(layouts()):
            short.pop(row, None)
            yield row, one
        yield from short.items()

    def _scan(self, texts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Contamination]]:
        found: dict[BenchmarkText, Contamination] = {}
        at: int | None = None
        for row, overlaps in self._index.scan(texts):
            if at is not None and row != at and found:
                yield at, _worst(found)
                found = {}
            at = row
            for overlap in overlaps:
                one = self._contamination(overlap.text, sorted(overlap.ngrams))
                known = found.get(self._owners[overlap.text])
                if one is not None and (known is None or one.shared > known.shared):
                    found[self._owners[overlap.text]] = one
        if at is not None and found:
            yield at, _worst(found)

    def _contamination(self, entry: int, numbers: Sequence[int]) -> Contamination | None:
        """None where all that is shared are stock phrases."""
        grams, owner = self._grams[entry], self._owners[entry]
        shared = [grams[number] for number in numbers if grams[number] not in self._stock]
        if not shared:
            return None
        return Contamination(owner.benchmark, owner.id, shared[0], len(shared), len(grams), 0)

    def _short_problem(self, text: str) -> Contamination | None:
        """The problem of very few words that stands in the text, sign by sign; None: none does."""
        lowered = text.lower()
        for owner, clue, tokens in self._short:
            if clue in lowered:
                for sentence in canonical_sentences(text):
                    starts = range(len(sentence) - len(tokens) + 1) if clue.isalpha() else ()
                    if sentence == tokens or any(sentence[at : at + len(tokens)] == tokens for at in starts):
                        return Contamination(owner.benchmark, owner.id, " ".join(tokens), 1, 1, 0)
        return None


def _short_entry(owner: BenchmarkText) -> tuple[BenchmarkText, str, list[str]]:
    """The problem, a word that a text with it has, its tokens; where it has no word, sentences are compared whole."""
    tokens = canonical_text(owner.text).split()
    words = [token for token in tokens if len(token) >= REAL_WORD and token.isalpha() and token in owner.text.lower()]
    return owner, max(words, key=len, default=""), tokens


def _worst(found: dict[BenchmarkText, Contamination]) -> Contamination:
    """Most shared n-grams, then by name: the same whatever the order of the benchmarks."""
    owner = min(found, key=lambda one: (-found[one].shared, one.benchmark, one.id, one.text))
    return replace(found[owner], others=len(found) - 1)


def _grams(words: Sequence[str], length: int) -> list[str]:
    """The different n-grams of a text, numbered as ``NgramIndex`` does."""
    starts = range(len(words) - length + 1 if length else 0)
    return list(dict.fromkeys(" ".join(words[start : start + length]) for start in starts))


def _layouts(text: str) -> tuple[str, ...]:
    """As it is written, and in one layout where LaTeX leaves a choice."""
    if "\\" not in text:
        return (text,)
    laid_out = text
    for pattern, replacement in LAYOUT:
        laid_out = pattern.sub(replacement, laid_out)
    return (text, laid_out) if laid_out != text else (text,)
