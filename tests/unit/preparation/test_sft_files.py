"""SFT files: every line of the blend in one place, nothing cut, the same held-out prompts for every blend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recipes.data.jsonl import read_demonstrations
from recipes.data.prompts import encode_demonstrations
from recipes.data.tokenizer import load_tokenizer
from recipes.preparation.blend import BlendInputs, plan_task, read_plan, write_task
from recipes.preparation.rebalance import count_part
from recipes.preparation.sft_files import blend_number, report_lines, sft_report, sft_task, validation_prompts
from recipes.settings.prepare_schema import BlendsSettings, SftFilesSettings
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.sample_parts import problems, sample, tokenizer_folder, write_samples
from tests.unit.preparation.teacher_inputs import teacher

NAMES = ("small", "large")
LIMIT = 100


def settings(**more: Any) -> SftFilesSettings:
    options: dict[str, Any] = {
        "blend": "large",
        "max_sequence_length": LIMIT,
        "validation_prompts": 2,
        "global_batch_size": 8,
        **more,
    }
    return SftFilesSettings(**options)


@pytest.fixture(scope="module")
def blends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blends of 20 math prompts with two responses each, of growing length."""
    path = tmp_path_factory.mktemp("blends")
    rows = problems(20)
    samples = [sample(row, k, 3 + 2 * place + k) for place, row in enumerate(rows) for k in range(2)]
    write_rows(path / "rows", rows)
    write_samples(path / "samples", samples)
    count_part(path / "rows", path / "samples", [], tokenizer_folder(), teacher(path), path / "lengths", 0)
    sizes = BlendsSettings(list(NAMES), [20, 20], [20, 40], [0, 0], [0, 0], 1.0, 1.0, 4)
    plan_task(path / "rows", path / "lengths", [], 1, sizes, 1, path / "plan", 0)
    inputs = BlendInputs(path / "rows", path / "samples", path / "plan", (), 1, teacher(path))
    for task in range(2):
        write_task(inputs, NAMES, ("x",), path / "out", path / "phase", task)
    return path


def made(blends: Path, output: Path, **more: Any) -> dict[str, Any]:
    sft_task(blends / "plan", blends / "out", NAMES, settings(**more), 1, output, output / "phase", 0)
    assert (output / "phase" / "report.json").read_bytes() == (output / "report.json").read_bytes()
    return json.loads((output / "report.json").read_text())


def test_every_line_is_in_one_place(blends: Path, tmp_path: Path) -> None:
    report = made(blends, tmp_path)
    lines = (blends / "out" / "large" / "large.jsonl").read_bytes().splitlines()
    train, validation = ((tmp_path / f"sft_{name}.jsonl").read_bytes().splitlines() for name in ("train", "validation"))
    long = [json.loads(line) for line in (tmp_path / "overlong.jsonl").open()]
    named = {(row["id"], row["sample"]) for row in long}
    rest = [line for line in lines if (json.loads(line)["id"], json.loads(line)["sample"]) not in named]
    assert sorted(train + validation) == sorted(rest)
    assert len(train) + len(validation) + len(long) == 40 and train and validation and long
    assert all(row["prompt_tokens"] + row["tokens"] > LIMIT for row in long)
    ids = {json.loads(line)["id"] for line in train}
    assert ids.isdisjoint(json.loads(line)["id"] for line in validation)
    counts = (report["train"]["samples"], report["validation"]["samples"], report["overlong"]["samples"])
    assert counts == (len(train), len(validation), len(long))


def test_run_sft_finds_that_all_fit(blends: Path, tmp_path: Path) -> None:
    report = made(blends, tmp_path)
    for name in ("train", "validation"):
        rows = read_demonstrations(tmp_path / f"sft_{name}.jsonl")
        encoded = encode_demonstrations(rows, load_tokenizer(tokenizer_folder()), "never used", LIMIT)
        assert encoded.overlong == ()
        assert sum(map(len, encoded.demonstrations)) == report[name]["tokens"]
        assert max(map(len, encoded.demonstrations)) == report[name]["longest"]


def test_the_same_prompts_are_held_out_of_every_blend(blends: Path, tmp_path: Path) -> None:
    found = []
    for name in NAMES:
        made(blends, tmp_path / name, blend=name, max_sequence_length=1000)
        found.append({row.problem.id for row in read_demonstrations(tmp_path / name / "sft_validation.jsonl")})
    assert found[0] == found[1] and len(found[0]) == 2


def test_at_most_a_tenth_is_held_out() -> None:
    rows = [(f"math{n}", "math", first, n < 10) for n in range(50) for first in (0, 1)]  # the first ten are too long
    rows += [(f"code{n}", "code", 0, False) for n in range(3)]
    plan = pl.DataFrame(rows, ["id", "domain", "first", "overlong"], orient="row")
    found = validation_prompts(plan, 100, 1)
    assert [sum(id.startswith(domain) for id in found) for domain in ("math", "code")] == [4, 1]
    assert set(found).isdisjoint(f"math{n}" for n in range(10))
    assert validation_prompts(plan.reverse(), 100, 1) == found
    assert validation_prompts(plan, 100, 2) != found
    assert len(validation_prompts(plan, 2, 1)) == 3


def test_the_report_by_hand() -> None:
    rows = [("a", "math", 3, 6, False, False), ("b", "math", 4, 8, True, False), ("b", "math", 1, 4, None, False)]
    rows += [("c", "code", 2, 2, False, True), ("d", "code", 9, 11, False, False)]
    members = pl.DataFrame(rows, ["id", "domain", "tokens", "total", "truncated", "held_out"], orient="row")
    members = members.with_columns(overlong=pl.col("total") > 10)
    report = sft_report(members, settings(max_sequence_length=10, global_batch_size=2))
    assert report["train"] == {
        "samples": 3,
        "prompts": 2,
        "by_domain": {"math": 3},
        "tokens": 18,
        "response_tokens": 8,
        "mean": 6.0,
        "median": 6,
        "ninety_percent": 6,
        "longest": 8,
    }
    assert report["overlong"] == {"samples": 1, "share": 0.2, "longest": 11, "prompts_lost": 1}
    assert report["truncated_by_the_teacher"] == {"samples": 1, "not_known": 1}
    assert report["epoch"] == {"global_batch_size": 2, "steps": 1, "left_over": 1}
    assert report["if_packed"]["sequences"] == 2  # 8, and 6 with 4
    text = "\n".join(report_lines(report))
    assert "1 samples (20.00%) have more than 10 tokens" in text and "run_sft does not pack" in text
    assert "1 responses were cut by the teacher" in text


def test_fewer_samples_than_an_update_takes_are_mentioned(blends: Path, tmp_path: Path) -> None:
    report = made(blends, tmp_path, global_batch_size=1000)
    assert f"sft.global_batch_size={report['train']['samples']} at most" in report_lines(report)[-1]


def test_what_cannot_work_is_refused(blends: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sft\.blend=v9: no such blend; expected one of small, large"):
        blend_number(settings(blend="v9"), NAMES)
    with pytest.raises(ValueError, match="none of 40 samples fits; the shortest has"):
        made(blends, tmp_path, max_sequence_length=5)
    with pytest.raises(
        ValueError, match=r"1 prompts fit into sft\.max_sequence_length=5 tokens; expected at least two"
    ):
        one = {"id": ["a"], "domain": ["math"], "tokens": [2], "total": [4], "truncated": [False], "held_out": [False]}
        sft_report(pl.DataFrame({**one, "overlong": [False]}), settings(max_sequence_length=5))
    other = tmp_path / "other"
    (other / "large").mkdir(parents=True)
    (other / "large" / "large.jsonl").write_bytes((blends / "out" / "small" / "small.jsonl").read_bytes())
    with pytest.raises(ValueError, match="expected sample"):
        sft_task(blends / "plan", other, NAMES, settings(), 1, tmp_path, tmp_path, 0)
    assert not (tmp_path / "sft_train.jsonl").exists()
    assert read_plan(blends / "plan").height == 40
