"""Near duplicates among prompts: candidates by MinHash, each verified word for word.

The paper only asks that "each prompt is unique" (AceReason-Nemotron 1.1, §3.1.1) and names no method; this one is a
substitute. Shingles are runs of words that do not cross the end of a sentence, so sentences in another order have the
same ones. Candidates share a band of their MinHash signatures (Broder 1997; Leskovec et al., Mining of Massive
Datasets, ch. 3) and all numbers, signs and variables, in any order: problems of one template with other numbers never
meet. A candidate is a duplicate when the Jaccard similarity of the shingles themselves reaches the threshold and
``meaning.same_meaning`` finds no difference that matters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from recipes.data.canonical_text import Sentences, canonical_sentences
from recipes.data.meaning import Spelling, letter_names, same_meaning

BAND_ROWS = 3
"""Values of a signature that a band holds. With 128 values two prompts of similarity 0.5 share one of the 42 bands with
probability 1 - (1 - 0.5^3)^42 = 0.996."""
REORDERED_WORDS = 8
"""Words that prompts have at the least whose sentences may stand in another order."""

Uint64 = npt.NDArray[np.uint64]
Shingles = frozenset[tuple[str, ...]]

_SEED = 20
_VOCABULARY = 1 << 20
"""Words whose hashes are kept."""


def shingles(sentences: Sentences, ngram: int) -> Shingles:
    """Runs of ``ngram`` words within sentences; a shorter sentence is one run."""
    return frozenset(
        tuple(sentence[start : start + ngram])
        for sentence in sentences
        for start in range(max(1, len(sentence) - ngram + 1))
    )


def jaccard(left: Shingles, right: Shingles) -> float:
    """Size of the intersection over size of the union; 0 where both are empty."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared) if shared else 0.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it is compared."""

    sentences: Sentences
    shingles: Shingles
    names: frozenset[str]
    """``meaning.letter_names``."""
    words: int

    @classmethod
    def of(cls, text: str, ngram: int) -> Prompt:
        """The prompt with this text; shingles have ``ngram`` words."""
        sentences = canonical_sentences(text)
        return cls(sentences, shingles(sentences, ngram), letter_names(text), sum(map(len, sentences)))


def similarity_of_duplicates(
    left: Prompt, right: Prompt, ngram: int, threshold: float, answers_agree: bool = False
) -> tuple[str, float] | None:
    """How two prompts are duplicates; None: they are not.

    Args:
        ngram: words of a shingle; a prompt with fewer is no near duplicate.
        threshold: Jaccard similarity of the shingles.
        answers_agree: both have an answer, and it is the same.

    Returns:
        ``sentences`` where the same sentences stand in another order, else ``near``, and the Jaccard similarity.
    """
    several = 2 <= len(left.sentences) == len(right.sentences) and left.words == right.words >= REORDERED_WORDS
    if several and sorted(left.sentences) == sorted(right.sentences):
        return "sentences", 1.0
    if min(left.words, right.words) < ngram:
        return None
    similarity = jaccard(left.shingles, right.shingles)
    if similarity < threshold:
        return None
    spelling = Spelling(left.names | right.names, answers_agree)
    return ("near", similarity) if same_meaning(left.sentences, right.sentences, spelling) else None


class Signer:
    """Band hashes of prompts: equal in a band for candidates alone."""

    def __init__(self, ngram: int, permutations: int) -> None:
        """Args:
        ngram: words of a shingle.
        permutations: values of a signature; those that fill no band are not computed.

        Raises:
            ValueError: a value is too small.
        """
        if ngram < 1 or permutations < BAND_ROWS:
            raise ValueError(
                f"shingles of {ngram} words and {permutations} permutations; expected at least 1 and {BAND_ROWS}"
            )
        self.ngram = ngram
        self.bands = permutations // BAND_ROWS
        self._hashes = _WordHashes()

    def sign(self, prompts: Sequence[Sentences]) -> tuple[Uint64, npt.NDArray[np.bool_]]:
        """Band hashes, of shape ``[prompts, bands]``, and which prompts have enough words for a shingle."""
        words, sentence_of, prompt_of, invariants = self._flat(prompts)
        starts = np.arange(max(0, len(words) - self.ngram + 1))
        starts = starts[sentence_of[starts] == sentence_of[starts + self.ngram - 1]]
        hashed = np.zeros(len(starts), dtype=np.uint64)
        for place in range(self.ngram):
            hashed = _mixed(hashed + words[starts + place])
        offsets = np.searchsorted(prompt_of[starts], np.arange(len(prompts) + 1)).astype(np.uint64)
        permutations = self.bands * BAND_ROWS
        digests = RMinHash.digest_matrix_from_flat_token_hashes(hashed, offsets, permutations, _SEED).to_rows()
        rows = np.array(digests, dtype=np.uint64).reshape(len(prompts), self.bands, BAND_ROWS)
        bands = invariants[:, None] + np.arange(1, self.bands + 1, dtype=np.uint64)[None, :]
        for place in range(BAND_ROWS):
            bands = _mixed(bands + rows[:, :, place])
        long_enough = np.array([sum(map(len, prompt)) >= self.ngram for prompt in prompts], dtype=np.bool_)
        return bands, long_enough

    def _flat(
        self, prompts: Sequence[Sentences]
    ) -> tuple[Uint64, npt.NDArray[np.int64], npt.NDArray[np.int64], Uint64]:
        """Of all words: hash, number of the sentence and of the prompt; of each prompt: sum over what must be equal.

        Short sentences are filled up to one shingle.
        """
        hashes, filling = self._hashes, [0] * self.ngram
        words: list[int] = []
        sentence_lengths: list[int] = []
        prompt_lengths: list[int] = []
        for prompt in prompts:
            before = len(words)
            for sentence in prompt:
                words.extend(map(hashes.__getitem__, sentence))
                missing = self.ngram - len(sentence)
                if missing > 0:
                    words.extend(filling[:missing])
                sentence_lengths.append(max(len(sentence), self.ngram))
            prompt_lengths.append(len(words) - before)
        hashes.forget()
        flat = np.array(words, dtype=np.uint64)
        sentence_of = np.repeat(np.arange(len(sentence_lengths)), sentence_lengths)
        prompt_of = np.repeat(np.arange(len(prompts)), prompt_lengths)
        invariants = np.zeros(len(prompts), dtype=np.uint64)
        invariant = (flat & np.uint64(1)).astype(np.bool_)
        np.add.at(invariants, prompt_of[invariant], _mixed(flat[invariant]))
        return flat, sentence_of, prompt_of, invariants


class _WordHashes(dict[str, int]):
    """Word -> 64 bits of its BLAKE2; odd for numbers, signs and variables, even for words."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        hashed = int.from_bytes(digest, "little") & ~1 | _is_invariant(word)
        self[word] = hashed
        return hashed

    def forget(self) -> None:
        """Keep memory bounded."""
        if len(self) > _VOCABULARY:
            self.clear()


def _is_invariant(token: str) -> bool:
    """Whether duplicates must have it alike. ``a`` and ``i`` may be words."""
    return token not in "ai" and not (len(token) > 1 and token.isalpha())


def _mixed(values: Uint64) -> Uint64:
    """SplitMix64's finaliser: every bit of the value decides over every bit of the result."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
