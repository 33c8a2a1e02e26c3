"""A slice of the flood of ``math_fuzz``; the whole one is ``python -m tests.fuzz.math_fuzz --cases 100000``."""

from __future__ import annotations

from tests.fuzz.math_fuzz import flood
from tests.fuzz.math_responses import cases


def test_a_flood_of_responses() -> None:
    findings = flood(1_500, seed=1, timeout_seconds=1.0)
    assert findings.problems == []
    assert findings.graded == sum(findings.verdicts.values()) == 1_500
    assert findings.verdicts["gold itself", "correct"] > 100
    assert sum(number for (kind, verdict), number in findings.verdicts.items() if verdict == "timeout") < 15


def test_cases_repeat() -> None:
    assert list(cases(3, 50)) == list(cases(3, 50)) != list(cases(4, 50))
