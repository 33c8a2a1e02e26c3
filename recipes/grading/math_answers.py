r"""Whether an extracted answer equals the gold answer.

Two steps. ``decide_exactly`` is cheap, bounded and safe anywhere: normalised text, integers, decimals, fractions,
percentages and worded answers. What it leaves open goes to the library ``math-verify`` (parsing of LaTeX and symbolic
comparison by sympy), which may run for ever on a hostile answer and therefore belongs into a process that can be killed
(``recipes.grading.worker_pool``). ``math_verify`` is imported on first use only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

MAX_ANSWER_CHARACTERS = 1_000
"""A longer text is no final answer: it equals the gold answer as text or not at all."""

_DELIMITED = re.compile(r"\$\$?([^$]*)\$\$?|\\\((.*)\\\)|\\\[(.*)\\\]", re.DOTALL)
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile(r"\\(?:left|right|displaystyle|textstyle)(?![A-Za-z])\.?"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<!\\)\\!"), ""),
    (re.compile(r"(?<=[0-9])(?<!\\)\\,(?=[0-9]{3}(?![0-9]))"), ""),  # 10\,000, the thin space between thousands
    (re.compile(r"(?<!\\)\\(?:[,;: ]|quad(?![A-Za-z])|qquad(?![A-Za-z]))|~"), " "),
    (re.compile(r"\s+"), " "),
    # A space counts between letters and digits only ("\pi r", "2 3"), and in "3, 125", which is not 3,125.
    (re.compile(r"((?<=[0-9]), (?=[0-9]{3}(?![0-9])))| ?([^0-9A-Za-z ]) ?"), r"\1\2"),
)
_UNSIGNED = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_ARGUMENT = r"(?:\{[+-]?[0-9]+\}|[0-9])"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?:\\?\$)?"
    rf"(?:\\frac(?P<numerator>{_ARGUMENT})(?P<denominator>{_ARGUMENT})"
    rf"|(?P<over>{_UNSIGNED})/(?P<under>{_UNSIGNED})"
    rf"|(?P<whole>{_UNSIGNED})?(?P<decimals>\.[0-9]+)"
    rf"|(?P<integer>{_UNSIGNED}))"
    r"(?:(?P<percent>\\?%)|\^\{?\\circ\}?|°)?"
)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox)\{([^{}]*)\}")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]*")


class _PlainNumber(NamedTuple):
    value: Fraction
    decimals: int | None
    """Digits after the decimal point; None for an integer or a fraction, which claim to be exact."""
    percent: bool


def normalize(answer: str) -> str:
    """One spelling for what LaTeX typesets alike: math delimiters, spacing, sizes, ``\\dfrac``, a final full stop go.

    Keeps letters' case and every space that separates letters or digits. Linear in the length.
    """
    answer = _bare(answer)
    for pattern, replacement in _REWRITES:
        answer = pattern.sub(replacement, answer)
    return answer.strip()


def _bare(answer: str) -> str:
    r"""Without a final full stop and without ``$...$``, ``$$...$$``, ``\(...\)`` or ``\[...\]`` around the whole."""
    answer = answer.strip().rstrip(".").rstrip()
    if delimited := _DELIMITED.fullmatch(answer):
        answer = next(group for group in delimited.groups() if group is not None)
    return answer.strip().rstrip(".")


def _plain_number(normalized: str) -> _PlainNumber | None:
    """The number that a normalised text spells out in digits, None for anything else. Evaluates nothing."""
    match = _NUMBER.fullmatch(normalized)
    if match is None:
        return None
    sign = -1 if match["sign"] == "-" else 1
    percent = match["percent"] is not None
    if match["integer"] is not None:
        return _PlainNumber(Fraction(sign * _integer(match["integer"])), None, percent)
    if match["decimals"] is not None:
        digits = match["decimals"][1:]
        value = Fraction(_integer((match["whole"] or "0") + digits), 10 ** len(digits))
        return _PlainNumber(sign * value, len(digits), percent)
    numerator, denominator = (match["numerator"] or match["over"]), (match["denominator"] or match["under"])
    below = _integer(denominator)
    return _PlainNumber(sign * Fraction(_integer(numerator), below), None, percent) if below else None


def _integer(digits: str) -> int:
    return int(digits.strip("{}").replace(",", ""))


def _rounds_to(decimal: _PlainNumber, other: Fraction) -> bool:
    """Whether a decimal is another number correctly rounded, to at least six places of which four are significant."""
    if decimal.decimals is None or decimal.decimals < 6:
        return False
    step = Fraction(1, 10**decimal.decimals)
    return abs(decimal.value) >= 1000 * step and 2 * abs(decimal.value - other) <= step


def _same_number(extracted: _PlainNumber, gold: _PlainNumber) -> bool:
    """Equality of plain numbers: 0.5 = 1/2 = 50%, 20% = 20, 0.333333 = 1/3 but 0.33 is not."""
    if extracted.percent != gold.percent:
        # "What percentage ...?" is answered by 20 as well as by 20%, and a probability by 0.2 as well as by 20%.
        bare, per_cent = (gold, extracted) if extracted.percent else (extracted, gold)
        return bare.value in (per_cent.value, per_cent.value / 100)
    return extracted.value == gold.value or _rounds_to(extracted, gold.value) or _rounds_to(gold, extracted.value)


def _words(normalized: str) -> str | None:
    r"""The words of a text answer in one case, ``\text{(A)}`` as ``a``; None when it is not made of words."""
    wrapped = _WRAPPED.fullmatch(normalized)
    text = (wrapped[1] if wrapped else normalized).strip().strip(".")
    if len(text) == 3 and text[0] == "(" and text[2] == ")":
        text = text[1]
    return text.casefold() if _WORDS.fullmatch(text) else None


def decide_exactly(extracted: str, gold: str) -> bool | None:
    r"""The verdict where it is cheap and certain, None where ``math-verify`` has to look.

    Decided here: equal normalised text; two plain numbers, by exact fractions; two worded answers of which one is
    wrapped in ``\text{}`` (``math-verify`` would multiply their letters); texts beyond ``MAX_ANSWER_CHARACTERS``.
    Never raises, evaluates no power or factorial, linear in the length of the texts.
    """
    if max(len(extracted), len(gold)) > MAX_ANSWER_CHARACTERS:
        return extracted.strip() == gold.strip()
    mine, theirs = normalize(extracted), normalize(gold)
    if not mine or not theirs:
        return extracted.strip() == gold.strip()
    if mine == theirs:
        return True
    my_number, their_number = _plain_number(_unwrapped(mine)), _plain_number(_unwrapped(theirs))
    if my_number is not None and their_number is not None:
        return _same_number(my_number, their_number)
    if _WRAPPED.fullmatch(mine) or _WRAPPED.fullmatch(theirs):
        my_words, their_words = _words(mine), _words(theirs)
        if my_words is not None and their_words is not None:
            return my_words == their_words
    return None


def _unwrapped(normalized: str) -> str:
    wrapped = _WRAPPED.fullmatch(normalized)
    return wrapped[1].strip() if wrapped else normalized


def verify_symbolically(extracted: str, gold: str) -> bool:
    """The verdict of ``math-verify`` alone. May run for any time and take any memory: call it in a killable process.

    Both sides are parsed as the content of one box, so that nothing around them and no second box is read. The
    library's own time limits are off: they rest on SIGALRM, which fails outside a main thread and cannot interrupt
    one long operation on integers. What the library cannot parse or compare is not equal.
    """
    return _math_verify()(extracted, gold)


@lru_cache(maxsize=1)
def _math_verify() -> Callable[[str, str], bool]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time limits are off, as they must be
    targets = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())

    def parsed(answer: str) -> list[Any]:
        box = rf"\boxed{{{_bare(answer)}}}"  # the library reads no number before a final full stop
        found: list[Any] = parse(box, extraction_config=targets, parsing_timeout=None)
        return found

    def compare(extracted: str, gold: str) -> bool:
        # The order matters: the library reads the target in the form that the gold answer has.
        return bool(verify(parsed(gold), parsed(extracted), timeout_seconds=None))

    return compare


def grade_math_answer(extracted: str, gold: str) -> bool:
    """Whether ``extracted`` is the answer ``gold``: the exact path, then ``math-verify`` in this very process.

    Unbounded in time where the exact path cannot decide; ``recipes.grading.math_grader.MathGrader`` bounds it.
    """
    verdict = decide_exactly(extracted, gold)
    return verify_symbolically(extracted, gold) if verdict is None else verdict


def load_comparison() -> Callable[[str, str], bool]:
    """``verify_symbolically``, with ``math-verify`` imported and its parser's tables built (about two seconds)."""
    verify_symbolically(r"\frac{x+1}{\sqrt{2}}", r"\frac{\sqrt{2}(x+1)}{2}")
    return verify_symbolically
