"""Responses with programs and the tests of their problems in, verdicts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from recipes.grading.closing import ClosesOnExit
from recipes.grading.code_extraction import extract_code
from recipes.grading.code_test_format import AssertTests, CodeTests, parse_tests
from recipes.grading.code_tests import LOAD_SECONDS, TESTER_SECONDS, grade_program, wall_seconds
from recipes.grading.code_verdict import CodeOptions, CodeVerdict
from recipes.grading.extraction import thinking_required
from recipes.grading.sandbox import require_sandbox
from recipes.grading.worker_pool import TaskResult, WorkerPool, then

if TYPE_CHECKING:
    pass

JUDGE = "recipes.grading.code_grader:load_judge"


class CodeGrader(ClosesOnExit):
    """Grades programs by their tests; each worker process runs one program in one sandbox at a time.

    ``require_thinking``: see ``extraction.thinking_required``. Workers start when first needed and end with
    ``close()``.

    Raises SandboxUnavailable where the sandbox that the options ask for cannot run, ValueError without a worker.
    """

    def __init__(self, workers: int, options: CodeOptions, require_thinking: bool | None) -> None:
        require_sandbox(options.sandbox)
        self._options = options
        self._require_thinking = require_thinking
        self._pool = WorkerPool(JUDGE, workers=workers, timeout_seconds=60.0)

    def submit(self, response: str, tests: Mapping[str, Any]) -> Future[CodeVerdict]:
        """The verdict to come on one response.

        One thread at a time. Raises ValueError for malformed tests; the future raises WorkerPoolError when the machine
        cannot run the workers.
        """
        started = time.perf_counter()
        parsed = parse_tests(tests)
        code = extract_code(response, require_thinking=thinking_required(self._require_thinking, response))
        if code is None:
            future: Future[CodeVerdict] = Future()
            future.set_result(CodeVerdict(False, 0, parsed.total, "no_code", None, time.perf_counter() - started))
            return future
        judged = self._pool.submit((code, dict(tests), asdict(self._options)), _budget(parsed, self._options))
        return then(judged, lambda result: _verdict(result, parsed.total))

    def grade(self, responses: Sequence[str], tests: Sequence[Mapping[str, Any]]) -> list[CodeVerdict]:
        """One verdict per response, same order. Raises as ``submit`` and its future do."""
        futures = [self.submit(response, row) for response, row in zip(responses, tests, strict=True)]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the worker processes and what they run. Idempotent."""
        self._pool.close()


def _budget(tests: CodeTests, options: CodeOptions) -> float:
    """Wall seconds after which the judge itself must be stuck: every test at its limit, and a slow start."""
    if isinstance(tests, AssertTests):
        seconds = wall_seconds((tests.time_limit_s or options.assert_time_limit_s) + TESTER_SECONDS)
    else:
        seconds = tests.total * wall_seconds(tests.time_limit_s or options.time_limit_s)
    return seconds + 4 * LOAD_SECONDS


def _verdict(result: TaskResult, total: int) -> CodeVerdict:
    if result.status == "done":
        names = [field.name for field in fields(CodeVerdict)]
        return CodeVerdict(**{name: result.value[name] for name in names})
    detail = result.detail or "the judge did not end within its budget"
    failure = {"test": 0, "verdict": "sandbox_error", "input": None, "expected": None, "found": None, "detail": detail}
    return CodeVerdict(False, 0, total, "sandbox_error", failure, result.seconds)


def load_judge() -> Callable[[str, Mapping[str, Any], dict[str, Any]], dict[str, Any]]:
    """What a worker process runs: code, tests and options in, the fields of a CodeVerdict out."""

    def judge(code: str, tests: Mapping[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        options = options | {"packages": tuple(options["packages"])}
        return grade_program(code, parse_tests(tests), CodeOptions(**options)).as_row()

    return judge
