"""Small math problems and a distilled teacher's solutions, generated: the demo's embedded data.

``problems`` draws problems with gold answers; ``demonstrations`` adds worked solutions in the form
``<think>\\n...\\n</think>\\n\\nThe answer is \\boxed{43}.``. Both are pure functions of their arguments: the same call
gives the same bytes on every platform.

Splits are disjoint by content (``tiny_pools``): operands free of wording, order and kind.

The teacher imitates what distilled reasoning data look like. Each problem gets several responses. ``concise`` ones are
the bare steps. ``checked`` ones are two to four times as long: the steps, then one or two rounds of "Wait, let me
check". A fraction of the first passes carries a slip (``SLIP_FRACTION``), the mistake that is typical of the kind, and
so leads to a wrong answer; a checking round catches it in ``CATCH_FRACTION`` of the cases. A model fine-tuned on these
learns the slips too, and too much checking; reinforcement learning with a rule-based reward can unlearn both.
"""

from __future__ import annotations

from collections.abc import Sequence

from recipes.data.tiny_kinds import KINDS, Instance
from recipes.data.tiny_pools import DIFFICULTIES, Dice, Split, Style, digest, draw_pool, seed_of
from recipes.records import Demonstration, Problem

SLIP_FRACTION = 0.3
"""Share of the teacher's first passes that carry a slip."""
CATCH_FRACTION = 0.5
"""Share of slips that the first checking round of a ``checked`` response catches."""
CHECKED_FRACTION = 0.35
"""Share of ``checked`` responses among all."""
RECHECK_PROBABILITY = 0.3
"""After a checking round, the probability of one more."""
MAX_CHECKS = 2
"""Checking rounds of one response, at most."""


def instances(
    seed: int, split: Split, count: int, difficulties: Sequence[int] = DIFFICULTIES, kinds: Sequence[str] = tuple(KINDS)
) -> list[Instance]:
    """``count`` instances of distinct content, in random order; arguments and errors as in ``tiny_pools.draw_pool``."""
    draws = {name: kind.draw for name, kind in KINDS.items()}
    number = seed_of("instances", seed, split, count, *difficulties, *kinds)
    return draw_pool("tiny_math", draws, number, split, count, difficulties, kinds)


def problems(
    seed: int, split: Split, count: int, difficulties: Sequence[int] = DIFFICULTIES, kinds: Sequence[str] = tuple(KINDS)
) -> list[Problem]:
    """Problems with gold answers; arguments and errors as in ``instances``.

    ``metadata`` holds ``kind`` and ``difficulty``.
    """
    return [to_problem(instance) for instance in instances(seed, split, count, difficulties, kinds)]


def demonstrations(
    seed: int,
    split: Split,
    count: int,
    difficulties: Sequence[int] = DIFFICULTIES,
    kinds: Sequence[str] = tuple(KINDS),
    *,
    responses_per_problem: int = 2,
    slip_fraction: float = SLIP_FRACTION,
    catch_fraction: float = CATCH_FRACTION,
    checked_fraction: float = CHECKED_FRACTION,
) -> list[Demonstration]:
    """``count`` teacher responses, ``responses_per_problem`` to each problem.

    Equal responses to one problem are drawn again, so that all rows differ. ``metadata`` of the problem holds
    ``kind``, ``difficulty``, ``style`` and ``correct`` (whether the boxed answer is the gold one).

    Raises:
        ValueError: as in ``instances``, and when ``responses_per_problem`` is below 1.
    """
    if responses_per_problem < 1:
        raise ValueError(f"responses_per_problem is {responses_per_problem}; expected at least 1")
    chosen = instances(seed, split, -(-count // responses_per_problem), difficulties, kinds)
    dice = Dice(seed_of("teacher", seed, split, count, responses_per_problem))
    rows: list[Demonstration] = []
    for instance in chosen:
        seen: set[str] = set()
        while len(seen) < responses_per_problem and len(rows) < count:
            style: Style = "checked" if dice.chance(checked_fraction) else "concise"
            response, result = teacher_response(instance, style, dice, slip_fraction, catch_fraction)
            if response not in seen:
                seen.add(response)
                extra: dict[str, object] = {"style": style, "correct": result == instance.answer}
                rows.append(Demonstration(to_problem(instance, extra), response))
    return dice.shuffled(rows)


def teacher_response(
    instance: Instance,
    style: Style,
    dice: Dice,
    slip_fraction: float = SLIP_FRACTION,
    catch_fraction: float = CATCH_FRACTION,
) -> tuple[str, int]:
    """One response of the teacher and the answer that it boxes."""
    solve = KINDS[instance.kind].solve
    work = solve(instance, dice.chance(slip_fraction))
    if style == "concise":
        return _response(work.steps, work.result), work.result
    lines = ["Okay, let me think.", *work.steps, f"So it is {work.result}."]
    rounds = 1
    while rounds < MAX_CHECKS and dice.chance(RECHECK_PROBABILITY):
        rounds += 1
    for check in range(rounds):
        lines.append("Wait, let me check." if check == 0 else "Hmm, let me check again.")
        # Only the first round can catch a slip: a slip that survives it is believed and repeated.
        caught = check == 0 and work.result != instance.answer and dice.chance(catch_fraction)
        work = solve(instance, False) if caught else work
        lines += [*work.steps, f"{'No' if caught else 'Yes'}, it is {work.result}."]
    return _response(lines, work.result), work.result


def to_problem(instance: Instance, extra: dict[str, object] | None = None) -> Problem:
    """The record of an instance; its id is stable over seeds, splits and runs."""
    name = f"{instance.kind}-{instance.difficulty}-{digest(instance.text).hex()[:12]}"
    metadata = {"kind": instance.kind, "difficulty": instance.difficulty, **(extra or {})}
    return Problem(id=name, problem=instance.text, answer=str(instance.answer), metadata=metadata)


def _response(lines: Sequence[str], result: int) -> str:
    thinking = "\n".join(lines)
    return f"<think>\n{thinking}\n</think>\n\nThe answer is \\boxed{{{result}}}."
