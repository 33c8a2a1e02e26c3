from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.grade import main
from recipes.grading import grade_file as grade_file_module
from recipes.grading.grade_file import check_file, grade_file, read_rows
from recipes.grading.math_grader import MathGrader

GOOD = {"id": "a", "response": "<think>x</think>\\boxed{4}", "answer": "4"}


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "malformed JSON"),
        ("[1]", "found a JSON list; expected an object"),
        ({**GOOD, "id": None}, "key 'id': found null; expected a string or an integer"),
        ({**GOOD, "id": True}, "key 'id': found true"),
        ({"id": 1, "answer": "4"}, "key 'response' is missing; expected a string; found keys 'id', 'answer'"),
        ({**GOOD, "answer": " "}, "key 'answer': found \" \"; expected a string that is not empty, or a list"),
        ({**GOOD, "answer": []}, "key 'answer': found []"),
        ({**GOOD, "answer": ["4", 4]}, "key 'answer': found"),
        ({**GOOD, "answer": 4}, "key 'answer': found 4"),
    ],
)
def test_a_malformed_row_is_named_with_its_line(tmp_path: Path, row: object, message: str) -> None:
    path = written(tmp_path / "in.jsonl", GOOD, "", row, GOOD)
    with pytest.raises(ValueError, match="1 of 3 rows cannot be graded") as error:
        check_file(path, "math", keep_going=False)
    assert f"{path}:3: " in str(error.value)
    assert message in str(error.value)
    assert check_file(path, "math", keep_going=True) == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1, "response": ""}, "key 'tests' is missing"),
        ({"id": 1, "response": "", "tests": {"kind": "stdin", "inputs": ["1"], "outputs": []}}, "outputs"),
        ({"id": 1, "response": "", "tests": {"kind": "stdio", "inputs": [], "outputs": []}}, "stdin"),
    ],
)
def test_malformed_tests_are_named(tmp_path: Path, row: object, message: str) -> None:
    path = written(tmp_path / "in.jsonl", row)
    with pytest.raises(ValueError, match="1 of 1 rows") as error:
        check_file(path, "code", keep_going=False)
    assert message in str(error.value)


def test_many_defects_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="and 10 more"):
        check_file(written(tmp_path / "in.jsonl", *["{"] * 30), "math", keep_going=False)


def test_a_file_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        check_file(tmp_path / "in.jsonl", "math", keep_going=True)
    with pytest.raises(ValueError, match="found no row"):
        check_file(written(tmp_path / "in.jsonl", "", ""), "math", keep_going=True)


def test_one_row_for_each_in_order_also_when_workers_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows ahead at most, so that rows are written while others are graded."""
    monkeypatch.setattr(grade_file_module, "AHEAD", 5)
    monkeypatch.setattr("recipes.grading.math_grader.decide_exactly", lambda *_: None)
    monkeypatch.setattr(
        "recipes.grading.math_grader.COMPARISON", f"{__package__}.comparisons:sleeping_symbolic_comparison"
    )
    answers = ["die" if index % 7 == 3 else str(index) for index in range(40)]
    rows: list[object] = [
        {"id": i, "response": f"</think>\\boxed{{{a}}}", "answer": "5"} for i, a in enumerate(answers)
    ]
    rows[20] = "not JSON"
    told: list[str] = []
    with MathGrader(2, 5.0, require_thinking=None) as grader:
        counts = grade_file(
            written(tmp_path / "in.jsonl", *rows), tmp_path / "deep" / "out.jsonl", "math", grader, told.append
        )
    out = rows_of(tmp_path / "deep" / "out.jsonl")
    assert [row["id"] for row in out] == [*range(20), None, *range(21, 40)]
    expected = ["error" if i == 20 or a == "die" else "correct" if a == "5" else "wrong" for i, a in enumerate(answers)]
    assert [row["verdict"] for row in out] == expected == told
    assert out[20]["error"].startswith("line 21: malformed JSON")
    assert sum(counts.values()) == 40
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out.jsonl"]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler: a shell's background jobs start with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_run_leaves_the_old_file(tmp_path: Path) -> None:
    target = written(tmp_path / "out.jsonl", "old")

    def interrupt(_: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with MathGrader(1, 5.0, require_thinking=None) as grader, pytest.raises(KeyboardInterrupt):
        grade_file(written(tmp_path / "in.jsonl", GOOD, GOOD), target, "math", grader, interrupt)
    assert target.read_text() == "old\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_keep_what_utf8_cannot_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", r'{"id": "x", "response": "\\boxed{\ud800 é}", "answer": "é"}')
    assert [row.defect for row in read_rows(path, "math")] == [None]
    with MathGrader(1, 5.0, require_thinking=None) as grader:
        grade_file(path, tmp_path / "out.jsonl", "math", grader)
    assert rows_of(tmp_path / "out.jsonl")[0]["extracted"] == "\ud800 é"


def test_the_command_says_and_shows_what_it_asks_for_less_than_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, graded = (
        written(tmp_path / "in.jsonl", {"id": "a", "response": "so \\boxed{8}", "answer": "8"}),
        tmp_path / "out",
    )
    for more, verdict in ((), "correct"), (("--thinking", "required"), "no_answer"):
        main(["math", str(source), str(graded), "--workers", "1", *more])
        assert [row["verdict"] for row in rows_of(graded)] == [verdict]
    for domain in ("math", "code"):
        with pytest.raises(SystemExit):
            main([domain, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert "required: nothing counts without </think>, as in the training reward" in said
        assert "although training gives it no reward" in said
