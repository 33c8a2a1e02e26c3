"""When a stage ends before ``grpo.max_steps``: a pure function of its rows of metrics, so a resumed run decides alike.

The paper stops a stage when the benchmarks are flat (§4.5.5) and names no rule; this one is the usual early stopping:
the best value so far is older than ``patience_steps``, where a gain below ``min_improvement`` is no new best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from recipes.settings.schema import StoppingSettings

StoppedBy = Literal["max_steps", "plateau", "solved", "signal"]
"""``solved``: epoch-wise filtering left fewer problems than a batch. ``signal``: the stage is saved, not finished."""


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How a stage ended."""

    stopped_by: StoppedBy
    steps: int
    """Updates done."""


def plateau(rows: Sequence[Mapping[str, Any]], settings: StoppingSettings) -> bool:
    """Whether the watched value has not grown for ``patience_steps``.

    ``reward`` is the mean over the newest ``window_steps`` rows, once there are that many; ``validation`` the held-out
    score of the rows that have one. A value belongs to the step after which it was known.

    Args:
        rows: of ``metrics.jsonl``, steps 0, 1, ... up to the newest.
    """
    done = len(rows)
    if settings.metric == "none" or done < settings.min_steps:
        return False
    best, best_at = None, 0
    for at, value in _values(rows, settings):
        if best is None or value > best + settings.min_improvement:
            best, best_at = value, at
    return best is not None and done - best_at >= settings.patience_steps


def _values(rows: Sequence[Mapping[str, Any]], settings: StoppingSettings) -> list[tuple[int, float]]:
    """(steps done, value) in order."""
    if settings.metric == "validation":
        start = [(0, row["validation_start_avg"]) for row in rows[:1] if "validation_start_avg" in row]
        return start + [(at, row["validation_avg"]) for at, row in enumerate(rows, 1) if "validation_avg" in row]
    rewards, window = [row["reward"] for row in rows], settings.window_steps
    return [(at, fmean(rewards[at - window : at])) for at in range(window, len(rewards) + 1)]
