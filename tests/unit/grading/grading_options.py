"""How tests grade: small limits, two workers."""

from __future__ import annotations

from recipes.grading.graders import GradingOptions

OPTIONS = GradingOptions(
    workers=2,
    timeout_seconds=5.0,
    require_thinking=True,
    sandbox="bubblewrap",
    seconds_per_test=2.0,
    seconds_per_assert_code=2.0,
    memory_mb=256,
    packages=(),
)
