from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from recipes.grading.graders import Grader, require_graders
from recipes.grading.sandbox import SandboxUnavailable, require_sandbox
from recipes.grading.worker_pool import TaskResult, WorkerPool
from recipes.records import Problem
from tests.unit.grading.grading_options import OPTIONS

MATH = Problem("m", "?", "4")
CODE = Problem("c", "?", "", tests={"kind": "stdin", "inputs": ["2\n", "5\n"], "outputs": ["4\n", "10\n"]})


def answer(text: str) -> str:
    return f"<think>hm</think>\n{text}"


def program(source: str) -> str:
    return answer(f"```python\n{source}\n```")


def test_each_problem_is_graded_by_its_own_kind() -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    responses = [program("print(2 * int(input()))"), answer("\\boxed{4}"), program("print(4)"), answer("none")]
    with Grader(OPTIONS) as grader:
        verdicts = grader.grade(responses, [CODE, MATH, CODE, CODE])
    assert [verdict.verdict for verdict in verdicts] == ["pass", "correct", "wrong_answer", "no_code"]
    assert [verdict.correct for verdict in verdicts] == [True, True, False, False]
    assert [(verdict.passed, verdict.total) for verdict in verdicts] == [(2, 2), (None, None), (1, 2), (0, 2)]
    assert verdicts[2].first_failure is not None
    assert verdicts[2].first_failure["test"] == 1


def test_the_same_program_is_judged_once_and_again_after_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    judged = []
    submit = WorkerPool.submit

    def counted(self: WorkerPool, arguments: Sequence[Any], budget: float) -> Future[TaskResult]:
        judged.append(arguments[0])
        return submit(self, arguments, budget)

    monkeypatch.setattr(WorkerPool, "submit", counted)
    right, slow = program("print(2 * int(input()))"), program("while True: pass")
    other = dataclasses.replace(CODE, tests={"kind": "stdin", "inputs": ["2\n"], "outputs": ["5\n"]})
    with Grader(OPTIONS) as grader:
        first = grader.grade([right, "<think>else</think>" + right, slow], [CODE] * 3)
        again = grader.grade([right, right, slow], [CODE, other, CODE])
    assert [v.verdict for v in first] == ["pass", "pass", "time_limit"]
    assert [v.verdict for v in again] == ["pass", "wrong_answer", "time_limit"]
    assert judged == ["print(2 * int(input()))\n", "while True: pass\n"] * 2


def test_tests_that_cannot_run_are_all_named_at_once() -> None:
    broken = [Problem(f"p{index}", "?", "", tests={"kind": "stdin"}) for index in range(25)]
    with pytest.raises(ValueError, match="tests of 25 problems cannot be run") as error:
        require_graders([MATH, *broken], OPTIONS)
    assert "problem 'p0': " in str(error.value)
    assert "and 5 more" in str(error.value)


def test_math_alone_needs_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(_: str) -> None:
        raise SandboxUnavailable("no sandbox here")

    monkeypatch.setattr("recipes.grading.graders.require_sandbox", unavailable)
    require_graders([MATH], OPTIONS)
    with pytest.raises(SandboxUnavailable, match="no sandbox here"):
        require_graders([MATH, CODE], OPTIONS)
