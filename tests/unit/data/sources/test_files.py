from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.jsonl import DataFileError
from recipes.data.sources import files
from recipes.data.sources.files import (
    LineCounter,
    check_gzip,
    columns_of,
    gzip_records,
    jsonl_records,
    parquet_records,
    row_groups,
)


def _write(folder: Path, content: bytes) -> str:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return str(path)


def _cut(path: str, size: int, length: int) -> list[tuple[int, Any]]:
    """Line number from 0 in the file, and row, read in pieces of ``size`` bytes."""
    counter, found = LineCounter(), []
    for start in range(0, length, size):
        for record in jsonl_records(path, start, min(start + size, length)):
            found.append((counter.lines_before(path, start) + record.number, record.row or record.reason[:9]))
    return found


LINE = st.sampled_from([b"", b" \t", b'{"a": 1}', b'{"b": "xyz"}\r', b"{", b"[]", b"\xff", '{"c": "\u2028é"}'.encode()])


@settings(max_examples=60)
@given(lines=st.lists(LINE, min_size=1, max_size=12), size=st.integers(1, 40), ends=st.booleans())
def test_cuts_show_in_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, ends: bool
) -> None:
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    path = _write(tmp_path_factory.mktemp("cuts"), content)
    expected = []
    for number, line in enumerate(lines):
        if line.strip():
            try:
                row = json.loads(line.decode())
            except UnicodeDecodeError:
                row = "byte 0 of"
            except ValueError:
                row = "malformed"
            expected.append((number, row if isinstance(row, (dict, str)) else "a JSON li"))
    assert _cut(path, size, len(content)) == expected


def test_what_a_line_may_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 30)
    lines = [b'\xef\xbb\xbf{"a": 1}', b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "' + b"x" * 99 + b'"}', b'{"a": 2}']
    content = b"\n".join(lines) + b"\n"
    records = list(jsonl_records(_write(tmp_path, content), 0, len(content)))
    assert [record.row for record in records] == [{"a": 1}, None, None, None, {"a": 2}]
    assert [record.reason.partition(";")[0] for record in records] == [
        "",
        "malformed JSON: NaN is no JSON",
        "malformed JSON: -Infinity is no JSON",
        "a line of 109 bytes",
        "",
    ]


def test_deep_nesting_is_a_bad_row(tmp_path: Path) -> None:
    content = b'{"a": ' + b"[" * 200_000 + b"\n"
    (record,) = jsonl_records(_write(tmp_path, content), 0, len(content))
    assert record.reason.startswith("malformed JSON")


def test_gzip_gives_the_same(tmp_path: Path) -> None:
    content = b'{"a": 1}\n\n{"a": 2}\n{'
    plain = list(jsonl_records(_write(tmp_path, content), 0, len(content)))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(content))
    assert list(gzip_records(str(packed))) == plain
    packed.write_bytes(gzip.compress(content)[:-10])
    with pytest.raises(DataFileError, match=r"rows\.jsonl\.gz: cannot be read"):
        list(gzip_records(str(packed)))
    packed.write_bytes(content)
    with pytest.raises(DataFileError, match="expected a whole file"):
        check_gzip(str(packed))


def test_parquet_in_row_groups(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.parquet")
    rows = [{"a": number, "b": None if number % 2 else {"c": [str(number)]}} for number in range(10)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    assert columns_of(path) == ["a", "b"]
    assert [cut[:3] for cut in row_groups(path, 1)] == [(0, 1, 0), (1, 2, 3), (2, 3, 6), (3, 4, 9)]
    ((first, end, before, size),) = row_groups(path, 1 << 30)
    assert (first, end, before) == (0, 4, 0) and size > 0
    assert [record.row for record in parquet_records(path, 0, 4)] == rows
    assert [(record.number, record.row) for record in parquet_records(path, 2, 3)] == list(enumerate(rows[6:9]))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    assert row_groups(path, 1) == []


def test_parquet_with_text_that_is_no_utf8(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.parquet")
    texts = pa.array([b"good", b"\xffbad", b"fine"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"a": broken, "n": [1, 2, 3]}), path)
    records = list(parquet_records(path, 0, 1))
    assert [record.row for record in records] == [{"a": "good", "n": 1}, None, {"a": "fine", "n": 3}]
    assert records[1].reason.startswith("text that is not UTF-8") and records[1].raw == b"\xffbad\n2"


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")
    for read in (
        lambda: row_groups(str(path), 1),
        lambda: columns_of(str(path)),
        lambda: list(parquet_records(str(path), 0, 1)),
    ):
        with pytest.raises(DataFileError, match=r"rows\.parquet: cannot be read"):
            read()


def test_lines_are_counted_from_the_nearest_known_place(tmp_path: Path) -> None:
    content = b"".join(b"%d\n" % number for number in range(1000))
    path = _write(tmp_path, content)
    counter = LineCounter()
    for start in (0, 500, 499, 498, 3889, 1, 2, 3):
        assert counter.lines_before(path, start) == content[: max(start - 1, 0)].count(b"\n") + (start > 0)
