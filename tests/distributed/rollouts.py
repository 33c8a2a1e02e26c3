"""Fixed rollouts for the update tests: every case that the loss treats differently, in four groups of four."""

from __future__ import annotations

import random

from recipes.records import Group, Problem, Rollout, Verdict

GROUPS, SAMPLES, LAST_TOKEN = 4, 4, 255


def fixed_groups(seed: int = 3) -> list[Group]:
    """Groups 0 and 3 have mixed rewards, group 1 equal ones, group 2 more truncated rollouts than whole ones."""
    dice = random.Random(seed)
    correct = ([1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0])
    truncated = ([0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0])
    groups = []
    for index in range(GROUPS):
        problem = Problem(id=f"problem-{index}", problem="?", answer="1")
        prompt = tuple(dice.randint(0, LAST_TOKEN) for _ in range(dice.randint(3, 6)))
        rollouts, verdicts = [], []
        for sample in range(SAMPLES):
            response = tuple(dice.randint(0, LAST_TOKEN) for _ in range(dice.randint(2, 12)))
            cut = bool(truncated[index][sample])
            rollouts.append(Rollout(problem.id, sample, prompt, response, "", cut, 0.0))
            right = bool(correct[index][sample])
            verdicts.append(Verdict(right, "correct" if right else "wrong", "1", 0.0))
        groups.append(Group(problem, tuple(rollouts), tuple(verdicts)))
    return groups
