"""Word problems of one answer: which rows of GSM8K are taken, and what a wrong row is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.data.jsonl import DataFileError
from recipes.data.word_problems import easiest_gsm8k, generated


def _write(path: Path, rows: list[dict[str, str] | str]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def _row(question: str, calculations: int, answer: str) -> dict[str, str]:
    steps = "\n".join("2+3=<<2+3=5>>5" for _ in range(calculations))
    return {"question": question, "answer": f"{steps}\n#### {answer}"}


def test_fewest_calculations_then_shortest_question(tmp_path: Path) -> None:
    rows = [
        _row("an equation?", 0, "5"),
        _row("two calculations?", 2, "5"),
        _row("one calculation, longer?", 1, "5"),
        "",
        _row("another answer?", 1, "7"),
        _row("one calculation?", 1, "5"),
    ]
    found = easiest_gsm8k(_write(tmp_path / "gsm8k.jsonl", rows), 4, "5")
    assert [problem.problem for problem in found] == [
        "one calculation?",
        "one calculation, longer?",
        "two calculations?",
        "an equation?",
    ]
    assert [problem.id for problem in found] == ["gsm8k-6", "gsm8k-3", "gsm8k-2", "gsm8k-1"]  # line numbers
    assert {problem.answer for problem in found} == {"5"}


def test_thousands_separators_are_no_part_of_the_answer(tmp_path: Path) -> None:
    path = _write(tmp_path / "gsm8k.jsonl", [_row("How much?", 1, "1,200")])
    (problem,) = easiest_gsm8k(path, 1, "1200")
    assert problem.answer == "1200"


def test_every_defect_is_named_with_its_line(tmp_path: Path) -> None:
    rows = [_row("fine?", 1, "5"), "{broken", {"question": "no answer?"}, {"question": "q?", "answer": "five"}]
    path = _write(tmp_path / "gsm8k.jsonl", rows)
    with pytest.raises(DataFileError) as error:
        easiest_gsm8k(path, 1, "5")
    lines = [defect.split(": ")[0] for defect in error.value.defects]
    assert lines == [f"{path}:2", f"{path}:3", f"{path}:4"]


def test_too_few_problems_and_no_file_are_errors(tmp_path: Path) -> None:
    path = _write(tmp_path / "gsm8k.jsonl", [_row("fine?", 1, "5")])
    with pytest.raises(DataFileError, match="1 problems with the answer 5, expected at least 2"):
        easiest_gsm8k(path, 2, "5")
    with pytest.raises(DataFileError, match="expected a JSONL file of GSM8K"):
        easiest_gsm8k(tmp_path / "missing.jsonl", 1, "5")


def test_the_generator_gives_distinct_problems_of_the_answer_and_the_same_again() -> None:
    found = generated(3, 8, "5")
    assert found == generated(3, 8, "5")
    assert {problem.answer for problem in found} == {"5"}
    assert len({problem.problem for problem in found}) == 8
    with pytest.raises(ValueError, match="0 of 1000 problems have the answer 123456"):
        generated(3, 8, "123456")
