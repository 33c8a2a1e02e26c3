"""What deduplication knows of each row, part by part: keys of its prompt, and what speaks for keeping it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file
from recipes.data.canonical_text import Sentences, canonical_sentences
from recipes.data.near_duplicates import Signer

FACTS = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),  # of the problem
        ("digest", pa.string()),  # of the whole row
        ("source", pa.string()),
        ("response", pa.binary(16)),  # hash; null: none
        ("solution", pa.bool_()),  # the row carries a reference solution
        ("exact", pa.binary(16)),  # hash of the canonical prompt; null but in the first row of an id
        ("answer", pa.string()),  # as above
        ("tests_length", pa.int64()),  # characters of the tests' JSON; as above
    ]
)
"""A table of signatures has these columns, and one column for each band: null where the prompt is short, as above."""

NGRAM = b"ngram"
"""Key of the words of a shingle, in the metadata of the table."""
BATCH = 1024
"""Rows that are held at once, responses included."""

_COLUMNS = ["row", "id", "digest", "source", "problem", "answer", "tests", "response", "metadata"]


def band_names(bands: int) -> list[str]:
    """Names of the columns of band hashes."""
    return [f"band_{band:03d}" for band in range(bands)]


def sign_part(rows_path: str | Path, out_path: str | Path, ngram: int, permutations: int) -> None:
    """Write the signatures of one part of rows (``tables.ROWS``).

    The prompt of an id is signed once, in its first row; the rows of an id lie side by side.

    Args:
        ngram: words of a shingle.
        permutations: values of a MinHash signature.
    """
    signer = Signer(ngram, permutations)
    bands = ((name, pa.uint64()) for name in band_names(signer.bands))
    schema = pa.schema([*FACTS, *bands], metadata={NGRAM: str(ngram)})
    with atomic_file(out_path, "wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _signed(rows_path, signer, schema):
            writer.write_batch(batch)


def _signed(rows_path: str | Path, signer: Signer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    last = ""
    with pq.ParquetFile(rows_path, memory_map=True) as rows:
        for batch in rows.iter_batches(batch_size=BATCH, columns=_COLUMNS):
            ids = batch["id"].to_pylist()
            first = np.array([id != before for before, id in zip([last, *ids], ids, strict=False)], dtype=np.bool_)
            last = ids[-1] if ids else last
            others = pa.array(~first)
            prompts = [canonical_sentences(text) for text in batch["problem"].filter(pa.array(first)).to_pylist()]
            bands, long_enough = signer.sign(prompts)
            signed = np.zeros(len(ids), dtype=np.bool_)
            signed[first] = long_enough
            spread = np.zeros((len(ids), signer.bands), dtype=np.uint64)
            spread[first] = bands
            keys = map(_exact_key, prompts)
            columns = [
                *(batch[name] for name in ("row", "id", "digest", "source")),
                pa.array(map(_response_hash, batch["response"]), pa.binary(16)),
                pc.fill_null(pc.match_substring(batch["metadata"], '"solution":'), False),
                pa.array([next(keys) if is_first else None for is_first in first], pa.binary(16)),
                pc.if_else(others, None, pc.fill_null(batch["answer"], "")),
                pc.if_else(others, None, pc.cast(pc.fill_null(pc.utf8_length(batch["tests"]), 0), pa.int64())),
                *(pa.array(spread[:, band], mask=~signed) for band in range(signer.bands)),
            ]
            yield pa.record_batch(columns, schema=schema)


def _response_hash(response: pa.StringScalar) -> bytes | None:
    buffer = response.as_buffer()
    return None if buffer is None else hashlib.blake2b(buffer, digest_size=16).digest()


def _exact_key(prompt: Sentences) -> bytes:
    """Of the words alone: where a sentence ends is layout."""
    words = "\x1f".join(word for sentence in prompt for word in sentence)
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()
