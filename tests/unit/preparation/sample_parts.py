"""Small data preparation up to the samples: rows, responses of chosen lengths, the demo's tokenizer."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from recipes.data import tiny_tokenizer
from recipes.data.rows import SourceRow
from recipes.data.tables import SAMPLES, part_of, write_table
from recipes.preparation.collect import rows_path

WORD = " tokens"


def problems(count: int, domain: str = "math", source: str = "made") -> list[SourceRow]:
    """Distinct problems without a response."""
    if domain == "math":
        return [SourceRow("math", f"What is {n} + {n}?", source, "CC0", str(2 * n)) for n in range(count)]
    tests = {"kind": "stdin", "inputs": ["1"], "outputs": ["1"]}
    return [SourceRow("code", f"Print {n}.", source, "MIT", tests={**tests, "outputs": [str(n)]}) for n in range(count)]


def sample(row: SourceRow, number: int, words: int, **more: Any) -> dict[str, Any]:
    """A response of about so many tokens."""
    text = f"<think>\n{WORD * words} {number}\n</think>\n\nSo \\boxed{{{row.answer}}}."
    found = dict.fromkeys(SAMPLES.names)
    return {**found, "id": row.id, "sample": number, "domain": row.domain, "response": text, "teacher": "R", **more}


def write_samples(folder: Path, samples: Sequence[dict[str, Any]], parts: int = 1) -> Path:
    """The samples in ``folder``, sorted."""
    ordered = sorted(samples, key=lambda one: (one["id"], one["sample"]))
    for part in range(parts):
        own = [one for one in ordered if part_of(one["id"], parts) == part]
        write_table(rows_path(folder, part), pa.Table.from_pylist(own, SAMPLES))
    return folder


@cache
def tokenizer_folder() -> str:
    """The demo's tokenizer trained on one sentence, once for all tests of a process."""
    folder = mkdtemp(prefix="tokenizer-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with patch.object(
        tiny_tokenizer, "corpus", lambda: [f"user\nWhat is 1 + 1?{WORD * 9} \\boxed Print Write Python."]
    ):
        tiny_tokenizer.save(Path(folder))
    return folder
