"""What an image has otherwise than it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them. Example: ``Difference("torch", "2.7.0", "2.6.0a0", "NEMO_IMAGE=nvcr.io/nvidia/nemo:25.02.01")``."""

    name: str
    found: str
    expected: str
    fix: str


def listing(differences: Sequence[Difference]) -> str:
    """All of them, each with what to do."""
    lines = []
    for number, difference in enumerate(differences, start=1):
        lines += [
            f"  {number}. {difference.name}",
            f"     found:    {difference.found}",
            f"     expected: {difference.expected}",
            f"     fix:      {difference.fix}",
        ]
    return "\n".join(lines)
