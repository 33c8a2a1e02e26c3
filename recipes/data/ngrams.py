"""Shared n-grams of words: which texts of a benchmark a training text repeats.

"we conduct data decontamination and filter the sample that has a 9-gram overlap with any test sample in math and coding
benchmarks" (AceReason-Nemotron 1.1, §3.1.1). The paper does not say what a word is. Here a text is brought to Unicode's
NFKC form, then to lower case (``str.casefold``); a word is a maximal run of letters, digits and underscores (``\\w``
of Python's ``re``): blanks, punctuation, operators and LaTeX's backslashes and braces only separate, so another layout
of the same problem is still found. ``$x+1$`` is the two words ``x`` and ``1``.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

NGRAM = 9
"""Words; the paper's."""
SHORTEST = 4
"""Words. A text with fewer words than an n-gram is looked for as a whole; with fewer than these, not at all."""
PASSAGE_WORDS = 200
"""Words of a shared passage that are kept."""

_PIECE = 1 << 18
"""Characters of one text that are looked at together."""
_BUFFER = 1 << 18
"""Bytes of many texts that are looked at together: few enough for the processor's cache."""
_GAP = b" \0 "
"""Between texts: a word that no text has, so that no n-gram reaches from one into the next."""
_BLANK = re.compile("[ \n]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_OTHER_SEPARATOR = re.compile(r"[^\w\x00-\x7f]+")
_ASCII = bytes(
    ord(chr(code).lower()) if code >= 128 or chr(code).isalnum() or code == ord("_") else ord(" ")
    for code in range(128)
) + bytes(range(128, 256))
"""Of UTF-8 bytes: lower case, and a blank for every ASCII character that is in no word."""
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_BYTE_VALUES = np.random.default_rng(9).integers(1, 2**64, size=256, dtype=np.uint64)

Tag = TypeVar("Tag")


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a scanned text shares with one text of the index."""

    text: int
    """Place of that text in the index."""
    ngrams: frozenset[int]
    """Which of its n-grams, by their numbers 0..``NgramIndex.sizes[text]`` - 1."""
    passage: str
    """The longest run of words that are all shared, normalised; of a very long one the first ``PASSAGE_WORDS``."""


def normalised(text: str) -> str:
    """The words of a text, with one blank between them."""
    return _normalised(text).decode()


class NgramIndex:
    """The n-grams of some texts, to be looked for in any amount of others.

    Found by a 64-bit hash that numpy computes for all places of a buffer at once, and then compared word for word, so
    that a collision of hashes is no hit.
    """

    def __init__(self, texts: Sequence[str], n: int = NGRAM, shortest: int = SHORTEST) -> None:
        """Args:
        texts: of a benchmark.
        n: words of an n-gram.
        shortest: words; a text of ``shortest`` to ``n - 1`` words is one n-gram of that length.

        Raises:
            ValueError: ``n`` is below 1.
        """
        if n < 1:
            raise ValueError(f"n-grams of {n} words; expected at least 1")
        self.n = n
        self.lengths: list[int] = []
        """Of each text, words of its n-grams: ``n``, less for one that is looked for as a whole, 0: too short."""
        self.sizes: list[int] = []
        """Of each text, how many different n-grams it has."""
        self._owners: dict[bytes, list[tuple[int, int]]] = {}
        self._powers = _Powers()
        by_length: dict[int, set[bytes]] = {}
        for place, text in enumerate(texts):
            words = _normalised(text).split()
            length = n if len(words) >= n else len(words) if len(words) >= max(shortest, 1) else 0
            numbers: dict[bytes, int] = {}
            for start in range(len(words) - length + 1 if length else 0):
                numbers.setdefault(b" ".join(words[start : start + length]), len(numbers))
            for gram, number in numbers.items():
                self._owners.setdefault(gram, []).append((place, number))
            by_length.setdefault(length, set()).update(numbers)
            self.lengths.append(length)
            self.sizes.append(len(numbers))
        self._filters = {
            length: _Filter(np.array([self._hash(gram) for gram in sorted(grams)], dtype=np.uint64))
            for length, grams in sorted(by_length.items())
            if length
        }

    def scan(self, texts: Iterable[tuple[Tag, str]]) -> Iterator[tuple[Tag, list[Overlap]]]:
        """The texts that share an n-gram with one of the index, in their order, each with all that it shares.

        Reads ahead by at most one buffer. Of a long text a piece at a time is normalised, so the memory that it takes
        beside itself does not grow with it (unless it has no blank and no line end).

        Args:
            texts: what is handed back for a text, and the text.
        """
        waiting: list[tuple[_Scanned[Tag], int, bytes]] = []
        size = 0
        for tag, text in texts:
            scanned, before, tail = _Scanned(tag), 0, b""
            for start, end in _pieces(text):
                scanned.complete = end == len(text)
                piece = b" ".join(filter(None, (tail, _normalised(text[start:end]))))
                waiting.append((scanned, before, piece))
                size += len(piece) + len(_GAP)
                if not scanned.complete:
                    words, kept = piece.count(b" ") + 1 if piece else 0, self.n - 1
                    tail = b" ".join(piece.rsplit(b" ", kept)[1:]) if words > kept else piece
                    before += max(0, words - kept)
                if size >= _BUFFER:
                    yield from self._look(waiting)
                    waiting, size = [], 0
        yield from self._look(waiting)

    def _look(self, waiting: list[tuple[_Scanned[Tag], int, bytes]]) -> Iterator[tuple[Tag, list[Overlap]]]:
        content = _GAP.join(piece for _, _, piece in waiting)
        codes = np.frombuffer(content, dtype=np.uint8)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), np.flatnonzero(codes == ord(" ")) + 1))
        pieces = np.cumsum([0, *(len(piece) + len(_GAP) for _, _, piece in waiting)])
        first_words = np.searchsorted(starts, pieces).tolist()
        for word, gram, length in self._found(content, codes, starts):
            piece = bisect_right(first_words, word) - 1
            scanned, before, _ = waiting[piece]
            for place, number in self._owners[gram]:
                shared = scanned.shared.setdefault(place, _Shared())
                shared.add(before + word - first_words[piece], gram, length, number)
        for scanned in dict.fromkeys(scanned for scanned, _, _ in waiting):
            if scanned.complete and scanned.shared:
                yield scanned.tag, [shared.overlap(place) for place, shared in sorted(scanned.shared.items())]

    def _found(
        self, content: bytes, codes: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, bytes, int]]:
        """Word at which an n-gram of the index starts, the n-gram, its length; by length, then by place."""
        powers, inverses = self._powers.up_to(len(codes) + 1)
        sums = np.zeros(len(codes) + 1, dtype=np.uint64)
        np.cumsum(_BYTE_VALUES[codes] * powers[: len(codes)], out=sums[1:])
        ends = np.append(starts[1:] - 1, len(codes))
        for length, known in self._filters.items():
            if len(starts) < length:
                continue
            left, right = starts[: len(starts) - length + 1], ends[length - 1 :]
            for word in known.among((sums[right] - sums[left]) * inverses[left]).tolist():
                gram = content[left[word] : right[word]]
                if gram in self._owners:
                    yield word, gram, length

    def _hash(self, gram: bytes) -> np.uint64:
        powers, _ = self._powers.up_to(len(gram))
        hashed: np.uint64 = np.sum(_BYTE_VALUES[np.frombuffer(gram, dtype=np.uint8)] * powers[: len(gram)])
        return hashed


@dataclass(eq=False, slots=True)
class _Scanned(Generic[Tag]):
    """A text while it is looked at."""

    tag: Tag
    complete: bool = False
    """Its last piece is in the buffer."""
    shared: dict[int, _Shared] = field(default_factory=dict)
    """By the place of the other text in the index."""


@dataclass(slots=True)
class _Shared:
    """What two texts share, n-gram after n-gram in the order of the scanned one."""

    numbers: set[int] = field(default_factory=set)
    _last: int = -1
    _words: list[bytes] = field(default_factory=list)
    _count: int = 0
    _longest: list[bytes] = field(default_factory=list)
    _longest_count: int = 0

    def add(self, word: int, gram: bytes, length: int, number: int) -> None:
        self.numbers.add(number)
        if word <= self._last:  # seen already: the end of one piece is the start of the next
            return
        new = word - self._last if self._last >= 0 else length + 1
        if new > length:
            self._words, self._count, new = [], 0, length
        self._last = word
        self._count += new
        if len(self._words) < PASSAGE_WORDS:
            self._words += gram.split(b" ")[-new:]
        if self._count > self._longest_count:
            self._longest, self._longest_count = self._words, self._count

    def overlap(self, place: int) -> Overlap:
        passage = b" ".join(self._longest[:PASSAGE_WORDS]).decode()
        return Overlap(place, frozenset(self.numbers), passage)


class _Filter:
    """Which of many hashes are among the known ones."""

    def __init__(self, hashes: npt.NDArray[np.uint64]) -> None:
        self._sorted = np.unique(hashes)
        bits = min(27, max(16, int(16 * len(self._sorted)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._first_bits = np.zeros(1 << bits, dtype=np.bool_)
        self._first_bits[self._sorted >> self._shift] = True

    def among(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Places of the known ones."""
        places = np.flatnonzero(self._first_bits[hashes >> self._shift])
        near = np.minimum(np.searchsorted(self._sorted, hashes[places]), len(self._sorted) - 1)
        known: npt.NDArray[np.int64] = places[self._sorted[near] == hashes[places]]
        return known


class _Powers:
    """Powers of the base modulo 2**64 and their inverses.

    The hash of the bytes b_0 .. b_k is the sum of v(b_j) base^j. Differences of running sums, times an inverse power,
    give it for every stretch of a buffer at once (Rabin and Karp).
    """

    def __init__(self) -> None:
        self._made = self._of(2 * _BUFFER)

    def up_to(self, count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """``count`` of them or more."""
        if count > len(self._made[0]):
            self._made = self._of(2 * count)
        return self._made

    @staticmethod
    def _of(count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        def powers(base: int) -> npt.NDArray[np.uint64]:
            factors = np.full(count, base, dtype=np.uint64)
            factors[0] = 1
            return np.cumprod(factors)

        return powers(_BASE), powers(pow(_BASE, -1, 2**64))


def _normalised(text: str) -> bytes:
    if not text.isascii():
        text = "".join(_folded(text))
    return b" ".join(text.encode().translate(_ASCII).split())


def _folded(text: str) -> Iterator[str]:
    """NFKC, lower case and blanks for separators, where it is not ASCII; the rest as it is.

    A stretch begins with the ASCII character before it, with which a combining mark may compose; none composes with the
    one after it, and case folding does not look at neighbours.
    """
    end = 0
    for stretch in _NOT_ASCII.finditer(text):
        start = max(end, stretch.start() - 1)
        yield text[end:start]
        end = stretch.end()
        yield _OTHER_SEPARATOR.sub(" ", unicodedata.normalize("NFKC", text[start:end]).casefold())
    yield text[end:]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Stretches that end at a blank, where neither a word nor a combining sequence goes on."""
    start = 0
    while len(text) - start > _PIECE and (blank := _BLANK.search(text, start + _PIECE)) is not None:
        yield start, blank.start()
        start = blank.start()
    yield start, len(text)
