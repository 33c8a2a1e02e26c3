"""The kinds of small programming problems of the demo, each with its worked solution and its typical slip.

A kind draws an instance of a given difficulty (1 easiest ... 4 hardest) and solves it: a plan of one to three lines,
and the program that the plan leads to. ``slip=True`` solves it with the mistake that learners make (the wrong operator,
a comparison the wrong way round, one too few, a forgotten last step); plan and program then agree with each other and
not with the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recipes.data.tiny_pools import Content, Dice

OPERATORS = {"plus": "+", "minus": "-", "times": "*"}
MISTAKEN = {"plus": "minus", "minus": "plus", "times": "plus"}
"""The operator that a slip takes for the right one."""
COMPARISONS = {"greater than": ">", "less than": "<", "at least": ">=", "at most": "<="}
TURNED = {"greater than": "less than", "less than": "greater than", "at least": "at most", "at most": "at least"}
CONSTANTS = (2, 40)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class CodeInstance:
    """One problem of one kind.

    Example: ``CodeInstance("formula", 1, ("x", "plus", 7), "Write a function f(x) that returns x plus 7.", ...)``.
    """

    kind: str
    difficulty: int
    parts: tuple[str | int, ...]
    """What the kind's ``solve`` builds the program from."""
    text: str
    content: Content
    """What is asked, free of wording and of the way of input."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan, one line a step, and the program."""

    plan: tuple[str, ...]
    program: str


@dataclass(frozen=True, slots=True)
class CodeKind:
    """A family of problems: how to draw one, how to solve it, what to test it with."""

    name: str
    draw: Callable[[Dice, int], CodeInstance]
    solve: Callable[[CodeInstance, bool], Solution]
    """``solve(instance, slip)``."""
    arguments: Callable[[Dice, CodeInstance], tuple[object, ...]]
    """The arguments of one test (a program's lines of input)."""
    reads_input: bool = False
    """True: a program that reads standard input; False: a function f."""


def constant(dice: Dice) -> int:
    return dice.between(*CONSTANTS)


def function(parameters: str, body: str) -> str:
    return f"def f({parameters}):\n    return {body}"


# Formulas, as a function and as a program


def draw_formula_parts(dice: Dice, difficulty: int) -> tuple[tuple[str | int, ...], str]:
    """(first operand, operator, operand, operator, operand ...) and the words for it."""
    operator = dice.pick(tuple(OPERATORS))
    if difficulty == 1:
        parts: tuple[str | int, ...] = ("x", operator, constant(dice))
        return parts, "{} {} {}".format(*parts)
    last = constant(dice)
    if difficulty == 2:
        first, second = dice.pick((("a", "b"), ("b", "a")))
        parts = (first, operator, second, dice.pick(("plus", "minus")), last)
        return parts, "{} {} {} {} {}".format(*parts)
    if difficulty == 3:
        parts = ("x", dice.pick(("plus", "minus")), constant(dice), "times", last)
        return parts, "{} {} {}, all {} {}".format(*parts)
    first, second = dice.pick((("a", "b"), ("b", "a")))
    parts = (first, "times", constant(dice), dice.pick(("plus", "minus")), second, dice.pick(("plus", "minus")), last)
    return parts, "{} {} {} {} {}, then {} {}".format(*parts)


def formula_steps(parts: tuple[str | int, ...], slip: bool) -> list[str]:
    """The expression after each operation. The slip: the last operator is mistaken, or, of three, left out."""
    expression, steps = str(parts[0]), []
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    if slip and len(pairs) == 3:
        pairs.pop()
    elif slip:
        operator, operand = pairs.pop()
        pairs.append((MISTAKEN[str(operator)], operand))
    wrapped = "all" if len(pairs) == 2 and parts[3] == "times" else ""
    for number, (operator, operand) in enumerate(pairs):
        left = f"({expression})" if wrapped and number == 1 else expression
        expression = f"{left} {OPERATORS[str(operator)]} {operand}"
        steps.append(expression)
    return steps


def parameters_of(parts: tuple[str | int, ...]) -> str:
    return "x" if parts[0] == "x" else "a, b"


def draw_formula(dice: Dice, difficulty: int) -> CodeInstance:
    parts, words = draw_formula_parts(dice, difficulty)
    text = f"Write a function f({parameters_of(parts)}) that returns {words}."
    return CodeInstance("formula", difficulty, parts, text, ("formula", *parts))


def solve_formula(instance: CodeInstance, slip: bool) -> Solution:
    steps = formula_steps(instance.parts, slip)
    return Solution(tuple(steps), function(parameters_of(instance.parts), steps[-1]))


def draw_program(dice: Dice, difficulty: int) -> CodeInstance:
    parts, words = draw_formula_parts(dice, difficulty)
    names = "x" if parts[0] == "x" else "a and b"
    return CodeInstance("program", difficulty, parts, f"Read {names}. Print {words}.", ("formula", *parts))


def solve_program(instance: CodeInstance, slip: bool) -> Solution:
    steps = formula_steps(instance.parts, slip)
    reads = [f"{name} = int(input())" for name in parameters_of(instance.parts).split(", ")]
    return Solution(tuple(steps), "\n".join([*reads, f"print({steps[-1]})"]))


def numbers(dice: Dice, instance: CodeInstance) -> tuple[object, ...]:
    return tuple(dice.between(-50, 50) for _ in parameters_of(instance.parts).split(", "))


# Conditions


def draw_condition(dice: Dice, difficulty: int) -> CodeInstance:
    """(comparison, bound, then, otherwise): constants at difficulty 1, one operation at 2 and 3, two at 4."""
    comparison, bound = dice.pick(tuple(COMPARISONS)), constant(dice)
    operators = tuple(OPERATORS)
    then = otherwise = str(constant(dice))
    while otherwise == then:
        otherwise = str(constant(dice))
    if difficulty >= 2:
        then = f"x {dice.pick(operators)} {then}"
    if difficulty == 3:
        otherwise = "x"
    if difficulty == 4:
        otherwise = f"x {dice.pick(operators)} {otherwise}"
    parts = (comparison, bound, then, otherwise)
    text = f"Write a function f(x) that returns {then} if x is {comparison} {bound}, else {otherwise}."
    return CodeInstance("condition", difficulty, parts, text, ("condition", *parts))


def solve_condition(instance: CodeInstance, slip: bool) -> Solution:
    """The slip: the comparison goes the wrong way."""
    comparison, bound, then, otherwise = map(str, instance.parts)
    if slip:
        comparison = TURNED[comparison]
    test, then, otherwise = f"x {COMPARISONS[comparison]} {bound}", symbols(then), symbols(otherwise)
    program = f"def f(x):\n    if {test}:\n        return {then}\n    return {otherwise}"
    return Solution((f"{test}: {then}", f"else: {otherwise}"), program)


def symbols(words: str) -> str:
    """``x plus 3`` -> ``x + 3``."""
    return " ".join(OPERATORS.get(word, word) for word in words.split())


def near_bound(dice: Dice, instance: CodeInstance) -> tuple[object, ...]:
    return (int(instance.parts[1]) + (0 if dice.chance(0.3) else dice.between(-9, 9)),)


# Lists


def draw_list(dice: Dice, difficulty: int) -> CodeInstance:
    """(aggregate, operator, constant, comparison, bound): every x changed, some x, aggregated, or all of it."""
    operator, number, comparison, bound = "", 0, "", 0
    if difficulty in (1, 4):
        operator, number = dice.pick(tuple(OPERATORS)), constant(dice)
    if difficulty >= 2:
        comparison, bound = dice.pick((*COMPARISONS, "divisible by")), constant(dice)
    if comparison == "divisible by":
        bound = dice.between(2, 9)
    aggregate = dice.pick(("sum", "number") if difficulty == 3 else ("list", "sum"))
    if difficulty == 2:
        aggregate = "list"
    changed = f"x {operator} {number} for all x" if operator else "x" if aggregate == "number" else "all x"
    text = f"Write a function f(v) that returns the {aggregate} of {changed} in v"
    text += f" {comparison} {bound}." if comparison else "."
    parts = (aggregate, operator, number, comparison, bound)
    return CodeInstance("list", difficulty, parts, text, ("list", *parts))


def solve_list(instance: CodeInstance, slip: bool) -> Solution:
    """The slip: the comparison goes the wrong way, or, without one, the operator is mistaken."""
    aggregate, operator, number, comparison, bound = instance.parts
    if slip and not comparison:
        operator = MISTAKEN[str(operator)]
    changed = f"x {OPERATORS[str(operator)]} {number}" if operator else "x"
    condition = ""
    if comparison == "divisible by":
        condition = f"x % {bound} {'!=' if slip else '=='} 0"
    elif comparison:
        condition = f"x {COMPARISONS[TURNED[str(comparison)] if slip else str(comparison)]} {bound}"
    one = "1" if aggregate == "number" else changed
    each = f"{one} for x in v" + (f" if {condition}" if condition else "")
    body = f"[{each}]" if aggregate == "list" else f"sum({each})"
    plan = [f"if {condition}"] if condition else []
    plan.append(f"{'list' if aggregate == 'list' else 'sum'} of {one}")
    return Solution(tuple(plan), function("v", body))


def some_numbers(dice: Dice, instance: CodeInstance) -> tuple[object, ...]:
    bound = int(instance.parts[4])
    around = [bound + dice.between(-9, 9) for _ in range(dice.between(3, 5))]
    return (dice.shuffled([bound, *around]),)


# Series


def draw_series(dice: Dice, difficulty: int) -> CodeInstance:
    """(aggregate, first number, operator, constant): f(n) over the numbers from a first one to n."""
    first, operator, number = constant(dice), "", 0
    aggregate = "list" if difficulty == 1 else dice.pick(("list", "sum"))
    if difficulty == 2:
        first = 1
    if difficulty >= 2:
        operators = ("plus", "times") if difficulty <= 3 else ("minus",)
        operator, number = dice.pick(operators), constant(dice)
    changed = f"x {operator} {number} for all x" if operator else "all x"
    text = f"Write a function f(n) that returns the {aggregate} of {changed} from {first} to n."
    parts = (aggregate, first, operator, number)
    return CodeInstance("series", difficulty, parts, text, ("series", *parts))


def solve_series(instance: CodeInstance, slip: bool) -> Solution:
    """The slip: n itself is left out."""
    aggregate, first, operator, number = instance.parts
    changed = f"x {OPERATORS[str(operator)]} {number}" if operator else "x"
    span = f"range({first}, n{'' if slip else ' + 1'})"
    each = f"{changed} for x in {span}"
    plan = (span, f"{aggregate} of {changed}")
    return Solution(plan, function("n", f"[{each}]" if aggregate == "list" else f"sum({each})"))


def end_of_series(dice: Dice, instance: CodeInstance) -> tuple[object, ...]:
    return (int(instance.parts[1]) + dice.between(0, 5),)


# Text


def draw_text(dice: Dice, difficulty: int) -> CodeInstance:
    """Steps from s on: a letter counted or replaced; a piece changed; a replacement and a change; a piece and two."""
    steps: list[str]
    if difficulty in (1, 3):
        old, new = dice.pick(LETTERS), dice.pick(LETTERS)
        while new == old:
            new = dice.pick(LETTERS)
        steps = [f"replace {old} {new}"]
    else:
        steps = [f"{dice.pick(('first', 'last', 'without'))} {dice.between(2, 6)}"]
    changes = ["reversed", "in capitals", f"repeated {dice.between(2, 5)} times"]
    if difficulty in (2, 3):
        steps.append(dice.pick(changes))
    if difficulty == 4:
        first = dice.between(0, 1)
        steps += [changes[first], changes[dice.between(first + 1, 2)]]
    words = ", ".join([text_words(steps[0]), *steps[1:]])
    text = f"Write a function f(s) that returns {words}."
    return CodeInstance("text", difficulty, tuple(steps), text, ("text", *steps))


def text_words(step: str) -> str:
    verb, *rest = step.split()
    if verb == "replace":
        return f"s with every {rest[0]} replaced by {rest[1]}"
    if verb == "without":
        return f"s without its first {rest[0]} letters"
    return f"the {verb} {rest[0]} letters of s"


def solve_text(instance: CodeInstance, slip: bool) -> Solution:
    """The slip: the last step is left out, or, where there is one alone, its letters change places."""
    steps = [str(part) for part in instance.parts]
    if slip and len(steps) > 1:
        steps.pop()
    elif slip:
        verb, old, new = steps[0].split()
        steps = [f"{verb} {new} {old}"]
    expression, plan = "s", []
    for step in steps:
        expression += text_code(step)
        plan.append(expression)
    return Solution(tuple(plan), function("s", expression))


def text_code(step: str) -> str:
    verb, *rest = step.split()
    if verb == "replace":
        return f'.replace("{rest[0]}", "{rest[1]}")'
    if verb == "repeated":
        return f" * {rest[0]}"
    return {
        "first": "[:{}]",
        "last": "[-{}:]",
        "without": "[{}:]",
        "reversed": "[::-1]",
        "in": ".upper()",
    }[verb].format(*rest)


def some_text(dice: Dice, instance: CodeInstance) -> tuple[object, ...]:
    first = str(instance.parts[0]).split()
    alphabet = "".join(first[1:]) + "aeo" if first[0] == "replace" else LETTERS
    return ("".join(dice.pick(alphabet) for _ in range(dice.between(7, 10))),)


KINDS: dict[str, CodeKind] = {
    kind.name: kind
    for kind in (
        CodeKind("formula", draw_formula, solve_formula, numbers),
        CodeKind("program", draw_program, solve_program, numbers, reads_input=True),
        CodeKind("condition", draw_condition, solve_condition, near_bound),
        CodeKind("list", draw_list, solve_list, some_numbers),
        CodeKind("series", draw_series, solve_series, end_of_series),
        CodeKind("text", draw_text, solve_text, some_text),
    )
}
