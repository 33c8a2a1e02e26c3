"""Rows of published math benchmarks -> problems."""

from __future__ import annotations

import re
from typing import Any

from evaluation.benchmarks.rows import BenchmarkRow, answer_gold, text_of
from recipes.records import Problem

STATEMENTS = ("problem", "question")
ANSWERS = ("answer", "expected_answer", "final_answer")
IDS = ("id", "unique_id", "problem_idx")


def math_row(name: str, number: int, row: dict[str, Any]) -> BenchmarkRow:
    """A row of AIME (NeMo-Skills), HMMT, BRUMO (MathArena), MATH-500 (prm800k), or of a copy with like keys.

    Args:
        name: of the benchmark; an id that is a bare number, or none, is told apart by it.
        number: of the row, from 1.

    Raises:
        ValueError: a key is missing or holds no text.
    """
    answer = plain_answer(text_of(row, *ANSWERS))
    given = next((str(row[key]) for key in IDS if row.get(key) not in (None, "")), str(number))
    return _row(given if not given.isdecimal() else f"{name}-{given}", row, answer)


def gsm8k_row(name: str, number: int, row: dict[str, Any]) -> BenchmarkRow:
    """A row of GSM8K: the gold answer follows ``####`` at the end of the worked one.

    Raises:
        ValueError: as in ``math_row``; no ``####``.
    """
    worked, mark, answer = text_of(row, "answer").rpartition("####")
    if not mark or not answer.strip():
        raise ValueError(f"key 'answer' ends with {worked[-40:] or answer[-40:]!r}; expected '#### ' and the answer")
    return _row(f"{name}-{number}", row, plain_answer(answer.replace(",", "")))


def plain_answer(answer: str) -> str:
    """Without dollars around it, and without the leading zeros that some copies of AIME have: 016 -> 16."""
    answer = answer.strip()
    if len(answer) > 1 and answer.startswith("$") and answer.endswith("$"):
        answer = answer.strip("$").strip()
    return re.sub(r"^0+(?=\d+$)", "", answer)


def _row(id: str, row: dict[str, Any], answer: str) -> BenchmarkRow:
    problem = Problem(id, text_of(row, *STATEMENTS).strip(), answer)
    return BenchmarkRow(problem, answer_gold(problem))
