"""The section of the graders, which training, evaluation and data preparation share."""

from __future__ import annotations

from dataclasses import dataclass

VERDICT_KEYS = {
    "math": ("require_thinking", "timeout_seconds"),
    "code": ("require_thinking", "sandbox", "seconds_per_test", "seconds_per_assert_code", "memory_mb", "packages"),
}
"""Grader -> the keys that its verdicts depend on."""


@dataclass
class GradingSettings:
    """The rule-based reward, the same code as the benchmarks' grader."""

    workers: int
    """Grader processes on a node, shared out over the node's replicas."""
    timeout_seconds: float
    """Budget of one math answer; a worker that outlives it is killed and replaced."""
    require_thinking: bool
    """True: only a box or program after the last ``</think>`` counts."""
    sandbox: str
    """Where programs run: ``bubblewrap``, or ``none`` for trusted programs only."""
    seconds_per_test: float
    """CPU seconds of one test of a program where its problem names no limit."""
    seconds_per_assert_code: float
    """CPU seconds of a program over one piece of test code with asserts."""
    memory_mb: int
    """MiB of a program where its problem names no limit."""
    packages: list[str]
    """Installed packages, by import name, that programs may import."""
