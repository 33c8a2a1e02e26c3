"""What is wrong with a configuration, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{count} in the settings:", *numbered(self.problems)]))


def numbered(problems: Iterable[SettingsProblem]) -> list[str]:
    """Lines for a reader: each problem with found, expected and fix."""
    lines = []
    for number, problem in enumerate(problems, start=1):
        lines.append(f"  {number}. {problem.key}")
        for name, text in (("found", problem.found), ("expected", problem.expected), ("fix", problem.fix)):
            first, *rest = text.splitlines() or [""]
            lines.append(f"     {name + ':':<10}{first}")
            lines += [f"     {'':<10}{line}" for line in rest]
    return lines
