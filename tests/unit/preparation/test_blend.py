"""Blends on disk: nested files that training reads, cards that tell the truth, the same bytes from any parts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.data.blends import TooFew
from recipes.data.jsonl import read_demonstrations
from recipes.data.prompts import encode_demonstrations
from recipes.data.tables import DECISIONS, write_table
from recipes.data.tokenizer import load_tokenizer
from recipes.preparation import blend
from recipes.preparation.blend import BlendInputs, plan_task, read_plan, wanted_of, write_task
from recipes.preparation.rebalance import count_part
from recipes.settings.prepare_schema import BlendsSettings
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.sample_parts import problems, sample, tokenizer_folder, write_samples
from tests.unit.preparation.teacher_inputs import teacher

NAMES = ["v1", "v2", "v3"]
COMMAND = ("steps=[blend]", "output=out", "parts.count=3")


def sizes(**more: Any) -> BlendsSettings:
    options: dict[str, Any] = {
        "names": NAMES,
        "math_prompts": [5, 10, 20],
        "math_samples": [5, 10, 60],
        "code_prompts": [2, 4, 8],
        "code_samples": [2, 4, 16],
        "prompts_scale": 1.0,
        "responses_scale": 1.0,
        "strata": 3,
        **more,
    }
    return BlendsSettings(**options)


def prepared(tmp_path: Path, parts: int = 1, decided: tuple[Path, ...] = (), **more: Any) -> tuple[BlendInputs, Path]:
    """24 math prompts with 4 responses and 10 code prompts with 3, one of which repeats; planned, not written."""
    rows = [*problems(24, source="numina"), *problems(10, "code", "taco")]
    samples = [sample(row, k, 3 + place + k) for place, row in enumerate(rows) for k in range(4 if place < 24 else 3)]
    samples[-1]["response"] = samples[-2]["response"]
    folders = {name: tmp_path / name for name in ("rows", "samples", "lengths", "plan")}
    write_rows(folders["rows"], rows, parts)
    write_samples(folders["samples"], samples, parts)
    for part in range(parts):
        count_part(
            folders["rows"],
            folders["samples"],
            decided,
            tokenizer_folder(),
            teacher(tmp_path),
            folders["lengths"],
            part,
        )
    plan_task(folders["rows"], folders["lengths"], decided, parts, sizes(**more), 1, folders["plan"], 0)
    inputs = BlendInputs(folders["rows"], folders["samples"], folders["plan"], decided, parts, teacher(tmp_path))
    return inputs, tmp_path / "blends"


def written(tmp_path: Path, parts: int = 1) -> Path:
    inputs, output = prepared(tmp_path, parts)
    for task in range(3):
        write_task(inputs, NAMES, COMMAND, output, tmp_path / "phase", task)
    return output


def keys(path: Path) -> list[tuple[str, int]]:
    return [(row["id"], row["sample"]) for row in map(json.loads, path.open(encoding="utf-8"))]


def test_files_are_nested_and_equal_in_both_formats(tmp_path: Path) -> None:
    output = written(tmp_path)
    seen: set[tuple[str, int]] = set()
    for name, count in zip(NAMES, (7, 14, 76), strict=True):
        own = output / name
        found = keys(own / f"{name}.jsonl")
        assert len(found) == count and found == sorted(found) and seen < set(found)
        seen = set(found)
        table = pq.read_table(own / "train-00000-of-00001.parquet")
        assert table.to_pylist() == [json.loads(line) for line in (own / f"{name}.jsonl").open(encoding="utf-8")]


def test_training_reads_them_and_counts_the_same_tokens(tmp_path: Path) -> None:
    path = written(tmp_path) / "v3" / "v3.jsonl"
    demonstrations = read_demonstrations(path)
    encoded = encode_demonstrations(demonstrations, load_tokenizer(tokenizer_folder()), "never used", 10**6)
    rows = [json.loads(line) for line in path.open(encoding="utf-8")]
    assert [(len(one.prompt), len(one.response)) for one in encoded.demonstrations] == [
        (row["prompt_tokens"], row["tokens"]) for row in rows
    ]
    assert {row["instruction"] for row in rows} == {"Box it.", "Write Python."}
    assert {(row["domain"], row["source"], row["licence"]) for row in rows} == {
        ("math", "numina", "CC0"),
        ("code", "taco", "MIT"),
    }


def test_cards_tell_counts_hashes_and_the_command(tmp_path: Path) -> None:
    own = written(tmp_path) / "v2"
    card, text = json.loads((own / "card.json").read_text()), (own / "README.md").read_text()
    assert (card["prompts"], card["samples"], card["teachers"]) == (14, 14, {"R": 14})
    for name, sha256 in card["files"].items():
        assert hashlib.sha256((own / name).read_bytes()).hexdigest() == sha256
        assert sha256 in text
    content = hashlib.sha256()
    for row in map(json.loads, (own / "v2.jsonl").open(encoding="utf-8")):
        for field in (row["id"], str(row["sample"]), row["problem"], row["instruction"], row["response"]):
            content.update(len(field.encode()).to_bytes(8, "little") + field.encode())
    assert content.hexdigest() == card["content_sha256"]
    assert card["content_sha256"] in text and "MIT" in text
    assert "python -m recipes.prepare_data 'steps=[blend]' output=DIR\n" in text
    assert (own / "lengths.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_bytes_from_other_parts_and_after_a_kill(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), tmp_path / "three" / "blends"
    (other / "v1").mkdir(parents=True)  # what a killed start, with other settings, left
    (other / "v1" / ".v1.jsonl.partial").write_text("torn")
    (other / "v1" / "train-00000-of-00007.parquet").write_text("of other sizes")
    assert written(tmp_path / "three", parts=3) == other
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert len(files) == 15
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def test_long_blends_have_several_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blend, "SHARD_ROWS", 30)
    own = written(tmp_path) / "v3"
    paths = sorted(own.glob("train-*.parquet"))
    assert [path.name for path in paths] == [f"train-{place:05d}-of-00003.parquet" for place in range(3)]
    tables = [pq.read_table(path) for path in paths]
    assert [len(table) for table in tables] == [30, 30, 16]
    assert pa.concat_tables(tables)["id"].to_pylist() == [id for id, _ in keys(own / "v3.jsonl")]


def test_prompts_that_are_out_and_repeated_responses_are_in_no_blend(tmp_path: Path) -> None:
    out = [{"row": number, "kind": "sampled_out", "detail": "{}"} for number in range(0, 34, 8)]
    write_table(tmp_path / "before" / "decisions.parquet", pa.Table.from_pylist(out, DECISIONS))
    inputs, _ = prepared(tmp_path, decided=(tmp_path / "before",), prompts_scale="auto", responses_scale="auto")
    rows = pq.read_table(inputs.rows / "00000.parquet").to_pylist()
    plan = read_plan(inputs.plan)
    assert set(plan["id"]).isdisjoint(row["id"] for row in rows if row["row"] % 8 == 0)
    assert plan["repeats"].null_count() == plan.height
    report = json.loads((inputs.plan / "report.json").read_text())
    assert report["repeated_responses"] in (0, 1)  # 1 unless the prompt itself is out
    chosen = sum(report["blends"]["v3"][domain]["samples"] for domain in ("math", "code"))
    assert chosen == plan.height
    left = sum(one["samples"] for one in report["in_no_blend"].values())
    lengths = pq.read_table(tmp_path / "lengths" / "00000.parquet")
    assert chosen + left + report["repeated_responses"] == len(lengths)


def test_more_than_there_is(tmp_path: Path) -> None:
    with pytest.raises(TooFew, match=r"v3: 30 math prompts wanted, 24 there"):
        prepared(tmp_path, math_prompts=[5, 10, 30], math_samples=[5, 10, 60])


def test_senseless_sizes_are_told_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        wanted_of(sizes(math_prompts=[5, 4, 20], code_samples=[2, 4]))
    assert len(str(caught.value).splitlines()) == 2


def test_a_sample_that_is_gone_is_noticed(tmp_path: Path) -> None:
    inputs, output = prepared(tmp_path)
    path = inputs.samples / "00000.parquet"
    planned = set(read_plan(inputs.plan).select("id", "sample").rows())
    table = pq.read_table(path)
    rows = table.to_pylist()
    lost = next(place for place, row in enumerate(rows) if (row["id"], row["sample"]) in planned)
    write_table(path, pa.Table.from_pylist(rows[:lost] + rows[lost + 1 :], table.schema))
    with pytest.raises(ValueError, match="is in the plan and not there"):
        write_task(inputs, NAMES, COMMAND, output, tmp_path / "phase", 2)
    assert not (output / "v3" / "v3.jsonl").exists()
