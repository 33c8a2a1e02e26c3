"""Golds and suites of a part: what cannot serve is rejected with its reason, everything else stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.data.rows import SourceRow
from recipes.data.tables import write_table
from recipes.grading.graders import Grader
from recipes.grading.sandbox import SandboxUnavailable, require_sandbox
from recipes.preparation import selection_checks
from recipes.preparation.gold_checks import GoldCheck, unread_values
from recipes.preparation.reference_checks import fenced, references_of
from recipes.preparation.selection_checks import check_counts, check_part, reject_pasted
from recipes.preparation.teacher_grading import options_of
from recipes.preparation.teacher_keeping import ANSWERS
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.selection_inputs import selection
from tests.unit.preparation.teacher_inputs import GRADING, math_row, teacher

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
DOUBLE = {"kind": "stdin", "inputs": ["1\n", "2\n", "5\n"], "outputs": ["2\n", "4\n", "10\n"]}


def rows_of(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the problems are no part of the project")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def code_row(problem: str, tests: dict[str, Any] | None = None, **metadata: Any) -> SourceRow:
    return SourceRow("code", problem, "made", "none", tests=DOUBLE if tests is None else tests, metadata=metadata)


def checked(folder: Path, rows: list[SourceRow], answers: Path | None = None, **settings: Any) -> dict[str, list[str]]:
    """Problem -> kind and reason of each of its rows that is out."""
    write_rows(folder / "rows", rows)
    options = selection(**settings)
    check_part(folder / "rows", [], answers, options, teacher(folder), GRADING, folder / "check", 0)
    reject_pasted(folder / "check", 1, options.same_tests, folder / "pasted", 0)
    problems = {row["row"]: row["problem"] for row in pq.read_table(folder / "rows" / "00000.parquet").to_pylist()}
    found: dict[str, list[str]] = {}
    for path in (folder / "check" / "00000.parquet", folder / "pasted" / "decisions.parquet"):
        for one in pq.read_table(path).to_pylist():
            reason = f"{one['kind']}: {json.loads(one['detail'])['reason']}"
            found.setdefault(problems[one["row"]], []).append(reason)
    return found


def test_golds_that_cannot_be_graded_by_are_rejected(tmp_path: Path) -> None:
    rows = [
        SourceRow("math", problem, "made", "none", answer)
        for problem, answer in (
            ("A half?", r"\frac12"),
            ("A set?", r"\{1, 2\}"),
            ("Nothing?", ""),
            ("Torn?", r"\frac{1}{"),
            ("Half a formula?", "x^2+"),
            ("Parts?", "(a) 1 (b) 2"),
            ("A day?", r"\text{Friday}"),
        )
    ]
    found = checked(tmp_path, rows)
    assert set(found) == {"Nothing?", "Torn?", "Half a formula?", "Parts?"}
    assert found["Nothing?"] == ["rejected: no answer"]
    assert "not right against itself" in found["Torn?"][0]
    assert "not readable: of the value 'x^2+'" in found["Half a formula?"][0]
    assert check_counts(tmp_path / "check", 1) == {"rejected": 4, "same_problem": 0, "sound": 3}


def test_an_answer_of_the_majority_stands_in(tmp_path: Path) -> None:
    row = math_row(3, answer="")
    answer = {"id": row.id, "answer": "3", "votes": 3, "responses": 4}
    write_table(tmp_path / "answers" / "00000.parquet", pa.Table.from_pylist([answer], ANSWERS))
    assert checked(tmp_path, [row], tmp_path / "answers") == {}
    assert checked(tmp_path, [row]) == {row.problem: ["rejected: no answer"]}


def test_one_row_of_a_problem_stays(tmp_path: Path) -> None:
    rows = [math_row(1, response="one"), math_row(1, response="another"), math_row(2)]
    assert checked(tmp_path, rows) == {rows[0].problem: ["duplicate: the same problem"]}


def test_suites_that_cannot_be_run_or_are_too_small_are_rejected(tmp_path: Path) -> None:
    rows = [
        code_row("Unknown.", {"kind": "nonsense"}),
        code_row("One.", {"kind": "stdin", "inputs": ["1"], "outputs": ["2"]}),
        SourceRow("code", "None.", "made", "none"),
        code_row("Sound."),
    ]
    found = checked(tmp_path, rows)
    assert "tests.kind: found 'nonsense'" in found.pop("Unknown.")[0]
    assert found == {
        "One.": ["rejected: 1 test; expected at least selection.min_tests=2"],
        "None.": ["rejected: no tests"],
    }


def test_tests_pasted_under_many_problems_are_rejected(tmp_path: Path) -> None:
    def suite(own: int) -> dict[str, Any]:
        inputs = [f"{own}\n", *(f"{number} 0\n" for number in range(6))]
        return {"kind": "stdin", "inputs": inputs, "outputs": ["x\n"] * 7}

    rows = [code_row(f"Problem {number}.", suite(number)) for number in range(4)]
    assert checked(tmp_path, [*rows[:3], code_row("Sound.")]) == {}
    found = checked(tmp_path, [*rows, code_row("Sound.")])
    assert set(found) == {row.problem for row in rows}
    assert found[rows[0].problem] == ["rejected: tests in a row that 4 problems have; pasted under others' problems"]


def test_the_broken_copy_of_livecodebench_is_refused(tmp_path: Path) -> None:
    rows = []
    for raw in rows_of("code/lcb_broken_private_rllm626c_sample5.jsonl"):
        pairs = {"inputs": [one["input"] for one in raw["tests"]], "outputs": [one["output"] for one in raw["tests"]]}
        rows.append(code_row(raw["problem"], {"kind": "stdin", **pairs}))
    assert all("that 5 problems have" in reasons[0] for reasons in checked(tmp_path, rows).values())
    assert len(checked(tmp_path, rows)) == 5


@pytest.fixture
def sandbox() -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.mark.usefixtures("sandbox")
def test_a_reference_solution_must_pass(tmp_path: Path) -> None:
    right, wrong = "print(2 * int(input()))", "print(3 * int(input()))"
    rows = [
        code_row("Right.", reference_solution=right),
        code_row("Wrong.", reference_solution=wrong),
        code_row("Second.", reference_solutions=[wrong, right]),
        code_row("Third.", reference_solutions=[wrong, wrong + "\n", right]),
        code_row("Without."),
    ]
    found = checked(tmp_path, rows, references=2, same_tests=9)
    assert set(found) == {"Wrong.", "Third."}
    assert found["Wrong."][0].startswith(
        "rejected: the reference solution fails test 0 of 3: wrong_answer, input '1\\n'"
    )
    assert "all 2 reference solutions fail, the first one test 0" in found["Third."][0]
    counts = check_counts(tmp_path / "check", 1)
    assert (counts["reference_passed"], counts["reference_failed"], counts["without_reference"]) == (2, 2, 1)


def test_without_a_sandbox_references_are_counted_as_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection_checks, "can_run", lambda options: False)
    assert checked(tmp_path, [code_row("Wrong.", reference_solution="print(0)")]) == {}
    assert check_counts(tmp_path / "check", 1)["reference_not_run"] == 1


@pytest.mark.usefixtures("sandbox")
def test_real_suites_and_their_references_pass(tmp_path: Path) -> None:
    rows = []
    for raw in rows_of("code/leetcodedataset_test200.jsonl")[:6]:
        tests = {"kind": "assert", "code": raw["tests"]["functional"]}
        rows.append(code_row(raw["problem"], tests, reference_solution=raw["completion"]))
    for raw in rows_of("code/codeforces_test408.jsonl")[:20]:
        pairs = {"inputs": [one["input"] for one in raw["tests"]], "outputs": [one["output"] for one in raw["tests"]]}
        rows.append(code_row(raw["problem"], {"kind": "stdin", **pairs}))
    assert checked(tmp_path, rows, min_tests=1) == {}
    assert check_counts(tmp_path / "check", 1)["reference_passed"] == 6


def test_golds_of_real_collections_are_right_against_themselves(tmp_path: Path) -> None:
    rows = [
        SourceRow("math", raw["problem"], "math", "none", raw["answer"] or "")
        for raw in rows_of("train/math_train_7474.jsonl")[::7]
    ]
    found = checked(tmp_path, rows)
    assert len(found) <= 2, found  # rows without an answer, and a matrix with \phantom, are known upstream


def test_values_that_the_exact_comparison_cannot_read() -> None:
    for read in ("7", r"\$1,234.50", r"5\text{ cm}^2", r"(-\infty, 2] \cup [3, \infty)", "x = 5", "25_8", "3:4"):
        assert unread_values(read) == [], read
    assert unread_values(r"\frac{1}{7}\triangle ABC") != []
    with Grader(options_of(GRADING)) as grader:  # the library can
        assert GoldCheck(r"\frac{1}{7}\triangle ABC", grader).defect() is None


def test_references_are_programs() -> None:
    metadata = {"reference_solution": "a", "reference_solutions": ["b", "a", "", 3]}
    assert references_of(metadata) == ["a", "b"]
    assert references_of({"solutions": 3}) == []
    assert fenced("x = '~~~~'").startswith("~~~~~python\n")
