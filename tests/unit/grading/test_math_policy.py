"""Every row of the tables in ``recipes/grading/POLICY.md`` is what the grader does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import recipes.grading
from recipes.grading.extraction import extract_math_answer
from recipes.grading.math_answers import grade_math_answer

POLICY = Path(recipes.grading.__file__).with_name("POLICY.md").read_text(encoding="utf-8")
VERDICTS = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (equal|different) \|$", POLICY, re.MULTILINE)
ANSWERS = re.findall(r"^\| `(.+?)` \| (?:`(.+?)`|none) \|$", POLICY, re.MULTILINE)


def test_every_row_is_read() -> None:
    rows = [line for line in POLICY.splitlines() if line.startswith("| `")]
    assert len(rows) == len(VERDICTS) + len(ANSWERS) > 100


@pytest.mark.parametrize(("gold", "answer", "verdict"), VERDICTS)
def test_verdicts(gold: str, answer: str, verdict: str) -> None:
    assert grade_math_answer(answer, gold) is (verdict == "equal")


@pytest.mark.parametrize(("response", "answer"), ANSWERS)
def test_answers(response: str, answer: str) -> None:
    assert extract_math_answer(f"<think>\\boxed{{0}}</think>{response}") == (answer or None)
