"""A warning when the temperature-adjusted entropy leaves the band in which RL explores and still learns (§4.5.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

STEPS = 10
"""Newest steps that the entropy is averaged over."""


@dataclass(frozen=True, slots=True)
class EntropyWatch:
    """The band, in nats (``calibration.lowest_entropy`` and ``calibration.highest_entropy``)."""

    lowest: float
    highest: float

    def judge(self, rows: Sequence[Mapping[str, Any]], entropy: float) -> tuple[int, str | None]:
        """Where the smoothed entropy stands after one more step.

        Args:
            rows: of ``metrics.jsonl``, without the new step.
            entropy: of the new step.

        Returns:
            ``entropy_warning`` of the new row: -1 below the band, 1 above it, 0 inside; and a line for the screen when
            the entropy has just left the band, else None.
        """
        smoothed = fmean([*(row["entropy"] for row in rows[-(STEPS - 1) :]), entropy])
        side = (smoothed > self.highest) - (smoothed < self.lowest)
        before = rows[-1].get("entropy_warning", 0) if rows else 0
        if side == 0 or side == before:
            return side, None
        if side < 0:
            where, advice = f"below calibration.lowest_entropy={self.lowest:g}", "too little; a higher"
        else:
            where, advice = f"above calibration.highest_entropy={self.highest:g}", "too much; a lower"
        return side, (
            f"entropy {smoothed:.3f} nats is {where}: the policy explores {advice} grpo.temperature would help "
            "(§4.5.2 of the paper)"
        )
