from __future__ import annotations

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.data.sources import hub
from recipes.data.sources.hub import HubError, HubPart, hub_parts, hub_rows, shard_count


def test_places() -> None:
    assert hub_parts("hf:a/b@1f#data/x-*.parquet, y.jsonl") == [
        HubPart("a/b", "1f", "data/x-*.parquet"),
        HubPart("a/b", "1f", "y.jsonl"),
    ]
    (split,) = hub_parts("hf:a/b#default,train")
    assert split == HubPart("a/b", "", "", "default", "train")
    assert str(split) == "hf:a/b#default,train"
    assert str(hub_parts("hf:a/b@1f#y.jsonl")[0]) == "hf:a/b@1f#y.jsonl"
    assert pickle.loads(pickle.dumps(split)) == split


@pytest.mark.parametrize(
    "place", ["", "file", "hf:a/b", "hf:b#c,train", "hf:a/b#train", "hf:a/b#x.jsonl,train", "s3:a/b#c,d"]
)
def test_no_place(place: str) -> None:
    with pytest.raises(ValueError, match="expected hf:OWNER/NAME"):
        hub_parts(place)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the hub: the library streams from it as it does from there."""
    monkeypatch.setattr(hub, "ADDRESS", f"{tmp_path}/")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    return folder


def test_files_are_read_apart_and_in_order(copy: Path) -> None:
    for number in range(3):
        rows = [{"n": 10 * number + place, "q": "x"} for place in range(4)]
        pq.write_table(pa.Table.from_pylist(rows), copy / f"x-{number}.parquet")
    (part,) = hub_parts("hf:a/b#x-*.parquet")
    assert shard_count(part) == 3
    found = [[row["n"] for row in hub_rows(part, shard, 3)] for shard in range(3)]
    assert found == [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]
    with pytest.raises(HubError, match="found 3 files, 2 when the work was planned"):
        next(hub_rows(part, 0, 2))


def test_jsonl(copy: Path) -> None:
    (copy / "y.jsonl").write_text("".join(json.dumps({"n": n, "io": '{"inputs": []}'}) + "\n" for n in range(3)))
    (part,) = hub_parts("hf:a/b#y.jsonl")
    assert [row["n"] for row in hub_rows(part, 0, shard_count(part))] == [0, 1, 2]


def test_what_cannot_be_had_names_the_way_out(copy: Path) -> None:
    (part,) = hub_parts("hf:a/b@1f#none.jsonl")
    with pytest.raises(HubError, match=r"hf:a/b@1f#none\.jsonl cannot be had .*set the source's path"):
        shard_count(part)
    (copy / "bad.jsonl").write_text('{"n": 1}\n{"n": \n')
    (part,) = hub_parts("hf:a/b#bad.jsonl")
    with pytest.raises(HubError, match=r"hf:a/b#bad\.jsonl"):
        list(hub_rows(part, 0, shard_count(part)))
