"""What preflight found out: problems that end a run, warnings that do not, and what was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from recipes.settings.errors import SettingsProblem, numbered


@dataclass(slots=True)
class Findings:
    """Of one command, or of every step of a curriculum."""

    problems: list[SettingsProblem] = field(default_factory=list)
    warnings: list[SettingsProblem] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    """One line each, for a reader who wants to know what a clean bill rests on."""

    def add(self, other: Findings) -> None:
        """Take in what another check found; what is there already is not repeated."""
        self.problems = list(dict.fromkeys([*self.problems, *other.problems]))
        self.warnings = list(dict.fromkeys([*self.warnings, *other.warnings]))
        self.looked_at = list(dict.fromkeys([*self.looked_at, *other.looked_at]))


def listing(entries: Iterable[SettingsProblem], heading: str) -> list[str]:
    """Numbered lines with found, expected and fix, the look of ``SettingsError``; none without entries."""
    entries = list(entries)
    if not entries:
        return []
    return [f"{len(entries)} {heading}{'' if len(entries) == 1 else 's'}:", *numbered(entries)]
