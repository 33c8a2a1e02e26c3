"""Counting lengths and rebalancing over parts: the counts of run_sft, every row decided once, any number of parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.data.lengths import LENGTHS, response_counter
from recipes.data.prompts import prompt_ids, response_ids
from recipes.data.rows import SourceRow
from recipes.data.tables import DECISIONS, read_table, write_table
from recipes.data.tokenizer import load_tokenizer
from recipes.preparation.prompt_samples import prompts_with_samples
from recipes.preparation.rebalance import count_part, rebalance_task, require_sound
from recipes.settings.prepare_schema import RebalanceSettings
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.sample_parts import problems, sample, tokenizer_folder, write_samples
from tests.unit.preparation.teacher_inputs import teacher


@pytest.fixture
def tokenizer() -> str:
    return tokenizer_folder()


def rebalancing(**more: Any) -> RebalanceSettings:
    options: dict[str, Any] = {
        "tokenizer": "",
        "short_tokens": 0,
        "short_keep": 1.0,
        "bins": [0, 60],
        "math_shares": [],
        "code_shares": [],
        "tolerance": 0.0,
        "math_prompts": 10**6,
        "code_prompts": 10**6,
        **more,
    }
    return RebalanceSettings(**options)


def made(tmp_path: Path, tokenizer: str, parts: int = 1, decided: Path | None = None) -> tuple[Path, Path, Path]:
    """Folders of 40 math and 10 code prompts, their samples and lengths: every second prompt is short."""
    rows = [*problems(40), *problems(10, "code")]
    samples = [sample(row, k, 4 if place % 2 else 80) for place, row in enumerate(rows[:-1]) for k in range(2)]
    folders = tmp_path / "rows", tmp_path / "samples", tmp_path / "lengths"
    write_rows(folders[0], rows, parts)
    write_samples(folders[1], samples, parts)
    before = [] if decided is None else [decided]
    for part in range(parts):
        count_part(folders[0], folders[1], before, tokenizer, teacher(tmp_path), folders[2], part)
    return folders


def decisions(folder: Path) -> dict[int, dict[str, Any]]:
    rows = pq.read_table(folder / "decisions.parquet").to_pylist()
    assert {row["kind"] for row in rows} <= {"sampled_out"}
    assert len({row["row"] for row in rows}) == len(rows)
    return {row["row"]: json.loads(row["detail"]) for row in rows}


def test_lengths_are_those_that_run_sft_counts(tmp_path: Path, tokenizer: str) -> None:
    rows = [
        *problems(1),
        SourceRow("code", "Add.", "s", "l", tests={"kind": "stdin"}, metadata={"starter_code": "def f():"}),
        SourceRow("math", "Own?", "s", "l", "1", metadata={"instruction": "As you like."}),
    ]
    texts = {row.id: f"<think>\nümläute 🙂 {row.problem}\n</think>\n\n<|im_end|> 12345" for row in rows}
    samples = [sample(row, 0, 1, response=texts[row.id], truncated=False) for row in rows]
    write_rows(tmp_path / "rows", rows)
    write_samples(tmp_path / "samples", samples)
    count_part(tmp_path / "rows", tmp_path / "samples", [], tokenizer, teacher(tmp_path), tmp_path / "lengths", 0)
    table = pq.read_table(tmp_path / "lengths" / "00000.parquet")
    assert table.schema.equals(LENGTHS)
    model = load_tokenizer(tokenizer)
    asked = {"What is 0 + 0?": "Box it.", "Add.": "Begin with def f():", "Own?": "As you like."}
    by_id = {row.id: row for row in rows}
    for found in table.to_pylist():
        row = by_id[found["id"]]
        assert found["tokens"] == len(response_ids(texts[row.id], model))
        assert found["prompt_tokens"] == len(prompt_ids(row.problem, model, asked[row.problem]))
        assert (found["source"], found["licence"], found["domain"]) == (row.source, row.licence, row.domain)
        assert (found["repeats"], found["truncated"]) == (None, False)


def test_equal_responses_of_a_prompt_are_marked(tmp_path: Path, tokenizer: str) -> None:
    (row,) = problems(1)
    samples = [sample(row, number, 3, response=text) for number, text in ((0, "a"), (2, "b"), (3, "a"), (7, "a"))]
    write_rows(tmp_path / "rows", [row])
    write_samples(tmp_path / "samples", samples)
    count_part(tmp_path / "rows", tmp_path / "samples", [], tokenizer, teacher(tmp_path), tmp_path / "lengths", 0)
    found = pq.read_table(tmp_path / "lengths" / "00000.parquet")
    assert found["repeats"].to_pylist() == [None, None, 0, 0]


def test_a_response_comes_under_the_licence_of_the_source_that_carries_it(tmp_path: Path) -> None:
    rows = [
        SourceRow("math", "One?", source, licence, "1", response="x") for source, licence in (("s", "A"), ("t", "B"))
    ]
    write_rows(tmp_path / "rows", rows)
    carried = [sample(rows[0], k, 1, teacher=name) for k, name in enumerate(("t", "s", "DeepSeek-R1"))]
    write_samples(tmp_path / "samples", carried)
    folders = tmp_path / "rows", tmp_path / "samples"
    count_part(*folders, [], tokenizer_folder(), teacher(tmp_path), tmp_path / "lengths", 0)
    found = pq.read_table(tmp_path / "lengths" / "00000.parquet").select(["source", "licence"]).to_pylist()
    first = min(rows, key=lambda row: row.digest)
    assert [(row["source"], row["licence"]) for row in found] == [("t", "B"), ("s", "A"), (first.source, first.licence)]


def test_a_tokenizer_that_asks_for_truncation_counts_everything(tokenizer: str) -> None:
    model = load_tokenizer(tokenizer)
    whole = response_counter(model)(["a b c " * 50])
    model.backend_tokenizer.enable_truncation(10)
    assert response_counter(model)(["a b c " * 50]) == whole
    assert whole[0] > 50


def test_samples_in_another_order_are_refused(tmp_path: Path) -> None:
    (row,) = problems(1)
    write_rows(tmp_path / "rows", [row])
    path = write_samples(tmp_path / "samples", [sample(row, 0, 1), sample(row, 1, 1)]) / "00000.parquet"
    table = pq.read_table(path)
    write_table(path, table.take(pa.array([1, 0])))
    with pytest.raises(ValueError, match="expected each once, by id and sample"):
        list(prompts_with_samples(tmp_path / "rows", tmp_path / "samples", [], 0, [], []))


def test_prompts_go_by_length_and_every_row_is_told_why(tmp_path: Path, tokenizer: str) -> None:
    rows, _, lengths = made(tmp_path, tokenizer)
    settings = rebalancing(short_tokens=60, short_keep=0.5, math_shares=[0.2, 0.8])
    rebalance_task(rows, lengths, [], 1, settings, 1, tmp_path / "out", 0)
    found = decisions(tmp_path / "out")
    rules = [(detail["rule"], detail.get("bin")) for detail in found.values()]
    # math: 10 of 20 short ones stay, then a fifth, to within one: 6 beside 20 long ones.
    # code: 5 long ones, 2 of 4 short ones, and the last has no response
    assert rules.count(("short", "0-59")) == 10 + 2
    assert rules.count(("distribution", "0-59")) == 4
    assert rules.count(("no_response", None)) == 1
    assert len(rules) == 17
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["prompts_without_response"] == 1
    assert report["domains"]["math"]["prompts"] == {"before": 40, "short": 20, "after_short": 30, "after": 26}
    assert report["domains"]["code"]["prompts"]["after"] == 7


def test_parts_and_seed(tmp_path: Path, tokenizer: str) -> None:
    settings = rebalancing(short_tokens=60, short_keep=0.5)
    gone = {}
    for name, parts, seed in (("one", 1, 1), ("three", 3, 1), ("other", 1, 2)):
        rows, _, lengths = made(tmp_path / name, tokenizer, parts)
        rebalance_task(rows, lengths, [], parts, settings, seed, tmp_path / name / "out", 0)
        numbers = decisions(tmp_path / name / "out")
        table = read_table([rows / f"{part:05d}.parquet" for part in range(parts)], ["row", "id"])
        gone[name] = {row["id"] for row in table.to_pylist() if row["row"] in numbers}
    assert gone["one"] == gone["three"] != gone["other"]


def test_rows_that_are_out_already_are_left_alone(tmp_path: Path, tokenizer: str) -> None:
    before = tmp_path / "before"
    out = [{"row": number, "kind": "contaminated", "detail": "{}"} for number in range(5)]
    write_table(before / "decisions.parquet", pa.Table.from_pylist(out, DECISIONS))
    rows, _, lengths = made(tmp_path, tokenizer, decided=before)
    ids = set(pq.read_table(lengths / "00000.parquet")["id"].to_pylist())
    gone = {row["id"] for row in pq.read_table(rows / "00000.parquet").to_pylist() if row["row"] < 5}
    assert gone.isdisjoint(ids)
    rebalance_task(rows, lengths, [before], 1, rebalancing(math_prompts=0, code_prompts=0), 1, tmp_path / "out", 0)
    assert set(decisions(tmp_path / "out")) == set(range(5, 50))


def test_several_rows_of_a_prompt_go_together(tmp_path: Path, tokenizer: str) -> None:
    rows = [SourceRow("math", "One?", "s", "l", "1", response=text) for text in ("a", "b", "c")]
    write_rows(tmp_path / "rows", rows)
    write_samples(tmp_path / "samples", [sample(rows[0], k, 5) for k in range(3)])
    count_part(tmp_path / "rows", tmp_path / "samples", [], tokenizer, teacher(tmp_path), tmp_path / "lengths", 0)
    rebalance_task(tmp_path / "rows", tmp_path / "lengths", [], 1, rebalancing(math_prompts=0), 1, tmp_path / "out", 0)
    assert set(decisions(tmp_path / "out")) == {0, 1, 2}


def test_unsound_targets_are_told_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        require_sound(rebalancing(bins=[5], math_shares=[0.5, 0.5], code_shares=[0.5]))
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and all(line.startswith("rebalance: ") for line in lines)
