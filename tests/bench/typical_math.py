"""Responses as a reasoning model gives them: long thinking, then an answer that is right, spelt otherwise, or wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

Pair = tuple[str, str]
"""(answer, gold answer)."""


def _integer(rng: random.Random) -> Pair:
    value = rng.randint(-2_000, 100_000)
    return rng.choice([f"{value}", f"{value}", f"{value:,}", f"{value + 1}"]), f"{value}"


def _fraction(rng: random.Random) -> Pair:
    above, below = rng.randint(1, 60), rng.randint(2, 60)
    return rng.choice([rf"\dfrac{{{above}}}{{{below}}}", f"{above}/{below}", f"{above / below:.6f}"]), (
        rf"\frac{{{above}}}{{{below}}}"
    )


def _root(rng: random.Random) -> Pair:
    factor, inside = rng.randint(2, 9), rng.choice([2, 3, 5, 6, 7])
    spelt = [rf"{factor}\sqrt{{{inside}}}", rf"\sqrt{{{factor**2 * inside}}}", rf"{factor}\sqrt{{{inside + 1}}}"]
    return rng.choice(spelt), rf"{factor}\sqrt{{{inside}}}"


def _polynomial(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    spelt = [rf"(x+{a})(x-{b})", rf"x^2{a - b:+d}x-{a * b}", rf"x^2{a - b + 1:+d}x-{a * b}"]
    return rng.choice(spelt), rf"x^{{2}}{a - b:+d}x-{a * b}"


def _tuple(rng: random.Random) -> Pair:
    a, b = rng.randint(-9, 9), rng.randint(1, 9)
    return rng.choice([rf"({a}, {b})", rf"\left({a},{b}\right)", rf"({b},{a + 10})"]), rf"({a},{b})"


def _interval(rng: random.Random) -> Pair:
    a, b = rng.randint(-9, 0), rng.randint(1, 9)
    return rng.choice([rf"[{a},{b})", rf"\left[{a}, {b}\right)", rf"({a},{b})"]), rf"[{a},{b})"


def _pi(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 9), rng.randint(2, 9)
    return rng.choice([rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi", rf"\frac{{{a + 1}\pi}}{{{b}}}"]), (
        rf"\frac{{{a}\pi}}{{{b}}}"
    )


def _text(rng: random.Random) -> Pair:
    word = rng.choice(["even", "odd", "Monday", "neither"])
    return rng.choice([word, rf"\text{{{word}}}", r"\text{(B)}"]), rf"\text{{{word}}}"


# Shares as among the gold answers of MATH-500: six in ten are integers.
KINDS: list[tuple[Callable[[random.Random], Pair], int]] = [
    (_integer, 60),
    (_fraction, 12),
    (_root, 7),
    (_polynomial, 6),
    (_tuple, 5),
    (_interval, 3),
    (_pi, 4),
    (_text, 3),
]


def responses(count: int, seed: int = 1) -> list[Pair]:
    """``count`` pairs of a response of some 12,000 characters and its gold answer."""
    rng = random.Random(seed)
    makers, weights = zip(*KINDS, strict=True)
    found = []
    for _ in range(count):
        answer, gold = rng.choices(makers, weights)[0](rng)
        thinking = "".join(
            f"Let me try {rng.randint(0, 999)}: then $x = {rng.random():.3f}$ fails. " for _ in range(260)
        )
        found.append((f"<think>\n{thinking}\n</think>\n\nThe answer is $\\boxed{{{answer}}}$.", gold))
    return found
