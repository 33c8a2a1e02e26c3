"""The greedy search for duplicates among candidates: never quadratic, whatever the prompts are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.data.near_duplicates import Prompt, similarity_of_duplicates
from recipes.data.prompt_signatures import BATCH, FACTS

Int64 = npt.NDArray[np.int64]

REPRESENTATIVES = 8
"""Kept prompts of a bucket that later ones are compared with."""
COMPARISONS = 16
"""Kept prompts that one prompt is compared with, those that share the most bands first."""
_PREPARED = 1 << 14
"""Prompts whose words are kept at hand."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A prompt that is a duplicate of a better one; both as places in the order of preference."""

    dropped: int
    kept: int
    kind: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Prompts that share a band with another one."""

    places: Int64
    """In the order of preference, ascending; shape ``[candidates]``."""
    offsets: Int64
    """Where the buckets of a candidate begin, and the end; shape ``[candidates + 1]``."""
    buckets: Int64
    """Numbers of the buckets that it is in, 0..; shape ``[offsets[-1]]``."""
    problems: pa.ChunkedArray
    """Of each candidate, the text."""

    @classmethod
    def read(
        cls, signature_paths: Sequence[Path], rows_paths: Sequence[Path], rows: Int64, searched: Int64
    ) -> Candidates:
        """From what ``sign_part`` wrote.

        Args:
            rows: of every place, the number of the row that is signed.
            searched: places that take part, ascending.
        """
        signed = [pq.ParquetFile(path, memory_map=True) for path in signature_paths]
        place_of = _places_of_signed(signed, rows, searched)
        names = [name for name in signed[0].schema_arrow.names if name not in FACTS.names]
        places, buckets, used = [], [], 0
        for name in names:
            values = _column(signed, name)
            taking_part = place_of >= 0
            members, numbers, count = _shared(values[taking_part], place_of[taking_part])
            places.append(members)
            buckets.append(numbers + used)
            used += count
        all_places = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
        order = np.argsort(all_places, kind="stable")
        found, starts = np.unique(all_places[order], return_index=True)
        offsets = np.append(starts, len(all_places)).astype(np.int64)
        all_buckets = np.concatenate(buckets) if buckets else np.zeros(0, dtype=np.int64)
        return cls(found, offsets, all_buckets[order], _problems(rows_paths, rows[found]))


def find_duplicates(
    candidates: Candidates,
    answers: Sequence[str],
    ngram: int,
    threshold: float,
    same_answer: Callable[[str, str], bool],
) -> list[Verified]:
    """Each candidate, the preferred ones first, is a duplicate of one kept before it, or is kept.

    Args:
        answers: of every place.
        ngram: words of a shingle.
        threshold: Jaccard similarity.
        same_answer: whether two answers, neither of them empty, are the same.
    """

    @lru_cache(maxsize=_PREPARED)
    def prepared(number: int) -> Prompt:
        return Prompt.of(candidates.problems[number].as_py(), ngram)

    def verified(kept: int, other: int) -> Verified | None:
        places = int(candidates.places[kept]), int(candidates.places[other])
        ours, theirs = (answers[place] for place in places)
        answered = bool(ours and theirs)
        if answered and not same_answer(ours, theirs):
            return None
        found = similarity_of_duplicates(prepared(kept), prepared(other), ngram, threshold, answered)
        return None if found is None else Verified(places[1], places[0], *found)

    kept_in = _Kept(int(candidates.buckets.max(initial=-1)) + 1)
    found = []
    for number in range(len(candidates.places)):
        buckets = candidates.buckets[candidates.offsets[number] : candidates.offsets[number + 1]]
        compared = (verified(kept, number) for kept in kept_in.most_shared(buckets))
        duplicate = next((one for one in compared if one is not None), None)
        if duplicate is None:
            kept_in.add(buckets, number)
        else:
            found.append(duplicate)
    return found


class _Kept:
    """The kept candidates of each bucket, at most ``REPRESENTATIVES``."""

    def __init__(self, buckets: int) -> None:
        self._first = np.full(buckets, -1, dtype=np.int64)
        self._more: dict[int, list[int]] = {}

    def add(self, buckets: Int64, number: int) -> None:
        taken = self._first[buckets] >= 0
        self._first[buckets[~taken]] = number
        for bucket in buckets[taken].tolist():
            others = self._more.setdefault(bucket, [])
            if len(others) < REPRESENTATIVES - 1:
                others.append(number)

    def most_shared(self, buckets: Int64) -> list[int]:
        """Those that share a bucket, the ones with the most first, and among equals the preferred."""
        first = self._first[buckets]
        used = first >= 0
        numbers = [first[used]]
        if self._more:
            more = [self._more[bucket] for bucket in buckets[used].tolist() if bucket in self._more]
            numbers += [np.array(others, dtype=np.int64) for others in more]
        kept, counts = np.unique(np.concatenate(numbers), return_counts=True)
        best: list[int] = kept[np.lexsort((kept, -counts))][:COMPARISONS].tolist()
        return best


def _places_of_signed(files: Sequence[pq.ParquetFile], rows: Int64, searched: Int64) -> Int64:
    """Of every row in the signatures, its place if it is signed and takes part; else -1."""
    order = searched[np.argsort(rows[searched], kind="stable")]
    known = rows[order]
    signed = np.concatenate([file.read(["row"])["row"].to_numpy() for file in files])
    if not len(known):
        return np.full(len(signed), -1, dtype=np.int64)
    near = np.minimum(np.searchsorted(known, signed), len(known) - 1)
    return np.where(known[near] == signed, order[near], -1)


def _column(files: Sequence[pq.ParquetFile], name: str) -> npt.NDArray[np.uint64]:
    """One band of all rows; 0 where it is null."""
    columns = [file.read([name])[name] for file in files]
    return np.concatenate([pc.fill_null(column, 0).to_numpy().astype(np.uint64, copy=False) for column in columns])


def _shared(values: npt.NDArray[np.uint64], places: Int64) -> tuple[Int64, Int64, int]:
    """Places whose value another place has, the number of each value, and how many such values there are."""
    present = values != 0
    values, places = values[present], places[present]
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same_as_last = np.zeros(len(ordered), dtype=np.bool_)
    same_as_last[1:] = ordered[1:] == ordered[:-1]
    shared = same_as_last.copy()
    shared[:-1] |= same_as_last[1:]
    numbers = np.cumsum(shared & ~same_as_last) - 1
    members: Int64 = places[order[shared]]
    return members, numbers[shared], int(numbers[-1]) + 1 if len(numbers) else 0


def _problems(paths: Sequence[Path], rows: Int64) -> pa.ChunkedArray:
    """The problems of these rows, in their order; a batch of a part is held beside them."""
    wanted = pa.array(np.sort(rows))
    chunks, numbers = [], []
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=["row", "problem"]):
                chosen = batch.filter(pc.is_in(batch["row"], value_set=wanted))
                if len(chosen):
                    chunks.append(chosen["problem"])
                    numbers.append(chosen["row"].to_numpy())
    if not chunks:
        return pa.chunked_array([], pa.string())
    place = np.argsort(np.concatenate(numbers), kind="stable")
    back = np.empty(len(rows), dtype=np.int64)
    back[np.argsort(rows, kind="stable")] = place
    return pa.chunked_array(chunks).cast(pa.large_string()).take(pa.array(back))
