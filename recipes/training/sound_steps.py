"""What must hold of every GRPO step, whatever was sampled: read from the rows of ``metrics.jsonl``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def unsound(rows: Sequence[Mapping[str, Any]], steps: int) -> list[str]:
    """What does not hold, one line each, naming step and metric; empty when all is well.

    Checked: there is one row for each of ``steps``; every number is finite; the entropy is positive; fractions lie in
    0..1; the gradient is zero exactly where no group has signal.
    """
    found = []
    if (numbers := [row["step"] for row in rows]) != list(range(steps)):
        found.append(f"steps {numbers}; expected 0 to {steps - 1}")
    for row in rows:
        step = f"step {row['step']}"
        infinite = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        found += [f"{step}: {key} is {row[key]}" for key in infinite]
        if not row["entropy"] > 0:
            found.append(f"{step}: entropy is {row['entropy']}; expected above 0")
        for key in ("reward", "truncated", "groups_with_signal"):
            if not 0 <= row[key] <= 1:
                found.append(f"{step}: {key} is {row[key]}; expected 0 to 1")
        if (row["gradient_norm"] > 0) != (row["groups_with_signal"] > 0):
            found.append(
                f"{step}: gradient norm {row['gradient_norm']:.3g} with {row['groups_with_signal']:.0%} of the groups "
                "having signal; expected one to be zero exactly where the other is"
            )
    return found


def steps_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Reward, truncated fraction, entropy and gradient norm of each step, a line each."""
    return "\n".join(
        f"step {row['step'] + 1}: reward {row['reward']:.2f}, truncated {row['truncated']:.0%}, "
        f"groups with signal {row['groups_with_signal']:.0%}, entropy {row['entropy']:.2f}, "
        f"gradient norm {row['gradient_norm']:.2g}"
        for row in rows
    )
