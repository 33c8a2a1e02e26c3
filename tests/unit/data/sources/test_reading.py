from __future__ import annotations

import dataclasses
import gzip
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from recipes.data.rows import REJECTED_CHARACTERS, Rejected, SourceRow
from recipes.data.sources import hub
from recipes.data.sources.files import columns_of
from recipes.data.sources.hub import hub_parts
from recipes.data.sources.reading import ADAPTERS, Read, SourcesError, plan_reads, read_rows
from recipes.grading.code_test_format import parse_tests
from recipes.settings.prepare_schema import SourceSettings, SourcesSettings
from recipes.settings.typed import CONF

TRAIN = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "train"
LOCAL = SourcesSettings(**OmegaConf.to_container(OmegaConf.load(CONF / "prepare" / "data.yaml")) | {"name": "local"})  # type: ignore[operator]
STDIN = {"kind": "stdin", "inputs": ["1\n"], "outputs": ["2\n"]}
ROWS: list[dict[str, Any]] = [
    {"problem": f"What is {number} + {number}?", "answer": str(2 * number), "level": number} for number in range(30)
]
ROWS += [{"problem": "Double it.", "tests": STDIN, "source": "own", "licence": "mit"}]


def _jsonl(path: Path, rows: Sequence[Any] = ROWS) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _parquet(path: Path, rows: Sequence[Any] = ROWS) -> str:
    flat = [{**row, "tests": json.dumps(row["tests"])} if "tests" in row else row for row in rows]
    keys = sorted({key for row in rows for key in row})
    pq.write_table(pa.Table.from_pylist([{key: row.get(key) for key in keys} for row in flat]), path, row_group_size=7)
    return str(path)


def _read(reads: Sequence[Read]) -> tuple[list[SourceRow], list[Rejected]]:
    found = [one for read in reads for one in read_rows(pickle.loads(pickle.dumps(read)), parse_tests)]
    rows = [one for one in found if isinstance(one, SourceRow)]
    return rows, [one for one in found if isinstance(one, Rejected)]


def _source(path: Path | None, **changes: Any) -> SourceSettings:
    base = SourceSettings("set", "hf:a/b#x-*.parquet", None, "acereason_math", "math", "mit")
    return dataclasses.replace(base, path=None if path is None else str(path), **changes)


def test_the_same_content_gives_the_same_rows_wherever_it_lies(tmp_path: Path) -> None:
    plain = _jsonl(tmp_path / "a.jsonl")
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    columns = _parquet(tmp_path / "c.parquet")
    whole, rejected = _read(plan_reads([plain], LOCAL))
    assert (len(whole), rejected) == (31, [])
    assert [row.source for row in whole[-2:]] == ["local", "own"]
    for path in (plain, str(packed), columns):
        reads = plan_reads([path], LOCAL, chunk_bytes=100)
        assert len(reads) > 4 or path == str(packed)
        assert len({read.name for read in reads}) == len(reads)
        assert sum(read.bytes for read in reads) <= Path(path).stat().st_size
        rows, rejected = _read(list(reversed(reads)))
        assert {row.digest for row in rows} == {row.digest for row in whole} and rejected == []
        assert len(rows) == 31


def test_bad_rows_have_a_place_and_a_reason_wherever_the_cuts_lie(tmp_path: Path) -> None:
    lines = [
        b'{"problem": "p", "answer": "1"}',
        b"",
        b'{"problem": "p"}',
        b"not json",
        b'{"problem": "p", "answer": "\xff"}',
        b'{"problem": "p", "answer": "\\ud800"}',
        b'{"problem": "p", "tests": {"kind": "stdin", "inputs": [], "outputs": []}}',
        b'{"problem": "p", "answer": "1", "x": 1e999}',
        b'{"problem": "q", "answer": "2"}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    expected = [
        (3, "neither an answer nor tests"),
        (4, "malformed JSON at column 1"),
        (5, "byte 28 of the line is not UTF-8"),
        (6, "the answer holds a lone surrogate"),
        (7, "tests.inputs: found no test"),
        (8, "the metadata cannot be held by JSON"),
    ]
    for size in (1 << 20, 64, 7):
        rows, rejected = _read(plan_reads([str(path)], LOCAL, chunk_bytes=size))
        assert [row.problem for row in rows] == ["p", "q"]
        assert [one.place for one in rejected] == [f"{path}:{number}" for number, _ in expected]
        assert all(one.reason.startswith(reason) for one, (_, reason) in zip(rejected, expected, strict=True))
        assert rejected[1].content == "not json" and rejected[2].content.endswith('\\xff"}')
        assert {one.source for one in rejected} == {"local"}


def test_a_reference_may_be_missing_where_the_settings_say_so(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "a.jsonl", [{"problem": "p", "source": "own"}])
    rows, rejected = _read(plan_reads([path], dataclasses.replace(LOCAL, require_reference=False)))
    assert (len(rows), rejected) == (1, [])
    _, (one,) = _read(plan_reads([path], LOCAL))
    assert one.source == "own"


def test_the_content_of_a_rejected_row_is_cut(tmp_path: Path) -> None:
    row = {"problem": "é" * 300_000, "answer": "1"}
    for path in (_jsonl(tmp_path / "a.jsonl", [row]), _parquet(tmp_path / "b.parquet", [row])):
        _, (one,) = _read(plan_reads([path], LOCAL))
        assert one.place == f"{path}:1" and one.reason.startswith("the problem has 300000 characters")
        assert len(one.content) == REJECTED_CHARACTERS


def test_values_nested_too_deeply_are_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"problem": "p", "answer": "1", "x": ' + "[" * 900 + "]" * 900 + "}\n")
    rows, rejected = _read(plan_reads([str(path)], LOCAL))
    assert rows == [] and "nested too deeply" in rejected[0].reason


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    good = _jsonl(tmp_path / "good.jsonl")
    empty, packed, columns = tmp_path / "empty.jsonl", tmp_path / "a.jsonl.gz", tmp_path / "a.parquet"
    empty.touch()
    packed.write_bytes(b"no gzip")
    columns.write_bytes(b"no parquet")
    other = _parquet(tmp_path / "other.parquet", [{"prompt": "q", "answer": "1"}])
    (tmp_path / "hollow").mkdir()
    inputs = [str(tmp_path / "none.jsonl"), good, f"{tmp_path}/./good.jsonl", str(tmp_path), str(empty), str(packed)]
    inputs += [str(columns), other, str(tmp_path / "a.csv")]
    sources = [
        _source(None, format="csv"),
        _source(None, domain="law"),
        _source(None, place="here"),
        _source(tmp_path / "hollow"),
    ]
    with pytest.raises(SourcesError) as caught:
        plan_reads(inputs, LOCAL, sources)
    reasons = [
        "none.jsonl: found nothing; expected a file of .jsonl, .jsonl.gz, .parquet",
        "./good.jsonl: is ",
        "found a folder",
        "empty.jsonl: the file is empty",
        "a.jsonl.gz: cannot be read",
        "a.parquet: cannot be read",
        "other.parquet: column problem|question is missing; found columns answer, prompt: set data.problem_key",
        "a.csv: found nothing",
        "source set: format 'csv', domain 'math'; expected a format among acemath",
        "source set: format 'acereason_math', domain 'law'",
        "source set: place is 'here'; expected hf:OWNER/NAME",
        "hollow: found no file of",
    ]
    assert len(caught.value.defects) == len(reasons)
    for defect, reason in zip(caught.value.defects, reasons, strict=True):
        assert reason in defect
    assert str(caught.value).startswith("the sources have 12 defects\n")


PUBLISHED = [{"problem": f"{number}?", "answer": number} for number in range(6)]


def test_a_published_set_from_a_copy_and_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a/b"
    (folder / ".cache").mkdir(parents=True)
    _parquet(folder / "x-0.parquet", PUBLISHED[:4])
    _parquet(folder / "x-1.parquet", PUBLISHED[4:])
    _jsonl(folder / ".cache/hidden.jsonl", [{"problem": "hidden", "answer": "1"}])
    (folder / "README.md").write_text("Rows.")
    monkeypatch.setattr(hub, "ADDRESS", f"{tmp_path}/")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    one_file = _jsonl(tmp_path / "set.jsonl", PUBLISHED)
    expected = [(f"{number}?", str(number), "set", "mit") for number in range(6)]
    copies = dataclasses.replace(LOCAL, copies=str(tmp_path))
    for source, local in ((_source(folder), LOCAL), (_source(Path(one_file)), LOCAL), (_source(None), copies)):
        rows, rejected = _read(plan_reads([], local, [source]))
        assert [(row.problem, row.answer, row.source, row.licence) for row in rows] == expected and rejected == []
    reads = plan_reads([], LOCAL, [_source(None)])
    assert [(read.kind, read.start, read.end) for read in reads] == [("hub", 0, 2), ("hub", 1, 2)]
    streamed, _ = _read(reads)
    assert [row.digest for row in streamed] == [row.digest for row in rows]
    _jsonl(folder / "y.jsonl", [{"problem": "p", "answer": "1"}, {"problem": "", "answer": "2"}])
    _, (bad,) = _read(plan_reads([], LOCAL, [_source(None, place="hf:a/b#y.jsonl")]))
    assert (bad.place, bad.source) == ("hf:a/b#y.jsonl 1/1:2", "set")
    with pytest.raises(SourcesError, match=r"source other: found no copy; expected one of other, other\.jsonl"):
        plan_reads([], copies, [_source(None, name="other")])


def test_of_a_copy_of_the_whole_data_set_only_what_the_place_names(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        _jsonl(folder / split / "rows.jsonl", [{"problem": split, "answer": "1"}])
    one, both = _source(folder, place="hf:a/b#train/*.jsonl"), _source(folder, place="hf:a/b#default,train")
    assert [row.problem for row in _read(plan_reads([], LOCAL, [one]))[0]] == ["train"]
    assert [row.problem for row in _read(plan_reads([], LOCAL, [both]))[0]] == ["test", "train"]


def test_the_same_file_is_not_read_as_two_sources(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "a.jsonl", PUBLISHED)
    with pytest.raises(SourcesError, match="expected each file once"):
        plan_reads([path], LOCAL, [_source(Path(path))])


def test_a_changed_file_has_another_stamp(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "a.jsonl")
    (before,) = plan_reads([path], LOCAL)
    (same,) = plan_reads([path], LOCAL)
    _jsonl(tmp_path / "a.jsonl", ROWS[1:])
    (after,) = plan_reads([path], LOCAL)
    assert before == same and before.stamp != after.stamp


@pytest.mark.parametrize("path", sorted((CONF / "source").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_source_of_conf(path: Path) -> None:
    source = SourceSettings(**OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]
    assert source.name == path.stem
    assert source.format in ADAPTERS and source.domain in ("math", "code")
    assert all(part.revision == "" or len(part.revision) == 40 for part in hub_parts(source.place))


@pytest.mark.parametrize(
    ("file", "count", "unusable"),
    [("math_train_7474.jsonl", 7474, 4), ("gsm8k_train.jsonl", 7473, 0), ("aime_1983_2023_975.jsonl", 975, 0)],
)
def test_real_files(file: str, count: int, unusable: int) -> None:
    path = TRAIN / file
    if not path.exists():
        pytest.skip(f"{path} is not there: the training problems are no part of the project")
    rows, rejected = _read(plan_reads([str(path)], LOCAL, chunk_bytes=1 << 20))
    assert (len(rows), len(rejected)) == (count - unusable, unusable)
    assert all(one.reason.startswith("neither an answer nor tests") for one in rejected), "answers that are null there"
    assert max(len(row.answer) for row in rows) < 200


def test_columns_of_a_parquet_file_are_those_of_its_rows(tmp_path: Path) -> None:
    assert columns_of(_parquet(tmp_path / "a.parquet")) == sorted({key for row in ROWS for key in row})
