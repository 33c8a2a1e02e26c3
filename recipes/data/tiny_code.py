"""Small programming problems with tests and a distilled teacher's solutions, generated: the demo's code data.

``problems`` draws problems with tests; ``demonstrations`` adds worked solutions: a plan between ``<think>`` and
``</think>``, then one fenced block of Python. Both are pure functions of their arguments: the same call gives the same
bytes on every platform. Splits are disjoint by content (``tiny_pools``).

Expected outputs come from running the reference solution, and every problem's tests tell it from the solution with the
kind's slip. The teacher has the faults of ``tiny_math``'s: slips, and long-winded responses that check themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from recipes.data.tiny_code_kinds import KINDS, CodeInstance, Solution
from recipes.data.tiny_math import CATCH_FRACTION, CHECKED_FRACTION, MAX_CHECKS, RECHECK_PROBABILITY
from recipes.data.tiny_pools import DIFFICULTIES, Dice, Split, Style, digest, draw_pool, seed_of
from recipes.records import Demonstration, Problem

INSTRUCTION = (
    "Write Python code to solve the problem. Please place the solution code in the following format:\n"
    "```python\n# Your solution code here\n```"
)
"""Appendix A of the paper, code without starter code."""

SLIP_FRACTION = 0.35
"""Share of the teacher's first passes that carry a slip."""
TESTS = 4
"""Tests of one problem."""
_ATTEMPTS = 30


def instances(
    seed: int, split: Split, count: int, difficulties: Sequence[int] = DIFFICULTIES, kinds: Sequence[str] = tuple(KINDS)
) -> list[CodeInstance]:
    """``count`` instances of distinct content, in random order; arguments and errors as in ``tiny_pools.draw_pool``."""
    draws = {name: kind.draw for name, kind in KINDS.items()}
    number = seed_of("code instances", seed, split, count, *difficulties, *kinds)
    return draw_pool("tiny_code", draws, number, split, count, difficulties, kinds)


def problems(
    seed: int, split: Split, count: int, difficulties: Sequence[int] = DIFFICULTIES, kinds: Sequence[str] = tuple(KINDS)
) -> list[Problem]:
    """Problems with tests; arguments and errors as in ``instances``.

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
    ``instruction``, ``kind``, ``difficulty``, ``style`` and ``correct`` (whether the program passes the tests).

    Raises:
        ValueError: as in ``instances``, and when ``responses_per_problem`` is not among 1..4, which is how many
            different responses every problem has at least.
    """
    if not 1 <= responses_per_problem <= 4:
        raise ValueError(f"responses_per_problem is {responses_per_problem}; expected 1..4")
    chosen = instances(seed, split, -(-count // responses_per_problem), difficulties, kinds)
    dice = Dice(seed_of("code teacher", seed, split, count, responses_per_problem))
    rows: list[Demonstration] = []
    for instance in chosen:
        seen: set[str] = set()
        while len(seen) < responses_per_problem and len(rows) < count:
            style: Style = "checked" if dice.chance(checked_fraction) else "concise"
            response, correct = teacher_response(instance, style, dice, slip_fraction, catch_fraction)
            if response not in seen:
                seen.add(response)
                extra = {"instruction": INSTRUCTION, "style": style, "correct": correct}
                rows.append(Demonstration(to_problem(instance, extra), response))
    return dice.shuffled(rows)


def teacher_response(
    instance: CodeInstance,
    style: Style,
    dice: Dice,
    slip_fraction: float = SLIP_FRACTION,
    catch_fraction: float = CATCH_FRACTION,
) -> tuple[str, bool]:
    """One response of the teacher, and whether its program is right."""
    solve = KINDS[instance.kind].solve
    right = not dice.chance(slip_fraction)
    solution = solve(instance, not right)
    if style == "concise":
        return _response(solution.plan, solution), right
    lines = ["Okay, let me think.", *solution.plan]
    rounds = 1
    while rounds < MAX_CHECKS and dice.chance(RECHECK_PROBABILITY):
        rounds += 1
    for check in range(rounds):
        lines.append("Wait, let me check." if check == 0 else "Hmm, let me check again.")
        # Only the first round can catch a slip: a slip that survives it is believed and repeated.
        caught = check == 0 and not right and dice.chance(catch_fraction)
        if caught:
            right, solution = True, solve(instance, False)
        lines += [*solution.plan, "No, it is this." if caught else "Yes, it is this."]
    return _response(lines, solution), right


def to_problem(instance: CodeInstance, extra: dict[str, object] | None = None) -> Problem:
    """The record of an instance; its id and its tests are stable over seeds, splits and runs."""
    name = f"{instance.kind}-{instance.difficulty}-{digest(instance.text).hex()[:12]}"
    metadata = {"kind": instance.kind, "difficulty": instance.difficulty, **(extra or {})}
    return Problem(id=name, problem=instance.text, answer="", metadata=metadata, tests=tests_of(instance))


def tests_of(instance: CodeInstance) -> dict[str, Any]:
    """Tests in the form of ``recipes.grading.code_test_format``.

    At least one fails for the solution with the slip, and, where such a test is found, for each of ``rivals``.
    """
    kind = KINDS[instance.kind]
    right, slipped = (kind.solve(instance, slip).program for slip in (False, True))
    dice = Dice(seed_of("code tests", *instance.content))
    best: tuple[int, list[tuple[object, ...]], list[Any]] = (0, [], [])
    wrong = [slipped, *rivals(right)]
    for _ in range(_ATTEMPTS):
        arguments: list[tuple[object, ...]] = []
        while len(arguments) < TESTS:
            drawn = kind.arguments(dice, instance)
            if drawn not in arguments:
                arguments.append(drawn)
        expected = [run(right, given, kind.reads_input) for given in arguments]
        caught = [expected != [run(program, given, kind.reads_input) for given in arguments] for program in wrong]
        if caught[0] and sum(caught) > best[0]:
            best = (sum(caught), arguments, expected)
        if best[0] == len(wrong):
            break
    found, arguments, expected = best
    if not found:
        raise AssertionError(f"no test tells a slip in {instance.text!r}")
    if kind.reads_input:
        inputs = ["".join(f"{line}\n" for line in given) for given in arguments]
        return {"kind": "stdin", "inputs": inputs, "outputs": expected}
    return {"kind": "functional", "fn_name": "f", "inputs": [list(given) for given in arguments], "outputs": expected}


def rivals(program: str) -> list[str]:
    """Programs with one comparison off by one; some may be right all the same (the branches agree at the bound)."""
    found = []
    for strict, other in ((" > ", " >= "), (" < ", " <= ")):
        if strict in program:
            found.append(program.replace(strict, other))
        elif other in program:
            found.append(program.replace(other, strict))
    return found


@lru_cache(maxsize=64)
def _compiled(program: str) -> CodeType:
    return compile(program, "tiny_code", "exec")


def run(program: str, arguments: Sequence[object], reads_input: bool) -> Any:
    """What one of this module's own programs returns, or prints when it reads ``arguments`` as lines of input."""
    lines, printed = iter(map(str, arguments)), []
    names: dict[str, Any] = {"input": lambda: next(lines), "print": lambda value: printed.append(f"{value}\n")}
    exec(_compiled(program), names)  # text of tiny_code_kinds, never a model's
    return "".join(printed) if reads_input else names["f"](*arguments)


def _response(thinking: Sequence[str], solution: Solution) -> str:
    lines = "\n".join(thinking)
    return f"<think>\n{lines}\n</think>\n\n```python\n{solution.program}\n```"
