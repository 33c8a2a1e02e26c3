"""Whether a code problem's own reference solution passes its tests, in the sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_verdict import CodeVerdict
from recipes.grading.graders import GradingOptions
from recipes.grading.sandbox import require_sandbox
from recipes.grading.sandbox_command import SandboxUnavailable

KEYS = ("reference_solution", "reference_solutions")
"""Of a row's metadata: a program, or a list of programs."""
UNSURE = "sandbox_error"
"""A verdict that says nothing about the program."""


def references_of(metadata: Mapping[str, Any]) -> list[str]:
    """The reference programs of a row, in its order, each once."""
    found: list[str] = []
    for key in KEYS:
        value = metadata.get(key)
        found += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text.strip()))


def can_run(options: GradingOptions) -> bool:
    """Whether the sandbox that the options ask for runs on this machine."""
    try:
        require_sandbox(options.sandbox)
    except SandboxUnavailable:
        return False
    return True


class ReferenceCheck:
    """The verdicts on a problem's reference solutions, all under way."""

    def __init__(self, programs: list[str], tests: Mapping[str, Any], grader: CodeGrader) -> None:
        """Args:
        programs: one or more.
        tests: well-formed.
        grader: of responses whose thinking need not be closed.
        """
        self._verdicts: list[Future[CodeVerdict]] = [grader.submit(fenced(program), tests) for program in programs]

    def passed(self) -> bool | None:
        """Whether one of them passes every test; None where no failure is certain. Waits for the grader."""
        found = [verdict.result() for verdict in self._verdicts]
        if any(verdict.correct for verdict in found):
            return True
        return None if any(verdict.verdict == UNSURE for verdict in found) else False

    def failure(self) -> str:
        """The first test that the first program failed."""
        verdict = self._verdicts[0].result()
        failed = verdict.first_failure or {}
        which = f"test {failed['test']} of {verdict.total}" if "test" in failed else "no test"
        told = [f"{name} {str(failed[name])[:120]}" for name in ("input", "expected", "found") if failed.get(name)]
        detail = [str(failed["detail"])[:200]] if failed.get("detail") else []
        count = len(self._verdicts)
        whose = "the reference solution fails" if count == 1 else f"all {count} reference solutions fail, the first one"
        return f"{whose} {which}: {', '.join([verdict.verdict, *told, *detail])}"


def fenced(program: str) -> str:
    """A response that consists of the program alone."""
    longest = max((len(run) for run in re.findall("~+", program)), default=0)
    fence = "~" * max(3, longest + 1)
    return f"{fence}python\n{program}\n{fence}\n"
