"""The one grader of training and evaluation: a problem with tests is graded as code, any other as math."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from recipes.grading.closing import ClosesOnExit
from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_test_format import parse_tests
from recipes.grading.code_verdict import CodeOptions, CodeVerdict
from recipes.grading.math_grader import MathGrader
from recipes.grading.sandbox import require_sandbox
from recipes.grading.worker_pool import then
from recipes.records import Problem, Verdict


@dataclass(frozen=True, slots=True)
class GradingOptions:
    """The names, units and meaning of ``recipes.settings.schema.GradingSettings``."""

    workers: int
    timeout_seconds: float
    require_thinking: bool | None
    """None: see ``extraction.thinking_required``."""
    sandbox: Literal["bubblewrap", "none"]
    seconds_per_test: float
    seconds_per_assert_code: float
    memory_mb: int
    packages: Sequence[str]

    def code(self, *, all_tests: bool = False) -> CodeOptions:
        """What concerns programs."""
        return CodeOptions(
            all_tests=all_tests,
            sandbox=self.sandbox,
            time_limit_s=self.seconds_per_test,
            assert_time_limit_s=self.seconds_per_assert_code,
            memory_limit_mb=self.memory_mb,
            packages=tuple(self.packages),
        )


class Grader(ClosesOnExit):
    """Verdicts on responses to problems of either domain, in worker processes that start when first needed.

    Raises SandboxUnavailable with the first program to grade where the sandbox cannot run; ``require_graders`` says so
    before any long work.
    """

    def __init__(self, options: GradingOptions) -> None:
        self._options = options
        self._math: MathGrader | None = None
        self._code: CodeGrader | None = None

    def submit(self, response: str, problem: Problem) -> Future[Verdict]:
        """The verdict to come on one response. One thread at a time.

        The future raises WorkerPoolError when the machine cannot run the worker processes.
        """
        options = self._options
        if problem.tests is None:
            if self._math is None:
                self._math = MathGrader(options.workers, options.timeout_seconds, options.require_thinking)
            return self._math.submit(response, problem.answer)
        if self._code is None:
            self._code = CodeGrader(options.workers, options.code(), options.require_thinking)
        return then(self._code.submit(response, problem.tests), _as_verdict)

    def grade(self, responses: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """One verdict per response, same order; ``problems[i]`` belongs to ``responses[i]``."""
        futures = [self.submit(response, problem) for response, problem in zip(responses, problems, strict=True)]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the worker processes. Idempotent."""
        for grader in (self._math, self._code):
            if grader is not None:
                grader.close()


def _as_verdict(verdict: CodeVerdict) -> Verdict:
    return Verdict(
        correct=verdict.correct,
        verdict=verdict.verdict,
        extracted=None,
        seconds=verdict.seconds,
        passed=verdict.passed,
        total=verdict.total,
        first_failure=verdict.first_failure,
    )


def require_graders(problems: Iterable[Problem], options: GradingOptions) -> None:
    """Refuse what grading would stumble over later.

    Raises:
        ValueError: tests that cannot be run, every problem named by its id (at most 20 spelt out).
        SandboxUnavailable: there are code problems and the machine cannot run the sandbox.
        ImportError: there are math problems and ``math-verify`` is missing.
    """
    wrong: list[str] = []
    domains = set()
    for problem in problems:
        domains.add("math" if problem.tests is None else "code")
        if problem.tests is not None:
            try:
                parse_tests(problem.tests)
            except ValueError as error:
                wrong.append(f"problem {problem.id!r}: {error}")
    if wrong:
        more = [f"... and {len(wrong) - 20} more"] if len(wrong) > 20 else []
        raise ValueError("\n  ".join([f"tests of {len(wrong)} problems cannot be run", *wrong[:20], *more]))
    if "math" in domains:
        MathGrader(1, options.timeout_seconds, options.require_thinking).close()
    if "code" in domains:
        require_sandbox(options.sandbox)
