"""Benchmark files in whatever layout: every statement, or every defect."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from recipes.data.benchmark_texts import read_benchmark_texts
from recipes.data.jsonl import DataFileError


def test_layouts_names_and_ids(tmp_path: Path) -> None:
    rows = [
        {"problem": "P", "id": "x"},
        {"question": "Q", "task_id": 7},
        {"prompt": "R"},
        {"problem": " ", "text": "T"},
    ]
    path = tmp_path / "bench.v1.jsonl.gz"
    path.write_bytes(gzip.compress("\n\n".join(map(json.dumps, rows)).encode()))
    found = read_benchmark_texts(path)
    assert [(one.benchmark, one.id, one.text) for one in found] == [
        ("bench", "x", "P"), ("bench", "7", "Q"), ("bench", "5", "R"), ("bench", "7", "T"),
    ]  # fmt: skip


def test_a_json_list_is_a_file_of_rows(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps([{"problem": "P"}]))
    assert [one.text for one in read_benchmark_texts(tmp_path / "b.json")] == ["P"]


def test_every_defect_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text('{"answer": "1"}\n{"problem"\n[1]\n')
    with pytest.raises(DataFileError) as caught:
        read_benchmark_texts(path)
    assert sorted(defect.removeprefix(f"{path}:")[0] for defect in caught.value.defects) == ["1", "2", "3"]
    assert "found the keys answer" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.jsonl").write_bytes(content)
    with pytest.raises(DataFileError, match="found no row"):
        read_benchmark_texts(tmp_path / "b.jsonl")


def test_a_torn_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"problem": "P"}\n')[:-4])
    with pytest.raises(DataFileError, match="cannot be read"):
        read_benchmark_texts(tmp_path / "b.jsonl.gz")
