"""What is wrong with a configuration, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing to change.

    Example: ``SettingsProblem("grpo.top_p", "1.5", "a number above 0, at most 1", "grpo.top_p=1.0")``.
    """

    key: str
    """Dotted key, group or option as the user writes it."""
    found: str
    expected: str
    fix: str
    """What to type instead, with a value that works where one can be worked out."""


class SettingsError(ValueError):
    """Every problem of one configuration; ``str()`` lists them with key, found, expected and fix."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        if not problems:
            raise ValueError("a SettingsError needs at least one problem")
        self.problems: tuple[SettingsProblem, ...] = tuple(problems)
        super().__init__(_listing(self.problems))


def _listing(problems: Sequence[SettingsProblem]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{count} in the settings:"]
    for number, problem in enumerate(problems, start=1):
        lines += [
            f"  {number}. {problem.key}",
            f"     found:    {problem.found}",
            f"     expected: {problem.expected}",
            f"     fix:      {problem.fix}",
        ]
    return "\n".join(lines)
