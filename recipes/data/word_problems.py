"""Short problems with one given answer for a small pretrained model: the easiest of GSM8K, or the project's own."""

from __future__ import annotations

import json
from pathlib import Path

from recipes.data import tiny_math
from recipes.data.jsonl import DataFileError
from recipes.records import Problem

ANSWER_MARK = "####"
"""GSM8K: the number after it is the answer."""
CALCULATION_MARK = "<<"
"""GSM8K: opens each calculation of a worked solution, ``<<48/2=24>>``."""
POOL = 1000
"""Generated problems that those with the wanted answer are picked from."""


def easiest_gsm8k(path: Path, count: int, answer: str) -> list[Problem]:
    """The ``count`` problems with this answer and the fewest calculations, shortest question first.

    Args:
        path: JSONL with ``question`` and ``answer`` as GSM8K publishes them. The id of a problem is
            ``gsm8k-<line number>``, its answer a number without thousands separators.

    Raises:
        DataFileError: the file is missing or too short, or a line is no such row; every defect with its line.
    """
    found, defects = [], []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        problem = _gsm8k_problem(line, number)
        if isinstance(problem, Problem):
            found.append(problem)
        else:
            defects.append(f"{path}:{number}: {problem}")
    found = [problem for problem in found if problem.answer == answer]
    if not defects and len(found) < count:
        fix = "add problems or name another file"
        defects.append(f"{path}: {len(found)} problems with the answer {answer}, expected at least {count}: {fix}")
    if defects:
        raise DataFileError(path, defects)
    # A solution without marked calculations is solved by an equation: not easy.
    found.sort(key=lambda problem: (problem.metadata["calculations"] or 1000, len(problem.problem)))
    return found[:count]


def generated(seed: int, count: int, answer: str) -> list[Problem]:
    """Small problems with this answer of the project's own generator, training split.

    Raises:
        ValueError: ``POOL`` problems hold too few of them.
    """
    pool = tiny_math.problems(seed, "train", POOL, difficulties=(1, 2))
    found = [problem for problem in pool if problem.answer == answer]
    if len(found) < count:
        raise ValueError(f"tiny_math: {len(found)} of {POOL} problems have the answer {answer}, {count} asked for")
    return found[:count]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(path, [f"{path}: {error}; expected a JSONL file of GSM8K"]) from error


def _gsm8k_problem(line: str, number: int) -> Problem | str:
    """The problem, or what is wrong with the line."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return f"malformed JSON ({error}); expected one object on each line"
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("question", "answer")):
        return "expected an object with the texts question and answer"
    solution, mark, answer = row["answer"].rpartition(ANSWER_MARK)
    answer = answer.strip().replace(",", "")
    if not mark or not answer or not row["question"].strip():
        return f"expected a question, and an answer that ends with {ANSWER_MARK} and a number"
    calculations = solution.count(CALCULATION_MARK)
    return Problem(f"gsm8k-{number}", row["question"].strip(), answer, {"calculations": calculations})
