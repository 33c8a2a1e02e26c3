"""Responses with programs and the tests of their problems in, verdicts out."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any

from recipes.grading.closing import ClosesOnExit
from recipes.grading.code_extraction import extract_code
from recipes.grading.code_test_format import AssertTests, CodeTests, parse_tests
from recipes.grading.code_tests import LOAD_SECONDS, TESTER_SECONDS, grade_program, wall_seconds
from recipes.grading.code_verdict import CodeOptions, CodeVerdict
from recipes.grading.extraction import thinking_required
from recipes.grading.sandbox import require_sandbox
from recipes.grading.worker_pool import TaskResult, WorkerPool, then

JUDGE = "recipes.grading.code_grader:load_judge"
REMEMBERED = 4096
"""Programs whose verdicts are kept: a few batches of rollouts."""
_LASTING = frozenset({"pass", "wrong_answer", "output_limit", "runtime_error"})
"""Verdicts that do not depend on how busy the machine is."""


class CodeGrader(ClosesOnExit):
    """Grades programs by their tests; each worker process runs one program in one sandbox at a time.

    A program that was judged by the same tests lately, as the rollouts of a sure model often are, is not run again: it
    gets that verdict, unless it was one of time, memory or the sandbox.

    ``require_thinking``: see ``extraction.thinking_required``. Workers start when first needed and end with
    ``close()``.

    Raises SandboxUnavailable where the sandbox that the options ask for cannot run, ValueError without a worker.
    """

    def __init__(self, workers: int, options: CodeOptions, require_thinking: bool | None) -> None:
        require_sandbox(options.sandbox)
        self._options = options
        self._require_thinking = require_thinking
        self._pool = WorkerPool(JUDGE, workers=workers, timeout_seconds=60.0)
        self._judged: OrderedDict[bytes, Future[TaskResult]] = OrderedDict()

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
        judged = self._judge(code, tests, _budget(parsed, self._options))
        return then(judged, lambda result: _verdict(result, parsed.total))

    def _judge(self, code: str, tests: Mapping[str, Any], budget: float) -> Future[TaskResult]:
        """What the judge says to a program, or is saying to the same one just now."""
        key = sha256(json.dumps([code, tests], sort_keys=True).encode()).digest()
        known = self._judged.pop(key, None)
        if known is None or not _lasts(known):
            known = self._pool.submit((code, dict(tests), asdict(self._options)), budget)
        self._judged[key] = known
        while len(self._judged) > REMEMBERED:
            self._judged.popitem(last=False)
        return known

    def grade(self, responses: Sequence[str], tests: Sequence[Mapping[str, Any]]) -> list[CodeVerdict]:
        """One verdict per response, same order. Raises as ``submit`` and its future do."""
        futures = [self.submit(response, row) for response, row in zip(responses, tests, strict=True)]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the worker processes and what they run. Idempotent."""
        self._pool.close()


def _lasts(judged: Future[TaskResult]) -> bool:
    """Whether a second run would end alike; so it would where the first one is still at work."""
    if not judged.done():
        return True
    if judged.cancelled() or judged.exception() is not None:
        return False
    result = judged.result()
    return result.status == "done" and result.value["verdict"] in _LASTING


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
