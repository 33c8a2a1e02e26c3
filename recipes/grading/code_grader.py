"""Grading programs in the worker processes of ``recipes.grading.worker_pool``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recipes.grading.code_tests import grade_code
from recipes.grading.code_verdict import CodeOptions

GRADING = "recipes.grading.code_grader:load_code_grading"


def load_code_grading() -> Callable[[str, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]:
    """The function that a worker runs: a response, its tests and the options in, the verdict's row out, all JSON.

    It raises ValueError for malformed tests and SandboxUnavailable; every other end of a program is a verdict.
    """

    def grade(response: str, tests: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        chosen = {**options, "packages": tuple(options.get("packages", ()))}
        return grade_code(response, tests, CodeOptions(**chosen)).as_row()

    return grade
