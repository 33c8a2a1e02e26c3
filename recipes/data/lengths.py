"""How many tokens prompts and responses have under the tokenizer that trains on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

LENGTHS = pa.schema(
    [
        ("id", pa.string()),  # of the problem
        ("sample", pa.int32()),
        ("domain", pa.string()),  # math or code
        ("source", pa.string()),  # of the response where a source carries it, else of the problem
        ("licence", pa.string()),  # of that source
        ("prompt_tokens", pa.int32()),  # chat template, problem and instruction, up to the assistant's header
        ("tokens", pa.int32()),  # of the response, end token included
        ("truncated", pa.bool_()),  # the teacher's length budget ended it; null: not known
        ("repeats", pa.int32()),  # the first sample of the prompt with the same response; null: it is the first
    ]
)
"""One row for each sample, in the order of id and sample; no texts."""

BATCH_CHARACTERS = 1 << 22
"""Of the responses that are tokenized together."""


def response_encoder(tokenizer: Any) -> Callable[[Sequence[str]], list[list[int]]]:
    """A function that encodes many responses at once: ``prompts.response_ids`` without the end token.

    Args:
        tokenizer: of Hugging Face (``load_tokenizer``).
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return lambda texts: [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    backend.no_truncation()  # tokenizer.json may ask for either
    backend.no_padding()
    return lambda texts: [one.ids for one in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def response_counter(tokenizer: Any) -> Callable[[Sequence[str]], list[int]]:
    """A function that counts the tokens of responses, the end token included, as ``prompts.response_ids`` gives them.

    Args:
        tokenizer: of Hugging Face, with an end token (``load_tokenizer``).
    """
    encode = response_encoder(tokenizer)
    return lambda texts: [len(ids) + 1 for ids in encode(texts)]


def tokenizer_state(folder: str | Path) -> dict[str, str]:
    """File -> SHA-256 of a tokenizer's folder: what counts follow from.

    Args:
        folder: its files named ``tokenizer*``, ``vocab*``, ``merges*``, ``chat_template*``, ``special_tokens*``,
            ``added_tokens*``.
    """
    names = ("tokenizer", "vocab", "merges", "chat_template", "special_tokens", "added_tokens")
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name.startswith(names))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
