"""The kinds of small math problems of the demo, each with its worked solution and its typical slip.

A kind knows how to draw an instance of a given difficulty (1 easiest ... 4 hardest) and how to work it out, step by
step, in text that a model with well under a million parameters can learn: one elementary fact per line. ``slip=True``
works the same instance out with the mistake that learners make (a forgotten carry, a forgotten last step, the wrong
operation), so that the result is wrong for a reason that can be read in the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.data.tiny_pools import Dice


@dataclass(frozen=True, slots=True)
class Instance:
    """One problem of one kind.

    Example: ``Instance("add", 2, (17, 26), "What is 17 + 26?", 43, ("sum", 17, 26))``.
    """

    kind: str
    difficulty: int
    operands: tuple[int, ...]
    text: str
    answer: int
    content: tuple[str | int, ...]
    """What is asked, free of wording, of operand order where it does not matter, and of the kind where two kinds ask
    for the same thing (17 + 26 and 26 + 17; 15 - 7 and "which number plus 7 makes 15"). Splits are made on it."""


@dataclass(frozen=True, slots=True)
class Work:
    """A worked solution: one line per step, and the result that the last step gives."""

    steps: tuple[str, ...]
    result: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of problems: how to draw one, how to solve it."""

    name: str
    draw: Callable[[Dice, int], Instance]
    solve: Callable[[Instance, bool], Work]
    """``solve(instance, slip)``."""


def signed_sum(*terms: int) -> tuple[str | int, ...]:
    """Canonical content of additions and subtractions: the signed terms in rising order."""
    return ("sum", *sorted(terms))


def digits(number: int, columns: int) -> list[int]:
    """Decimal digits, units first, padded with zeros to ``columns``."""
    return [number // 10**column % 10 for column in range(columns)]


def add_by_columns(a: int, b: int, slip: bool) -> Work:
    """Column addition. The slip: the first carry is forgotten, or, where there is none, one is carried needlessly."""
    columns = max(len(str(a)), len(str(b)))
    needless = slip and not carries(a, b, columns)
    forgotten = slip and not needless
    steps: list[str] = []
    carry = result = 0
    for column, (x, y) in enumerate(zip(digits(a, columns), digits(b, columns), strict=True)):
        total = x + y + carry
        last = column == columns - 1
        step = f"{x}+{y}" + ("+1" if carry else "") + f"={total}"
        carry = 0 if last else 1 if needless and column == 0 else total // 10
        if carry and forgotten:
            forgotten, carry = False, 0
        steps.append(step + (" carry 1" if carry else ""))
        result += (total if last else total % 10) * 10**column
    return Work(tuple(steps), result)


def carries(a: int, b: int, columns: int) -> bool:
    """Whether a column before the last one gives a carry."""
    return any(a % 10**column + b % 10**column >= 10**column for column in range(1, columns))


def subtract_by_columns(a: int, b: int, slip: bool) -> Work:
    """Column subtraction, ``a >= b >= 0``. The slip: the first borrow is forgotten, or one is made needlessly."""
    columns = len(str(a))
    borrows = any(a % 10**column < b % 10**column for column in range(1, columns))
    forgotten = slip and borrows
    needless = slip and not borrows
    steps: list[str] = []
    borrow = result = 0
    for column, (x, y) in enumerate(zip(digits(a, columns), digits(b, columns), strict=True)):
        owed = x < y + borrow
        top = x + 10 if owed else x
        difference = top - y - borrow
        last = column == columns - 1
        step = f"{top}-{y}" + ("-1" if borrow else "") + f"={difference}"
        borrow = int(not last and (owed or (needless and column == 0)))
        if borrow and forgotten:
            forgotten, borrow = False, 0
        steps.append(step + (" borrow 1" if borrow else ""))
        result += difference * 10**column
    return Work(tuple(steps), result)


def multiply_by_columns(a: int, factor: int, slip: bool) -> Work:
    """Times a digit. The slip: the first carry is forgotten, or, where there is none, one is carried needlessly."""
    columns = len(str(a))
    carried = any(a % 10**column * factor >= 10**column for column in range(1, columns))
    forgotten = slip and carried
    needless = slip and not carried
    steps: list[str] = []
    carry = result = 0
    for column, x in enumerate(digits(a, columns)):
        product = x * factor
        step = f"{x}*{factor}={product}"
        total = product + carry
        if carry:
            step += f" {product}+{carry}={total}"
        last = column == columns - 1
        carry = 0 if last else 1 if needless and column == 0 else total // 10
        if carry and forgotten:
            forgotten, carry = False, 0
        steps.append(step + (f" carry {carry}" if carry else ""))
        result += (total if last else total % 10) * 10**column
    return Work(tuple(steps), result)


def draw_add(dice: Dice, difficulty: int) -> Instance:
    (low_a, high_a), (low_b, high_b) = (
        ((10, 99), (1, 9)),
        ((10, 99), (10, 99)),
        ((100, 999), (10, 99)),
        ((100, 999), (100, 999)),
    )[difficulty - 1]
    a, b = dice.between(low_a, high_a), dice.between(low_b, high_b)
    return Instance("add", difficulty, (a, b), f"What is {a} + {b}?", a + b, signed_sum(a, b))


def solve_add(instance: Instance, slip: bool) -> Work:
    a, b = instance.operands
    return add_by_columns(a, b, slip)


def draw_difference(dice: Dice, difficulty: int) -> tuple[int, int]:
    """Minuend and subtrahend, the difference at least 1."""
    (low_a, high_a), (low_b, high_b) = (
        ((11, 99), (1, 9)),
        ((20, 99), (10, 99)),
        ((100, 999), (10, 99)),
        ((200, 999), (100, 999)),
    )[difficulty - 1]
    a = dice.between(low_a, high_a)
    return a, dice.between(low_b, min(high_b, a - 1))


def draw_subtract(dice: Dice, difficulty: int) -> Instance:
    a, b = draw_difference(dice, difficulty)
    return Instance("subtract", difficulty, (a, b), f"What is {a} - {b}?", a - b, signed_sum(a, -b))


def solve_subtract(instance: Instance, slip: bool) -> Work:
    a, b = instance.operands
    return subtract_by_columns(a, b, slip)


def draw_missing(dice: Dice, difficulty: int) -> Instance:
    a, b = draw_difference(dice, difficulty)
    text = f"Which number plus {b} makes {a}?"
    return Instance("missing", difficulty, (a, b), text, a - b, signed_sum(a, -b))


def solve_missing(instance: Instance, slip: bool) -> Work:
    """The slip: adds the two numbers."""
    a, b = instance.operands
    work = add_by_columns(a, b, False) if slip else subtract_by_columns(a, b, False)
    return Work((f"{a}{'+' if slip else '-'}{b}", *work.steps), work.result)


def draw_terms(dice: Dice, difficulty: int) -> Instance:
    size, high = ((3, 6), (3, 9), (4, 9), (5, 9))[difficulty - 1]
    terms = tuple(dice.between(1, high) for _ in range(size))
    text = f"What is {' + '.join(map(str, terms))}?"
    return Instance("terms", difficulty, terms, text, sum(terms), signed_sum(*terms))


def solve_terms(instance: Instance, slip: bool) -> Work:
    """Running total. The slip: the last term is left out."""
    return running_total(instance.operands[:-1] if slip else instance.operands)


def running_total(terms: Sequence[int]) -> Work:
    steps = []
    total = terms[0]
    for term in terms[1:]:
        steps.append(f"{total}{'+' if term >= 0 else '-'}{abs(term)}={total + term}")
        total += term
    return Work(tuple(steps), total)


def draw_multiply(dice: Dice, difficulty: int) -> Instance:
    a = dice.between(100, 999) if difficulty == 4 else dice.between(11, 99)
    factor = dice.between(2, (3, 5, 9, 9)[difficulty - 1])
    text = f"What is {a} * {factor}?"
    return Instance("multiply", difficulty, (a, factor), text, a * factor, ("product", *sorted((a, factor))))


def solve_multiply(instance: Instance, slip: bool) -> Work:
    a, factor = instance.operands
    return multiply_by_columns(a, factor, slip)


NAMES = ("Ann", "Ben", "Mia", "Tom")
THINGS = ("apples", "books", "coins", "pens")


def draw_word(dice: Dice, difficulty: int) -> Instance:
    """A stock that grows and shrinks: two changes at difficulty 1 and 2, three at 3 and 4."""
    start = dice.between(10, 20 if difficulty == 1 else 40)
    changes = [dice.between(2, 9), -dice.between(2, 9)]
    text = f"{dice.pick(NAMES)} has {start} {dice.pick(THINGS)}, gets {changes[0]} more and gives away {-changes[1]}"
    if difficulty >= 3:
        changes.append(dice.between(2, 9) if difficulty == 3 else -dice.between(1, 7))
        text += f", then {'finds' if difficulty == 3 else 'loses'} {abs(changes[2])}"
    operands = (start, *changes)
    return Instance("word", difficulty, operands, f"{text}. How many now?", sum(operands), signed_sum(*operands))


def solve_word(instance: Instance, slip: bool) -> Work:
    """Running total. The slip: the last change is left out."""
    return running_total(instance.operands[:-1] if slip else instance.operands)


def draw_remainder(dice: Dice, difficulty: int) -> Instance:
    divisor = dice.between(3, 10)
    number = dice.between(2, (3, 4, 5, 6)[difficulty - 1]) * divisor + dice.between(0, divisor - 1)
    text = f"What is the remainder of {number} divided by {divisor}?"
    return Instance("remainder", difficulty, (number, divisor), text, number % divisor, ("remainder", number, divisor))


def solve_remainder(instance: Instance, slip: bool) -> Work:
    """Counts the multiples up. The slip: stops one multiple too early."""
    number, divisor = instance.operands
    multiples = [divisor * count for count in range(1, number // divisor + 1)][: -1 if slip else None]
    result = number - multiples[-1]
    return Work((" ".join(map(str, multiples)), f"{number}-{multiples[-1]}={result}"), result)


def draw_largest(dice: Dice, difficulty: int) -> Instance:
    size, high = ((3, 40), (3, 99), (4, 99), (5, 99))[difficulty - 1]
    numbers: list[int] = []
    while len(numbers) < size:
        number = dice.between(10, high)
        if number not in numbers:
            numbers.append(number)
    text = f"Which of {', '.join(map(str, numbers))} is the largest?"
    return Instance("largest", difficulty, tuple(numbers), text, max(numbers), ("largest", *sorted(numbers)))


def solve_largest(instance: Instance, slip: bool) -> Work:
    """Keeps the larger of two, number after number. The slip: the last comparison goes the wrong way."""
    steps = []
    best = instance.operands[0]
    for position, number in enumerate(instance.operands[1:], start=2):
        wrong = slip and position == len(instance.operands)
        step = f"{best} or {number}: "
        best = min(best, number) if wrong else max(best, number)
        steps.append(f"{step}{best}")
    return Work(tuple(steps), best)


def draw_sequence(dice: Dice, difficulty: int) -> Instance:
    """Rising by a constant at difficulty 1 and 2, falling at 3 and 4; the next term is asked for."""
    step = dice.between(2, 5 if difficulty in (1, 3) else 9)
    start = dice.between(1, 20 if difficulty in (1, 3) else 30)
    if difficulty >= 3:
        start, step = start + 3 * step, -step
    shown = tuple(start + step * index for index in range(3))
    text = f"What comes next: {', '.join(map(str, shown))}?"
    return Instance("sequence", difficulty, shown, text, start + step * 3, ("sequence", start, step))


def solve_sequence(instance: Instance, slip: bool) -> Work:
    """The constant difference, then one step further. The slip: the step goes the wrong way."""
    first, second, last = instance.operands
    rising = second > first
    high, low = (second, first) if rising else (first, second)
    step = high - low
    up = rising != slip
    result = last + step if up else last - step
    return Work((f"{high}-{low}={step}", f"{last}{'+' if up else '-'}{step}={result}"), result)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("add", draw_add, solve_add),
        Kind("subtract", draw_subtract, solve_subtract),
        Kind("missing", draw_missing, solve_missing),
        Kind("terms", draw_terms, solve_terms),
        Kind("multiply", draw_multiply, solve_multiply),
        Kind("word", draw_word, solve_word),
        Kind("remainder", draw_remainder, solve_remainder),
        Kind("largest", draw_largest, solve_largest),
        Kind("sequence", draw_sequence, solve_sequence),
    )
}
