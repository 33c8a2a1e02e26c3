"""Steps of a self-check with a header each, and its table at the end: check, result, what was measured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    name: str
    passed: bool
    measured: str


@dataclass(slots=True)
class Checklist:
    """Checks in the order in which they were made."""

    title: str
    steps: int
    """How many times ``step`` will be entered."""
    console: Console = field(default_factory=lambda: Console(width=None if Console().is_terminal else 120))
    """A pipe has no width of its own."""
    checks: list[Check] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of every finished step, by its title."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A header before the block, its wall time after it."""
        self.console.rule(f"[bold]{len(self.seconds) + 1}/{self.steps}  {escape(title)}", align="left")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        self.console.print(f"[dim]{self.seconds[title]:.0f} s[/dim]\n")

    def check(self, name: str, passed: bool, measured: str) -> None:
        """Note a result and show it."""
        self.checks.append(Check(name, bool(passed), measured))
        gap = "\n" if "\n" in measured else " "
        self.console.print(f"{_mark(passed)} {escape(name)}:{gap}{escape(measured)}")

    @property
    def passed(self) -> bool:
        """True when there are checks and none failed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def table(self) -> Table:
        """Check, result, measured."""
        minutes = sum(self.seconds.values()) / 60
        table = Table("check", "result", "measured", title=self.title, title_justify="left", box=box.SIMPLE_HEAD)
        for check in self.checks:
            table.add_row(escape(check.name), _mark(check.passed), escape(check.measured))
        failed = sum(not check.passed for check in self.checks)
        verdict = f"{failed} of {len(self.checks)} checks failed" if failed else f"all {len(self.checks)} checks passed"
        table.caption, table.caption_justify = f"{verdict}, {minutes:.1f} minutes", "left"
        return table

    def as_json(self) -> str:
        """The same for a file."""
        content = {"passed": self.passed, "checks": [asdict(check) for check in self.checks], "seconds": self.seconds}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _mark(passed: bool) -> str:
    return "[green]passed[/green]" if passed else "[bold red]FAILED[/bold red]"
