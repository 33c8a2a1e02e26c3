"""From rows to the files of the RL stages, through a teacher's server, phase by phase."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from recipes.data.jsonl import read_problems
from recipes.preparation.decisions import decisions_of_part
from recipes.preparation.pipeline import Pipeline
from recipes.preparation.teacher_keeping import teacher_counts
from recipes.settings.compose import compose
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.teacher_inputs import math_row
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

ROWS = [math_row(number, answer="" if number % 7 == 0 else None) for number in range(60)]


def planned(folder: Path, url: str, *more: str, ask: bool = True) -> Pipeline:
    """The pipeline from the sorted rows on."""
    words = [
        "data=local",
        "data.inputs=[none.jsonl]",
        f"output={folder}",
        "steps=[respond,keep,select]",
        f"teacher.url={url}",
        f"teacher.model={MODEL}",
        "teacher.keep=all",
        "teacher.concurrency=16",
        "grading.workers=1",
        "selection.math1=[min_response_tokens:2,max_difficulty:7]",
        "selection.math2=[max_difficulty:6,at_most:4]",
        "selection.held_out=3",
        "parts.count=2",
        *more,
    ]
    pipeline = Pipeline(compose("prepare", words), ())
    for step in ("respond", "keep", "select") if ask else ("keep", "select"):
        getattr(pipeline, step)()
    return pipeline


def run(pipeline: Pipeline, only: str = "") -> None:
    for phase in pipeline.phases:
        for task in range(phase.tasks if only in phase.name else 0):
            phase.run(pipeline.work / phase.name, task)


def kept_of(pipeline: Pipeline) -> Path:
    return pipeline.work / "keep.choose"


def hashes(folder: Path) -> dict[str, str]:
    files = [*folder.glob("*.jsonl"), *folder.glob("rl/*.jsonl")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_from_rows_to_stages(tmp_path: Path) -> None:
    outputs = [tmp_path / "one", tmp_path / "other"]
    with fault_server("--faults", "0") as url:
        for output, more in zip(outputs, ([], ["parts.count=3"]), strict=True):
            pipeline = planned(output, url, *more)
            write_rows(pipeline.rows, ROWS, pipeline.parts)
            run(pipeline)
    counts = teacher_counts(kept_of(pipeline), 3)
    assert (counts["asked"], counts["missing"]) == (480, 0)
    assert counts["kept"] == 480
    assert hashes(outputs[0]) == hashes(outputs[1])
    assert {"math1.jsonl", "math2.jsonl", "heldout.jsonl"} <= set(hashes(outputs[0]))
    hard = read_problems(outputs[0] / "rl" / "math1.jsonl")
    assert all(one.metadata["teacher_responses"] == 8 for one in hard)
    assert all(0 <= one.metadata["difficulty"] <= 7 for one in hard)
    assert {one.metadata["teacher_tokens"] for one in hard} == {6}
    report = json.loads((pipeline.work / "select.choose" / "selection.json").read_text())
    assert report["with_difficulty"] == report["candidates"]["math"]
    decided = {row: kind for part in range(3) for row, (kind, _) in decisions_of_part(pipeline.decided, part).items()}
    in_files = {one.id for path in (outputs[0] / "rl").iterdir() for one in read_problems(path)}
    assert len(decided) + len(in_files) == len(ROWS)
    assert set(decided.values()) <= {"rejected", "sampled_out"}


def test_what_a_phase_follows_from(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    first = {phase.name: phase.follows_from for phase in planned(tmp_path, url).phases}
    names = "respond.claim respond.ask keep.grade keep.choose keep.dropped"
    selecting = "select.check select.pasted select.choose select.write"
    assert list(first) == [*names.split(), *selecting.split()]
    for words, changed in (
        (["teacher.url=http://elsewhere/v1", "grading.workers=9", "teacher.concurrency=1"], set()),
        (["teacher.temperature=0.9"], {"respond.claim"}),
        (["teacher.keep=right"], {"keep.choose"}),
        (["teacher.responses=9"], {"respond.ask", "keep.grade", "keep.choose"}),
        (["selection.math1=[share:0.5]"], {"select.choose"}),
        (["selection.min_tests=7"], {"select.check", "select.choose"}),
    ):
        other = {phase.name: phase.follows_from for phase in planned(tmp_path, url, *words).phases}
        assert {name for name in first if other[name] != first[name]} == changed, words


def test_without_a_server_rows_that_carry_responses_are_enough(tmp_path: Path) -> None:
    pipeline = planned(tmp_path, "http://127.0.0.1:9/v1", ask=False)
    assert "respond.ask" not in [phase.name for phase in pipeline.phases]
    rows = [*ROWS[1:7], math_row(99, response="<think>\n</think>\n\n\\boxed{9}")]
    write_rows(pipeline.rows, rows, pipeline.parts)
    run(pipeline)
    assert (teacher_counts(kept_of(pipeline), 2)["kept"], teacher_counts(kept_of(pipeline), 2)["not_asked"]) == (1, 6)
    assert len(read_problems(tmp_path / "rl" / "math3.jsonl")) == 7


@pytest.mark.parametrize("name", ["select.choose", "keep.choose", "select.write"])
def test_a_phase_that_runs_again_writes_the_same(tmp_path: Path, name: str) -> None:
    pipeline = planned(tmp_path, "http://127.0.0.1:9/v1", ask=False)
    write_rows(pipeline.rows, ROWS[1:7], pipeline.parts)
    run(pipeline)
    found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(pipeline, name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == found
