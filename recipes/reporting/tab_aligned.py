"""Tables as text whose columns tabs align: readable on a screen, and cut by ``cut -f`` or pasted into a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence

TAB = 8
"""Characters from one tab stop to the next."""


def tab_aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line for each row.

    Args:
        rows: cells, the same number in each row; the first row is the head.
    """
    tabs = [max(map(len, column)) // TAB + 1 for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell + "\t" * (wide - len(cell) // TAB) for cell, wide in zip(row, tabs, strict=True)]
        lines.append("".join(cells).rstrip("\t"))
    return lines
