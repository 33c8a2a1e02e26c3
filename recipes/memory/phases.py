"""The memory of one device, item by item, in each phase of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 2**30
ITEMS = (
    "weights",
    "gradients",
    "optimizer",
    "activations",
    "logits",
    "KV cache",
    "engine weights",
    "engine buffers",
    "reserve",
)
"""In the order of the table."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The peak of one phase, on the rank that holds most."""

    name: str
    """``training`` or ``rollouts``."""
    items: Mapping[str, int]
    """Bytes by ``ITEMS``; what the phase does not have is absent."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.items.values())


def memory_rows(phases: tuple[Phase, ...], device_gib: float) -> list[list[str]]:
    """The table of a device: a head, a row for each item that any phase has, the total and what is left, in GiB.

    Args:
        phases: at least one.
        device_gib: memory of the device.
    """
    head = ["GiB of one GPU", *(phase.name for phase in phases)]
    items = [
        [item, *(f"{phase.items[item] / GIB:.2f}" if item in phase.items else "-" for phase in phases)]
        for item in ITEMS
        if any(item in phase.items for phase in phases)
    ]
    return [
        head,
        *items,
        ["total", *(f"{phase.total / GIB:.2f}" for phase in phases)],
        ["of", *(f"{device_gib:.2f}" for _ in phases)],
        ["left", *(f"{device_gib - phase.total / GIB:.2f}" for phase in phases)],
    ]
