"""Signatures of a part: what is signed once for an id, what belongs to a row."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recipes.data import prompt_signatures
from recipes.data.prompt_signatures import FACTS, NGRAM, band_names, sign_part
from recipes.data.rows import SourceRow
from tests.unit.data.row_tables import write_rows

APPLE = "An apple costs 3 dollars, a pear 2. What do 4 apples cost?"


@pytest.mark.parametrize("batch", [1, 2, 1024])
def test_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(prompt_signatures, "BATCH", batch)
    rows = [
        SourceRow("math", APPLE, "a", "MIT", "12", response="<think>"),
        SourceRow("math", APPLE, "b", "MIT", "12", response="<think>"),
        SourceRow("math", APPLE, "c", "MIT", "12", metadata={"solution": "3 * 4"}),
        SourceRow("math", APPLE.upper(), "c", "MIT", "12"),
        SourceRow("code", "Print x", "d", "MIT", tests={"inputs": ["1"]}, response=""),
    ]
    (path,) = write_rows(tmp_path / "rows", rows)
    sign_part(path, tmp_path / "signed.parquet", 3, 7)
    table = pq.read_table(tmp_path / "signed.parquet")
    assert table.column_names == [*FACTS.names, "band_000", "band_001"] == [*FACTS.names, *band_names(2)]
    assert table.schema.metadata[NGRAM] == b"3"
    found = table.to_pylist()
    assert [row["row"] for row in found] == [0, 1, 2, 3, 4]
    by_source: dict[str, list[dict]] = {}
    for row in found:
        by_source.setdefault(row["source"], []).append(row)
    (a,), (b,), (d,) = by_source["a"], by_source["b"], by_source["d"]
    shown, upper = sorted(by_source["c"], key=lambda row: not row["solution"])
    assert a["response"] == b["response"] != d["response"] is not None
    assert shown["response"] is None
    assert [row["solution"] for row in (a, b, shown, upper)] == [False, False, True, False]
    (first,) = [row for row in (a, b, shown) if row["exact"] is not None]
    assert first["row"] == min(row["row"] for row in (a, b, shown))
    assert (first["exact"], first["band_000"]) == (upper["exact"], upper["band_000"])
    assert (first["answer"], first["tests_length"]) == ("12", 0)
    assert (d["answer"], d["tests_length"], d["band_001"]) == ("", len('{"inputs":["1"]}'), None)


def test_no_rows(tmp_path: Path) -> None:
    (path,) = write_rows(tmp_path / "rows", [])
    sign_part(path, tmp_path / "signed.parquet", 3, 128)
    assert pq.read_table(tmp_path / "signed.parquet").num_rows == 0
