r"""Numbers written in digits: decimals and their precision, thousands separators, mixed numbers, powers of ten."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_DECIMAL = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?"
    r"(?:(?:\\cdot ?10\^(?:\{([+-]?[0-9]{1,4})\}|([+-]?[0-9]{1,4})))|[eE]([+-]?[0-9]{1,4}))?"
)
_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9])(?!,[0-9])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?: [0-9]{3})+)(?![0-9])")
_DECIMAL_COMMA = re.compile(r"([+-]?[0-9]+),([0-9]{2,})|([+-]?0),([0-9])")
_PLAIN_MIXED = re.compile(r"(?<![0-9./])([0-9]+) ([0-9]+)/([0-9]+)(?![0-9.])")


class Decimal(NamedTuple):
    """A number in digits, with what its last digit stands for."""

    value: Fraction
    decimals: int
    """Digits after the point, less the exponent of ten."""
    significant: int
    pointed: bool
    """Whether it has a decimal point, so that it may be a rounded value; an integer claims to be exact."""

    @property
    def step(self) -> Fraction:
        return Fraction(1, 10**self.decimals) if self.decimals >= 0 else Fraction(10**-self.decimals)

    @property
    def precise(self) -> bool:
        """Whether it may stand for a value that it rounds: six places with four digits, or seven digits."""
        return self.pointed and ((self.decimals >= 6 and self.significant >= 4) or self.significant >= 7)


def decimal_literal(text: str) -> Decimal | None:
    r"""``-0.50``, ``12``, ``1.5\cdot 10^{3}``, ``2.5e-3`` and the like; None for anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    digits, after = (match[2] or "") + (match[3] or ""), len(match[3] or "")
    exponent = int(match[4] or match[5] or match[6] or 0)
    value = Fraction(int(digits)) * (Fraction(10) ** (exponent - after))
    return Decimal(
        -value if match[1] == "-" else value, after - exponent, len(digits.lstrip("0")), match[3] is not None
    )


def same_decimal(one: Decimal, other: Decimal) -> bool:
    """Equal values, or one of them a precise decimal that correctly rounds the other."""
    if one.value == other.value:
        return True
    return any(
        rounded.precise and 2 * abs(rounded.value - exact.value) <= rounded.step
        for rounded, exact in ((one, other), (other, one))
    )


def without_thousands(text: str) -> str:
    """``1,234,567`` and ``1 234 567`` as ``1234567``; commas followed by a space separate items and stay."""
    text = _THOUSANDS.sub(lambda match: match[1].replace(",", ""), text)
    return _SPACED_THOUSANDS.sub(lambda match: match[1].replace(" ", ""), text)


def mixed(text: str) -> str:
    r"""``1 1/2`` as ``1\frac{1}{2}``."""
    return _PLAIN_MIXED.sub(r"\1\\frac{\2}{\3}", text)


def decimal_comma(text: str) -> str | None:
    """``2,74`` as ``2.74``, ``0,5`` as ``0.5``; None for any other text, ``1,5`` included, which is a list."""
    match = _DECIMAL_COMMA.fullmatch(text)
    return f"{match[1] or match[3]}.{match[2] or match[4]}" if match else None


def number_readings(text: str) -> list[str]:
    r"""The readings of one value: as it stands, ``1 1/2`` as a mixed number."""
    return [mixed(without_thousands(text))]
