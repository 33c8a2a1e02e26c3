"""From responses in a store, or in rows, to samples: real graders, every response accounted for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recipes.data.rows import SourceRow
from recipes.data.tables import DECISIONS, SAMPLES
from recipes.grading.sandbox import SandboxUnavailable, require_sandbox
from recipes.preparation.teacher_grading import grade_part, grading_key
from recipes.preparation.teacher_keeping import TABLES, keep_part, teacher_counts, write_dropped_task
from recipes.preparation.teacher_store import Response, TeacherStore
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.teacher_inputs import GRADING, math_row, teacher


def boxed(answer: str) -> str:
    return f"<think>hm</think>\\boxed{{{answer}}}"


GOLD = math_row(5)
HARD = math_row(6)
OPEN = math_row(7, answer="")
TORN = math_row(8, answer="")
CARRIED = [math_row(9, response=boxed("9")), math_row(9, response=boxed("3")), math_row(9, response="\\boxed{9}")]
ASKED = {
    GOLD.id: [boxed("5"), boxed("5.0"), boxed("4"), "<think>no end"],
    HARD.id: [boxed("1"), boxed("1"), boxed("6"), "no box"],
    OPEN.id: [boxed(r"\frac12"), boxed("0.5"), boxed("1/2"), boxed("2")],
    TORN.id: [boxed("1"), boxed("2"), boxed("3"), boxed("4")],
}
ROWS = [GOLD, HARD, OPEN, TORN, *CARRIED]


def drawn(folder: Path, rows: list[SourceRow], texts: dict[str, list[str]], parts: int = 1) -> Path:
    """Rows, and a store that holds these responses; a response with "no end" was cut."""
    for part in range(parts):
        store = TeacherStore(folder / "store", part, parts)
        with store.append_responses() as file:
            for row in rows:
                for index, text in enumerate(texts.get(row.id, [])):
                    finish = "length" if "no end" in text else "stop"
                    file.append(asdict(Response(row.id, index, 1, text, 10 * (index + 1), finish, 0.1)))
    return write_rows(folder / "rows", rows, parts)[0].parent


def kept(folder: Path, rows: Path, keep: str, parts: int = 1, *, grade: bool = True) -> Path:
    settings, out = teacher(folder / "store", keep=keep), folder / f"keep_{keep}_{parts}"
    for part in range(parts):
        if grade:
            grade_part(rows, [], parts, settings, GRADING, folder / "grade", part)
        keep_part(rows, [], parts, settings, GRADING, out, part)
    return out


def table(folder: Path, name: str = "") -> list[dict]:
    return [row for path in sorted((folder / name).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def by_id(rows: list[dict], row: SourceRow) -> list[dict]:
    return [one for one in rows if one["id"] == row.id]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keeping")
    drawn(folder, ROWS, ASKED)
    return folder


def test_right_responses_are_kept_and_all_others_named(folder: Path) -> None:
    out = kept(folder, folder / "rows", "right")
    samples, dropped = table(out, "samples"), table(out, "dropped")
    assert [(one["sample"], one["correct"], one["truncated"]) for one in by_id(samples, GOLD)] == [
        (0, True, False),
        (1, True, False),
    ]
    assert by_id(samples, GOLD)[0]["response"] == "<think>\nhm\n</think>\n\n\\boxed{5}"
    assert [(one["sample"], one["reason"]) for one in by_id(dropped, GOLD)] == [(2, "wrong"), (3, "truncated")]
    assert [one["reason"] for one in by_id(dropped, HARD)] == ["wrong", "wrong", "no_answer"]
    assert {one["reason"] for one in by_id(dropped, OPEN)} == {"not_graded"}
    assert {one["response"] for one in by_id(samples, CARRIED[0])} == {boxed("9"), "\\boxed{9}"}
    assert [one["teacher"] for one in by_id(samples, CARRIED[0])] == ["made", "made"]
    counts = teacher_counts(out, 1)
    assert counts == {
        "asked": 16,
        "carried": 3,
        "filled": 0,
        "kept": 5,
        "missing": 0,
        "no_answer": 1,
        "not_graded": 8,
        "problems": 5,
        "problems_without": 2,
        "truncated": 1,
        "wrong": 4,
    }
    assert len(samples) + len(dropped) == counts["asked"] + counts["carried"]


def test_rows_without_any_kept_response_are_rejected(folder: Path) -> None:
    out = kept(folder, folder / "rows", "right")
    rows = {row["row"]: row for row in table(folder / "rows")}
    found = {rows[one["row"]]["id"]: (one["kind"], json.loads(one["detail"])) for one in table(out)}
    without = {"reason": "no response is kept", "responses": {"not_graded": 4}, "step": "teacher"}
    assert found == {
        OPEN.id: ("rejected", without),
        TORN.id: ("rejected", without),
        CARRIED[0].id: ("rejected", {"reason": "wrong", "step": "teacher"}),
    }


def test_the_majority_decides_and_fills_missing_answers(folder: Path) -> None:
    out = kept(folder, folder / "rows", "majority")
    assert [one["sample"] for one in by_id(table(out, "samples"), GOLD)] == [0, 1]
    assert [one["reason"] for one in by_id(table(out, "dropped"), HARD)] == ["wrong", "wrong", "minority", "no_answer"]
    assert table(out, "answers") == [{"id": OPEN.id, "answer": "0.5", "votes": 3, "responses": 4}]
    assert [one["sample"] for one in by_id(table(out, "samples"), OPEN)] == [0, 1, 2]
    assert {one["reason"] for one in by_id(table(out, "dropped"), TORN)} == {"no_majority"}


def test_facts_are_those_of_all_responses(folder: Path) -> None:
    facts = {one.pop("id"): one for one in table(kept(folder, folder / "rows", "right"), "facts")}
    assert facts[GOLD.id] == dict(responses=4, truncated=1, graded=4, correct=2, counted=4, tokens=100)
    assert facts[HARD.id] == dict(responses=4, truncated=0, graded=4, correct=1, counted=4, tokens=100)
    assert facts[OPEN.id] == dict(responses=4, truncated=0, graded=0, correct=0, counted=4, tokens=100)
    assert facts[CARRIED[0].id] == dict(responses=3, truncated=0, graded=3, correct=2, counted=0, tokens=0)


def test_of_a_filled_answer_the_majority_is_right(folder: Path) -> None:
    facts = {one.pop("id"): one for one in table(kept(folder, folder / "rows", "majority"), "facts")}
    assert facts[OPEN.id] == dict(responses=4, truncated=0, graded=4, correct=3, counted=4, tokens=100)
    assert facts[TORN.id] == dict(responses=4, truncated=0, graded=0, correct=0, counted=4, tokens=100)


def test_problems_that_nobody_is_asked_about_pass(tmp_path: Path) -> None:
    rows, settings = drawn(tmp_path, ROWS, {}), teacher(tmp_path / "store", keep="right")
    grade_part(rows, [], 1, settings, GRADING, tmp_path / "grade", 0)
    keep_part(rows, [], 1, settings, GRADING, tmp_path / "keep", 0)
    counts = teacher_counts(tmp_path / "keep", 1)
    assert (counts["not_asked"], counts["problems"], counts["carried"], counts["kept"]) == (4, 1, 3, 2)
    assert [json.loads(one["detail"])["reason"] for one in table(tmp_path / "keep")] == ["wrong"]


def test_a_carried_response_that_never_ends_its_thinking_was_cut(tmp_path: Path) -> None:
    rows = [math_row(1, response="<think>and then"), math_row(1, response="no thinking, \\boxed{1}")]
    out = kept(tmp_path, drawn(tmp_path, rows, {}), "right")
    assert [one["reason"] for one in table(out, "dropped")] == ["truncated"]
    assert [one["truncated"] for one in table(out, "samples")] == [None]
    facts = {"responses": 2, "truncated": 1, "graded": 2, "correct": 1, "counted": 0, "tokens": 0}
    assert table(out, "facts") == [{"id": rows[0].id, **facts}]


def test_dropped_responses_are_listed_in_one_file(folder: Path) -> None:
    out = kept(folder, folder / "rows", "right")
    write_dropped_task(out, 1, folder / "published", folder / "phase", 0)
    lines = (folder / "published" / "dropped_samples.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 14
    assert {"id": GOLD.id, "sample": 2, "reason": "wrong", "verdict": "wrong", "extracted": "4", "tokens": 30} in found


def test_all_needs_no_grader(tmp_path: Path) -> None:
    rows = drawn(tmp_path, ROWS, ASKED)
    out = kept(tmp_path, rows, "all", grade=False)
    assert [one["reason"] for one in table(out, "dropped")] == ["truncated"]
    samples = table(out, "samples")
    assert len(samples) == 18
    assert {one["correct"] for one in samples} == {None}


def test_graded_again_nothing_changes_and_a_torn_verdict_is_graded_anew(tmp_path: Path) -> None:
    out = kept(tmp_path, drawn(tmp_path, ROWS, ASKED), "majority")
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
    (verdicts,) = (tmp_path / "store").glob("verdicts.*")
    lines = len(verdicts.read_bytes().splitlines())
    verdicts.write_bytes(verdicts.read_bytes()[:-7])
    kept(tmp_path, tmp_path / "rows", "majority")
    assert len(verdicts.read_bytes().splitlines()) == lines + 1, "the torn line stays, one verdict is added"
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in before} == before


def test_the_number_of_parts_does_not_show(tmp_path: Path) -> None:
    for parts in (1, 3):
        (tmp_path / str(parts)).mkdir()
        kept(tmp_path / str(parts), drawn(tmp_path / str(parts), ROWS, ASKED, parts), "majority", parts)
    for name in TABLES:
        one, other = (table(tmp_path / str(parts) / f"keep_majority_{parts}", name) for parts in (1, 3))
        assert [{**row, "row": None} for row in one] == [{**row, "row": None} for row in other]


def test_tables_have_their_schemas_also_without_rows(tmp_path: Path) -> None:
    out = kept(tmp_path, drawn(tmp_path, [], {}), "right")
    assert pq.read_schema(out / "samples" / "00000.parquet").equals(SAMPLES)
    assert pq.read_schema(out / "00000.parquet").equals(DECISIONS)


def test_another_grading_is_another_file_of_verdicts() -> None:
    changed = [GRADING.__class__(**{**vars(GRADING), **more}) for more in ({"workers": 9}, {"timeout_seconds": 1.0})]
    assert [grading_key(one) == grading_key(GRADING) for one in changed] == [True, False]


def test_programs_are_graded_by_their_tests(tmp_path: Path) -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    tests = {"kind": "stdin", "inputs": ["2\n"], "outputs": ["4\n"]}
    code = SourceRow("code", "Double it.", "made", "none", tests=tests)
    broken = SourceRow("code", "Halve it.", "made", "none", tests={"kind": "nonsense"})
    right, wrong = (f"</think>```python\nprint(int(input()) * {factor})\n```" for factor in (2, 3))
    texts = {code.id: [right, wrong, "</think>none", right], broken.id: [right, right, right, right]}
    out = kept(tmp_path, drawn(tmp_path, [code, broken], texts), "majority")
    assert [one["sample"] for one in table(out, "samples")] == [0, 3]
    reasons = [(one["reason"], one["verdict"]) for one in by_id(table(out, "dropped"), code)]
    assert reasons == [("wrong", "wrong_answer"), ("no_answer", "no_code")]
    assert {one["reason"] for one in by_id(table(out, "dropped"), broken)} == {"not_graded"}
