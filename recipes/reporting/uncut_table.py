"""A table for a terminal in which no number is ever cut: one column of text gives way, line by line."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_uncut(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    wrapped: str,
    left: Collection[str] = (),
) -> None:
    """Print rows below headings. Where they do not fit even so, the terminal breaks the lines and nothing is lost.

    Args:
        rows: as many cells as headings; a cell may have several lines.
        wrapped: heading of the column whose cells may continue on the next line.
        left: headings of the other columns that hold words, not numbers.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for heading, cells in zip(headings, zip(*rows, strict=True), strict=True):
        lines = [line for cell in (heading, *cells) for line in cell.splitlines()]
        side = "left" if heading == wrapped or heading in left else "right"
        if heading == wrapped:
            table.add_column(heading, justify="left", overflow="fold", min_width=_word(heading, lines))
        else:
            table.add_column(heading, justify=side, no_wrap=True, min_width=max(map(len, lines), default=0))  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(escape, row))
    needed = console.measure(table, options=console.options.update(width=10_000)).minimum
    # A pipe has no width.
    console.width = max(console.width, needed) if console.is_terminal else 10_000
    console.print(table)


def _word(heading: str, lines: Sequence[str]) -> int:
    """The longest word of a column."""
    return max((len(word) for line in (heading, *lines) for word in line.split()), default=0)
