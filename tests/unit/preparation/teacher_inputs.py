"""A small teacher: its settings, its problems, the folders of its phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recipes.data.rows import SourceRow
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.prepare_schema import TeacherSettings
from tests.unit.servers.fault_server import MODEL

SEED, RESPONSES = 7, 4
GRADING = GradingSettings(
    workers=1,
    timeout_seconds=5.0,
    require_thinking=True,
    sandbox="bubblewrap",
    seconds_per_test=2.0,
    seconds_per_assert_code=2.0,
    memory_mb=256,
    packages=[],
)


def teacher(store: Path, url: str | None = None, **more: Any) -> TeacherSettings:
    """Quick to try again; ``more`` wins."""
    options: dict[str, Any] = {
        "store": str(store),
        "url": url,
        "model": MODEL,
        "responses": RESPONSES,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_response_length": 100,
        "instruction": "Box it.",
        "code_instruction": "Write Python.",
        "code_instruction_with_starter": "Begin with <starter_code>",
        "keep": "all",
        "agreement": 0.5,
        "stream": False,
        "concurrency": 8,
        "timeout_seconds": 60.0,
        "stall_seconds": 0.5,
        "attempts": 40,
        "key_variable": "NO_KEY",
        "extra": None,
        **more,
    }
    return TeacherSettings(**options)


def math_row(number: int, answer: str | None = None, **more: Any) -> SourceRow:
    """What is NUMBER? with its last digit as the answer."""
    gold = str(number % 10) if answer is None else answer
    return SourceRow("math", f"What is {number}?", "made", "none", gold, **more)
