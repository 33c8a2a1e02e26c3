"""Whether two expression trees have the same value, without ever computing a number that could grow out of hand.

Three ways, each bounded: exact fractions of at most ``EXACT_BITS`` bits; arithmetic modulo two large primes for
integers beyond (``2^{100000}`` against ``2^{100000}+1``); numbers of 60, then 240 digits for everything else, symbols
at fixed pseudo-random points. A difference seen in one of them is certain. Equality at several points to 40 digits is
taken as identity (Schwartz and Zippel for polynomials), unless a term was too small beside another to be seen at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from recipes.grading.math_expression import ELEMENTARY, Node

EXACT_BITS = 16_384
MAX_FACTORIAL = 2_000
PRIMES = (2**127 - 1, 2**107 - 1)
POSITIVE_POINTS, NEGATIVE_POINTS = 3, 3
_DIGITS = (60, 240)
_MAX_MAGNITUDE = 2.0**60
"""Bits of the largest exponent: 2^(2^60) is never formed, nor the sine of anything beyond 2^1000."""


class NoValue(ArithmeticError):
    """Undefined here (a division by zero), beyond every bound, or not of the kind asked for."""


def exact_value(tree: Node) -> Fraction:
    """The value as a fraction. Raises NoValue when it is irrational, undefined, symbolic or too large."""
    kind, operands = tree
    if kind == "number":
        return operands[0]  # type: ignore[return-value]
    if kind in ("symbol", "constant") or kind in ELEMENTARY or kind in ("root", "degrees"):
        raise NoValue(kind)
    values = [exact_value(operand) for operand in operands]  # type: ignore[arg-type]
    return _bounded(_EXACT[kind](*values))


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > EXACT_BITS:
        raise NoValue("too large")
    return value


def _quotient(a: Fraction, b: Fraction) -> Fraction:
    if not b:
        raise NoValue("division by zero")
    return a / b


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or (not base and exponent <= 0):
        raise NoValue("no rational power")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size > 1 and size * abs(exponent.numerator) > 2 * EXACT_BITS:
        raise NoValue("too large")
    return base ** (exponent.numerator if size > 1 else exponent.numerator % 2)


def _integer(value: Fraction, most: int) -> int:
    if value.denominator != 1 or not 0 <= value.numerator <= most:
        raise NoValue("no small integer")
    return value.numerator


@lru_cache(maxsize=256)
def _factorial(n: int) -> Fraction:
    from math import factorial

    return Fraction(factorial(n))


def _binomial(n: Fraction, k: Fraction) -> Fraction:
    from math import comb

    return Fraction(comb(_integer(n, 4 * MAX_FACTORIAL), _integer(k, 4 * MAX_FACTORIAL)))


_EXACT: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "negative": lambda a: -a,
    "multiply": lambda a, b: a * b,
    "divide": _quotient,
    "power": _power,
    "factorial": lambda a: _factorial(_integer(a, MAX_FACTORIAL)),
    "binomial": _binomial,
    "absolute": abs,
    "floor": lambda a: Fraction(a.numerator // a.denominator),
    "ceiling": lambda a: Fraction(-(-a.numerator // a.denominator)),
}


def residue(tree: Node, prime: int) -> int:
    """The value of an arithmetic tree modulo a prime. Raises NoValue when a part is not plain arithmetic."""
    kind, operands = tree
    if kind == "number":
        value: Fraction = operands[0]  # type: ignore[assignment]
        return value.numerator * _inverse(value.denominator, prime) % prime
    if kind in ("add", "multiply", "divide"):
        a, b = (residue(operand, prime) for operand in operands)  # type: ignore[arg-type]
        return {"add": lambda: a + b, "multiply": lambda: a * b, "divide": lambda: a * _inverse(b, prime)}[
            kind
        ]() % prime
    if kind == "negative":
        return -residue(operands[0], prime) % prime  # type: ignore[arg-type]
    if kind == "power":
        exponent = exact_value(operands[1])  # type: ignore[arg-type]
        if exponent.denominator != 1:
            raise NoValue("no integer exponent")
        base = residue(operands[0], prime)  # type: ignore[arg-type]
        return pow(base if exponent >= 0 else _inverse(base, prime), abs(exponent.numerator), prime)
    return residue(Node("number", (exact_value(tree),)), prime)


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise NoValue("division by zero")
    return pow(value, -1, prime)


class Approximation:
    """Evaluation to a number of digits at one point; ``lossy`` after a term vanished beside a larger one."""

    def __init__(self, digits: int, point: int) -> None:
        self.context = _context(digits)
        self.negligible = self.context.mpf(10) ** (10 - digits)
        self.point = point
        self.lossy = False
        self.cancelled = False

    def value(self, tree: Node, *, angle: bool = False) -> Any:
        """An ``mpf`` or ``mpc``. Raises NoValue. ``angle``: degrees are converted to radians here."""
        kind, operands = tree
        mp = self.context
        if kind == "number":
            fraction: Fraction = operands[0]  # type: ignore[assignment]
            return mp.mpf(fraction.numerator) / fraction.denominator
        if kind == "constant":
            return {"pi": mp.pi(), "e": mp.e(), "i": mp.mpc(0, 1)}[operands[0]]  # type: ignore[index]
        if kind == "symbol":
            return self.symbol(operands[0])  # type: ignore[arg-type]
        trigonometric = kind in ELEMENTARY and kind not in ("ln", "log", "lg", "exp")
        values = [self.value(operand, angle=angle or trigonometric) for operand in operands]  # type: ignore[arg-type]
        if kind == "degrees":
            return values[0] * mp.pi / 180 if angle else values[0]
        if kind == "add":
            return self.sum(*values)
        try:
            result = getattr(self, kind)(*values) if hasattr(self, kind) else self.elementary(kind, values[0])
        except (ArithmeticError, ValueError, TypeError, MemoryError) as error:
            raise NoValue(str(error)) from None
        if not mp.isfinite(result):
            raise NoValue("infinite")
        return result

    def symbol(self, name: str) -> Any:
        """A fixed number in (0.3, 2.3), tenfold at every third point, negative for some at the negative points."""
        digest = zlib.crc32(f"{self.point}:{name}".encode()) * 2654435761 % 2**32
        value = (self.context.mpf(digest) / 2**31 + self.context.mpf(3) / 10) * (10 if self.point % 3 == 2 else 1)
        return -value if self.point >= POSITIVE_POINTS and (digest & 1 or self.point == POSITIVE_POINTS) else value

    def sum(self, a: Any, b: Any) -> Any:
        total = a + b
        large, small = max(abs(a), abs(b)), min(abs(a), abs(b))
        if small and small <= large * self.negligible:
            self.lossy = True
        if large and abs(total) <= large * self.negligible:
            self.cancelled = bool(total) or self.cancelled
            return self.context.mpf(0)
        return total

    def negative(self, a: Any) -> Any:
        return -a

    def multiply(self, a: Any, b: Any) -> Any:
        return a * b

    def divide(self, a: Any, b: Any) -> Any:
        return a / b

    def absolute(self, a: Any) -> Any:
        return abs(a)

    def power(self, base: Any, exponent: Any) -> Any:
        if base:
            size = abs(exponent) * (1 + abs(self.context.mag(base)))
            self.lossy = self.lossy or bool(exponent and size <= self.negligible)  # 2^{1/2^{1000}} is not 1
            self.bounded(size, _MAX_MAGNITUDE)
        elif not (exponent.real > 0):
            raise NoValue("zero to that power")
        return self.context.power(base, exponent)

    def root(self, radicand: Any, degree: Any) -> Any:
        mp = self.context
        if not mp.isint(degree) or not 2 <= degree <= 1000:
            return self.power(radicand, 1 / degree)
        if mp.im(radicand) == 0 and mp.re(radicand) < 0 and int(degree) % 2:
            return -mp.root(-mp.re(radicand), int(degree))  # the real cube root
        return mp.root(radicand, int(degree))

    def factorial(self, n: Any) -> Any:
        self.bounded(n, 10**12)
        return self.context.factorial(n)

    def binomial(self, n: Any, k: Any) -> Any:
        self.bounded(n, 10**12)
        self.bounded(k, 10**12)
        return self.context.binomial(n, k)

    def floor(self, a: Any) -> Any:
        self.bounded(a, 10**30)
        return self.context.floor(a)

    def ceiling(self, a: Any) -> Any:
        self.bounded(a, 10**30)
        return self.context.ceil(a)

    def elementary(self, name: str, a: Any) -> Any:
        mp = self.context
        if name in ("ln", "log"):
            return mp.ln(a)
        if name == "lg":
            return mp.log10(a)
        if name == "exp":
            self.bounded(a, 2**60)
            return mp.exp(a)
        self.bounded(a, 2**300)
        short = {
            "arcsin": "asin",
            "arccos": "acos",
            "arctan": "atan",
            "arccot": "acot",
            "arcsec": "asec",
            "arccsc": "acsc",
        }
        return getattr(mp, short.get(name, name))(a)

    def bounded(self, value: Any, most: float) -> None:
        if not abs(value) <= most:
            raise NoValue("too large")


@lru_cache(maxsize=4)
def _context(digits: int) -> Any:  # mpmath has no types
    from mpmath.ctx_mp import MPContext

    context = MPContext()
    context.dps = digits
    return context


def symbols(tree: Node) -> frozenset[str]:
    """The names of the symbols of a tree."""
    if tree.kind == "symbol":
        return frozenset(tree.operands)  # type: ignore[arg-type]
    return frozenset().union(*(symbols(part) for part in tree.operands if isinstance(part, Node)))


def _uses(tree: Node, kind: str, operand: str) -> bool:
    if tree.kind == kind and tree.operands[0] == operand:
        return True
    return any(_uses(part, kind, operand) for part in tree.operands if isinstance(part, Node))


def same_value(one: Node, other: Node) -> bool | None:
    """Whether two trees are equal wherever both are defined; None where no bounded computation can tell."""
    if one == other:
        return True
    try:
        return exact_value(one) == exact_value(other)
    except NoValue:
        pass
    for digits in _DIGITS:
        verdict, certain = _agree(lambda a, b, mp, slack: abs(a - b) <= slack * max(abs(a), abs(b)), one, other, digits)
        if certain or verdict is not True:
            return verdict
    try:
        return all(residue(one, prime) == residue(other, prime) for prime in PRIMES)
    except NoValue:
        return False  # equal as far as can be seen, but a part of them cannot be seen


def proportional(one: Node, other: Node, *, positively: bool = False) -> bool | None:
    """Whether one tree is a constant multiple, not zero, of the other: ``one = 0`` and ``other = 0`` say the same.

    ``positively``: the constant must be positive, so that ``one < 0`` and ``other < 0`` say the same.
    """
    ratios: list[Any] = []

    def steady(a: Any, b: Any, mp: Any, slack: Any) -> bool:
        if not a or not b:
            return not a and not b
        ratios.append(a / b)
        if positively and not (_real(ratios[-1]) and mp.re(ratios[-1]) > 0):
            return False
        return bool(abs(ratios[-1] - ratios[0]) <= slack * abs(ratios[0]))

    verdict, certain = _agree(steady, one, other, _DIGITS[0])
    return verdict if verdict is not True else certain and bool(ratios)


def _points(one: Node, other: Node) -> Iterator[int]:
    return iter(range(POSITIVE_POINTS + NEGATIVE_POINTS if symbols(one) | symbols(other) else 1))


def _agree(relation: Callable[..., bool], one: Node, other: Node, digits: int) -> tuple[bool | None, bool]:
    """The relation's verdict over all points, None where it could not be seen; and whether no digit was lost."""
    imaginary = _uses(one, "constant", "i") or _uses(other, "constant", "i")
    seen, certain = 0, True
    for point in _points(one, other):
        evaluation = Approximation(digits, point)
        try:
            a, b = evaluation.value(one), evaluation.value(other)
        except NoValue:
            continue
        slack = evaluation.negligible * 10**10
        if not relation(a, b, evaluation.context, slack):
            if not imaginary and not (_real(a) and _real(b)):
                continue  # outside the real domain, where branches of roots and logarithms differ
            return False, True
        certain = certain and not evaluation.lossy and not (evaluation.cancelled and digits == _DIGITS[0])
        seen += 1
    return (True if seen else None), certain


def _real(value: Any) -> bool:
    return not getattr(value, "imag", 0)


def decimal_rounds(decimal: Fraction, step: Fraction, exact: Node) -> bool:
    """Whether ``decimal``, given to multiples of ``step``, is the value of a tree without symbols correctly rounded."""
    if symbols(exact):
        return False
    evaluation = Approximation(_DIGITS[0], 0)
    try:
        difference = evaluation.value(Node("add", (exact, Node("number", (-decimal,)))))
    except NoValue:
        return False
    half = evaluation.context.mpf(step.numerator) / step.denominator / 2
    return _real(difference) and bool(abs(difference) <= half)
