"""Two sizes of a vocabulary: the tokenizer's ids, and the rows of the embedding, which is padded.

NeMo's build and refit cut the embedding to ``tokenizer.vocab_size`` rows: 151,665 for Qwen2.5, an odd number that no
two ranks can share. Here the engine keeps all 152,064 rows of the model, and the padding can never be sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class EngineVocabulary:
    """What NeMo and NeMo-Aligner ask a tokenizer for; ``build_tokenizer`` hands on what it does not know."""

    vocab_size: int
    """Rows of the model's embedding."""
    eos_id: int


def word_list(words: Sequence[Sequence[int]], rows: int) -> np.ndarray:
    """[rows, 2, N] int32: TensorRT-LLM's form of a list of words, the same for every row.

    ``[0]`` holds the words' ids one after the other, ``[1]`` where each word ends, padded with -1.
    """
    ids = [token for word in words for token in word]
    ends = np.cumsum([len(word) for word in words]).tolist()
    ends += [-1] * (len(ids) - len(ends))
    return np.tile(np.array([ids, ends], dtype=np.int32), (rows, 1, 1))


def padding_words(tokenizer_size: int, embedding_rows: int, rows: int) -> np.ndarray | None:
    """The ids that stand for nothing, as words that may not be sampled; None where the embedding has no padding.

    TensorRT-LLM sets their logits to minus infinity before it draws, as the Megatron engine and the loss do.
    """
    padding = range(tokenizer_size, embedding_rows)
    return word_list([[token] for token in padding], rows) if padding else None
