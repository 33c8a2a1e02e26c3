"""What grading a program needs to know and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recipes.records import CodeVerdictName


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """How programs are graded; what a problem's own tests say about limits comes first."""

    all_tests: bool = False
    """Run every test; else stop at the first failure."""
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    """``none`` runs programs without any protection: for code that is trusted."""
    time_limit_s: float = 6.0
    """CPU seconds of one stdin or functional test (LiveCodeBench's limit)."""
    assert_time_limit_s: float = 10.0
    """CPU seconds of the program over the whole test code."""
    memory_limit_mb: int = 1024
    """MiB beyond the interpreter's own."""
    packages: tuple[str, ...] = ()
    """Installed packages, by import name, that programs may import, for instance ``numpy``."""


@dataclass(frozen=True, slots=True)
class CodeVerdict:
    """A program's judgement.

    Example: ``CodeVerdict(False, 3, 10, "wrong_answer", {"test": 3, "verdict": "wrong_answer", ...}, 0.21)``.
    """

    correct: bool
    """Every test passed."""
    passed: int
    """Tests that passed, of those that ran."""
    total: int
    """Tests of the problem; test code with asserts is one test."""
    verdict: CodeVerdictName
    """``pass``, or the verdict of the first test that failed."""
    first_failure: Mapping[str, Any] | None
    """``test`` (index), ``verdict``, ``input``, ``expected``, ``found`` (shortened text or None) and ``detail``."""
    seconds: float
    """Wall seconds spent on this program."""

    def as_row(self) -> dict[str, Any]:
        """The fields as JSON writes them."""
        return asdict(self)
