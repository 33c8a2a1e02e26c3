r"""Answers that are words, and the words around an answer: units, currency, percent, times of day, number words."""

from __future__ import annotations

import re
from typing import NamedTuple

_UNITS = {
    "meter": "m metre meters metres meter m",
    "centimeter": "cm centimeter centimeters centimetre centimetres",
    "millimeter": "mm millimeter millimeters",
    "kilometer": "km kms kilometer kilometers kilometre kilometres",
    "inch": "in inch inches",
    "foot": "ft foot feet",
    "yard": "yd yds yard yards",
    "mile": "mi mile miles",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "yr yrs year years",
    "gram": "g gram grams",
    "kilogram": "kg kilogram kilograms",
    "milligram": "mg milligram milligrams",
    "pound weight": "lb lbs pounds pound",
    "ounce": "oz ounce ounces",
    "ton": "ton tons",
    "liter": "l liter liters litre litres",
    "milliliter": "ml milliliter milliliters",
    "gallon": "gal gallon gallons",
    "mile per hour": "mph",
    "degree": "degree degrees deg",
    "radian": "rad radian radians",
    "dollar": "dollar dollars usd",
    "cent": "cent cents",
    "euro": "euro euros",
    "yen": "yen",
    "unit": "unit units",
    "percent": "percent pct percentage",
    "square unit": "sq",
}
_CANONICAL = {spelling: name for name, spellings in _UNITS.items() for spelling in spellings.split()}
_BARE = sorted((s for s in _CANONICAL if len(s) > 1 and s != "in"), key=len, reverse=True)
_POWER_WORD = {"square": "2", "sq": "2", "cubic": "3", "squared": "2", "cubed": "3"}
_EXPONENT = r"(?:\^(?:\{([0-9])\}|([0-9])))?"
_TEXT_UNIT = re.compile(r"(.*[^\s\\])\\text\{([^{}]*)\}" + _EXPONENT, re.DOTALL)
_BARE_UNIT = re.compile(
    rf"(.*[0-9)}}\]])((?: ?(?:square|sq|cubic))? ?(?:{'|'.join(_BARE)})(?: (?:squared|cubed))?)" + _EXPONENT,
    re.IGNORECASE,
)
_REMARK = re.compile(r"\((?:\\text\{)?(?:approx|about|i\.e|or about)[^()]*\)$|\\text\{ ?\(?(?:about|approx)[^{}]*\}.*$")
_LEADING_CURRENCY = re.compile(r"(-?)(?:\\\$|\\text\{ ?(?:USD|US|\$) ?\})(.+)")
_LEADING_FOREIGN = re.compile(r"(-?)\\text\{ (euro|pound|yen)\}(.+)")
_CHANGED = re.compile(r"\\text\{([^{}]*)\}")
WORDS = re.compile(r"[A-Za-z][A-Za-z' .,-]*")
_NUMBER_WORDS = {word: value for value, word in enumerate([
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
])}  # fmt: skip
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\\text\{)? ?([AaPp])?\.?(?:[Mm]\.?)?\}?")


class Quantity(NamedTuple):
    core: str
    """The answer without its unit."""
    unit: str | None
    """Canonical: "centimeter^2", "percent", "degree"; other words in lower case; None without a unit."""


def quantity(normalized: str) -> Quantity:
    r"""Splits a trailing unit or remark off: ``5\text{ cm}^2``, ``10 square units``, ``\$5``, ``90^\circ``, ``20\%``.

    A unit of one letter or the word "in" counts in ``\text{}`` only, since ``10m`` may be a product.
    """
    text = _REMARK.sub("", normalized).strip()
    if text.endswith(r"\%"):
        return Quantity(text[:-2].strip(), "percent")
    if text.endswith(r"^\circ"):
        return Quantity(text[: -len(r"^\circ")], "degree")
    for ending in (r"\text{F}", r"\text{C}"):
        if text.endswith(r"^\circ" + ending):
            return Quantity(text[: -len(r"^\circ" + ending)], "degree " + ending[-2].lower())
    if currency := _LEADING_CURRENCY.fullmatch(text):
        return Quantity(currency[1] + quantity(currency[2]).core, "dollar")
    if currency := _LEADING_FOREIGN.fullmatch(text):
        return Quantity(currency[1] + currency[3], currency[2])
    if text.endswith(r"\$"):
        return Quantity(text[:-2].strip(), "dollar")
    if found := _TEXT_UNIT.fullmatch(text):
        core = quantity(found[1])
        if re.search(r"[0-9]|\\(?:pi|sqrt|frac)", core.core):
            exponent = found[3] or found[4]
            return Quantity(core.core, _unit(found[2], exponent) if core.unit is None else core.unit)
        return Quantity(text, None)
    if (found := _BARE_UNIT.fullmatch(text)) and not found[1].endswith("\\"):
        return Quantity(found[1], _unit(found[2], found[3] or found[4]))
    return Quantity(text, None)


def _unit(words: str, exponent: str | None) -> str:
    parts = [part for part in re.split(r"[\s.,;]+", words.strip().lower()) if part]
    named = [_CANONICAL.get(part, part) for part in parts if part not in _POWER_WORD]
    for part in parts:
        exponent = exponent or _POWER_WORD.get(part)
    name = " ".join(named) or "unit"
    return f"{name}^{exponent}" if exponent else name


def units_agree(one: str | None, other: str | None) -> bool:
    """Whether two units may stand for one: either is missing, both are the same, or one description holds the other."""
    if one is None or other is None or one == other:
        return True
    mine, theirs = set(one.split()), set(other.split())
    return (mine < theirs or theirs < mine) and not mine & set(_UNITS) ^ theirs & set(_UNITS)


def words(normalized: str) -> str | None:
    r"""A text answer in one case: ``\text{(A)}`` as ``a``, ``\text{Even}.`` as ``even``; None when it is no text.

    Outside ``\text{}`` at least four letters make a text, since ``ab`` is a product.
    """
    unwrapped = _CHANGED.sub(lambda match: match[1], normalized)
    plain = unwrapped.strip().strip(".,").strip()
    if len(plain) == 3 and plain[0] == "(" and plain[2] == ")":
        plain = plain[1]
    if not WORDS.fullmatch(plain):
        return None
    letters = sum(character.isalpha() for character in plain)
    if unwrapped == normalized and letters < 4:
        return None
    return " ".join(re.sub(r"[.,-]", " ", plain).casefold().split())


def number_word(text: str) -> int | None:
    """The value of "zero" to "twenty"."""
    return _NUMBER_WORDS.get(text)


def time_of_day(normalized: str) -> tuple[int, int, int] | None:
    """Hours, minutes and seconds of ``8:34 p.m.`` or ``20:34:00``; without a.m. or p.m. as they stand."""
    match = _TIME.fullmatch(normalized)
    if match is None:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4]:
        hours = hours % 12 + (12 if match[4] in "Pp" else 0)
    return hours, minutes, seconds
