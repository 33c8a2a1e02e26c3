"""What other projects do to the same rows: open-r1's decontamination and datatrove's MinHash deduplication.

    python -m tests.bench.other_deduplication METHOD FOLDER

Each writes FOLDER/METHOD.kept: the numbers of the rows that it keeps, one a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing import Pool
from pathlib import Path
from typing import Any

WORKERS = os.cpu_count() or 1
_CHUNK = 5_000


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def open_r1(folder: Path) -> None:
    """The method of open-r1's ``scripts/decontaminate.py``, and equal prompts once.

    Text in lower case with single blanks, 8-grams of what stands between blanks, one set for the benchmark and one for
    each prompt. open-r1 drops no near duplicates.
    """
    grams = frozenset(gram for row in lines(folder / "benchmark.jsonl") for gram in word_ngrams(row["problem"]))
    seen: set[str] = set()
    rows = lines(folder / "rows.jsonl")
    with (folder / "open-r1.kept").open("w", encoding="utf-8") as kept, Pool(WORKERS, _share, (grams,)) as pool:
        for looked_at in pool.imap(_contaminated, iter(lambda: list(islice(rows, _CHUNK)), [])):
            for number, text, contaminated in looked_at:
                if not contaminated and text not in seen:
                    seen.add(text)
                    kept.write(f"{number}\n")


def word_ngrams(text: str, words: int = 8) -> set[str]:
    """Runs of words."""
    split = text.lower().split()
    return {" ".join(split[start : start + words]) for start in range(len(split) - words + 1)}


_GRAMS: frozenset[str] = frozenset()


def _share(grams: frozenset[str]) -> None:
    global _GRAMS
    _GRAMS = grams


def _contaminated(rows: list[dict[str, Any]]) -> list[tuple[int, str, bool]]:
    texts = [" ".join(row["problem"].lower().split()) for row in rows]
    found = [any(gram in _GRAMS for gram in word_ngrams(text)) for text in texts]
    return [(row["number"], text, hit) for row, text, hit in zip(rows, texts, found, strict=True)]


class Blanks:
    """Words are what stands between blanks: datatrove's own word splitters load models that are not part of it."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def datatrove_minhash(folder: Path) -> None:
    """datatrove's four stages with its own settings: 5-grams, 14 buckets of 8 hashes; a cluster keeps one."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
        minhash,
    )
    from xxhash import xxh64_intdigest

    minhash.load_word_tokenizer = lambda language: Blanks()
    minhash.create_hash_func = lambda config: lambda text: xxh64_intdigest(text.encode())  # xxhash 4 takes bytes alone
    work = folder / "datatrove"
    _split(folder / "rows.jsonl", work / "rows", WORKERS)
    config = minhash.MinhashConfig()
    read, write = partial(documents, work / "rows"), partial(write_numbers, work / "kept")
    stages: tuple[tuple[list[Any], int], ...] = (
        ([read, MinhashDedupSignature(str(work / "signatures"), config)], WORKERS),
        ([MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)], config.num_buckets),
        ([MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)], 1),
        ([read, MinhashDedupFilter(str(work / "remove")), write], WORKERS),
    )
    (work / "kept").mkdir()
    for number, (stage, tasks) in enumerate(stages):
        logs = str(work / f"logs_{number}")
        LocalPipelineExecutor(stage, tasks=tasks, workers=WORKERS, logging_dir=logs, start_method="fork").run()
    with (folder / "datatrove.kept").open("w", encoding="utf-8") as kept:
        for path in sorted((work / "kept").iterdir()):
            kept.write(path.read_text(encoding="utf-8"))


def documents(folder: Path, data: Any, rank: int, world_size: int) -> Iterator[Any]:
    """A part as datatrove's documents."""
    from datatrove.data import Document

    for row in lines(folder / f"{rank:05d}.jsonl"):
        yield Document(text=row["problem"], id=str(row["number"]))


def write_numbers(folder: Path, data: Any, rank: int, world_size: int) -> Iterator[Any]:
    """The numbers of what is left of a part."""
    with (folder / f"{rank:05d}").open("w", encoding="utf-8") as kept:
        for document in data:
            kept.write(f"{document.id}\n")
            yield document


def _split(path: Path, folder: Path, parts: int) -> None:
    folder.mkdir(parents=True)
    files = [(folder / f"{part:05d}.jsonl").open("w", encoding="utf-8") for part in range(parts)]
    with path.open(encoding="utf-8") as rows:
        for number, line in enumerate(rows):
            files[number % parts].write(line)
    for file in files:
        file.close()


METHODS = {"open-r1": open_r1, "datatrove": datatrove_minhash}

if __name__ == "__main__":
    METHODS[sys.argv[1]](Path(sys.argv[2]))
