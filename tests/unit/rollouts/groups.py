"""Groups of rollouts with rewards and lengths chosen by hand."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.records import Group, Problem, Rollout, Verdict


def group(problem: str, rewards: Sequence[int], tokens: int = 10, truncated: Sequence[int] = ()) -> Group:
    """One group; sample i has ``tokens + i`` response tokens and is cut where i is in ``truncated``."""
    rollouts = tuple(
        Rollout(problem, index, (1, 2), tuple(range(tokens + index)), f"text {index}", index in truncated, 0.5)
        for index in range(len(rewards))
    )
    verdicts = tuple(Verdict(bool(r), "correct" if r else "wrong", "1", 0.1) for r in rewards)
    return Group(Problem(problem, "?", "1"), rollouts, verdicts)
