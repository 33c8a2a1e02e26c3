r"""Whether an extracted answer equals the gold answer. The rules in plain words, with examples: ``POLICY.md``.

Two steps. ``decide_exactly`` is bounded and safe anywhere: it reads the forms of both answers (``math_shapes``) and
compares their values (``math_values``) without evaluating anything that could grow. Where it cannot read a value, a
symbolic comparison by the library ``math-verify`` decides about that value. It may run for long on a hostile answer and
belongs into a process that can be killed (``recipes.grading.worker_pool``); it is imported on first use only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from recipes.grading.extraction import last_boxed
from recipes.grading.math_compare import Undecided, same_shape
from recipes.grading.math_guard import may_explode
from recipes.grading.math_numbers import decimal_comma, without_thousands
from recipes.grading.math_shapes import Shape, read
from recipes.grading.math_text import math_segments, normalize, without_segments
from recipes.grading.math_words import words

MAX_ANSWER_CHARACTERS = 1_000
"""A longer text is no final answer: it equals the gold answer as text or not at all."""
MAX_PROSE_CHARACTERS = 20_000
"""A text beyond is not even searched for a final "the answer is ..."."""

_PROSE = re.compile(r"[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_CONNECTIVES = re.compile(r"[\s,;.]*(?:\b(?:and|or)\b[\s,;.]*)*")
_LABEL = re.compile(r"\\text\{ ?\(([A-Z])\)[ .:]*\}(.+)")
_INTRODUCTION = re.compile(r".*\\text\{[^{}]*(?:\bis\b|\bare\b|\bequals\b|[:=]) ?\}(.+)", re.DOTALL)
_SENTENCE = re.compile(r"[A-Z][A-Za-z ]*? (?:is|are|equals)(?: equal to)?:? ?([^A-Za-z].*)", re.DOTALL)
_ALL_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_FINAL_ANSWER = re.compile(r"([^.\n]{0,80})\banswer(?: is|:)\s*:?\s*((?:[^.\n]|\.(?=\S))+)", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|no|never|cannot|isn't|aren't|don't|doesn't)\b", re.IGNORECASE)


def decide_exactly(extracted: str, gold: str | Sequence[str]) -> bool | None:
    """The verdict where it is cheap and certain, None where ``math-verify`` has to look.

    ``gold`` may be a sequence of acceptable answers, of which any suffices. Never raises; takes milliseconds, also on
    hostile texts. An empty gold answer equals nothing.
    """
    try:
        return _any(_decide(extracted, answer, _left_open) for answer in _golds(gold))
    except Exception:  # a fault here must not end a training; the worker meets it again and reports an "error"
        return None


def verify_symbolically(extracted: str, gold: str | Sequence[str]) -> bool:
    """The verdict with the help of ``math-verify``. May take any time: call it in a killable process.

    The library sees single values only, never a whole list or two boxes, nothing that could explode, and its verdict
    on two numbers counts only when they agree to 30 digits. What it cannot parse or compare is not equal. Its own time
    limits are off: they rest on SIGALRM, which fails outside a main thread and cannot interrupt one long operation.
    """
    return bool(_any(_decide(extracted, answer, _by_library) for answer in _golds(gold)))


def grade_math_answer(extracted: str, gold: str | Sequence[str]) -> bool:
    """Whether ``extracted`` is the answer ``gold``, or one of them: the exact path, then ``math-verify`` right here.

    Unbounded in time where the exact path cannot decide; ``recipes.grading.math_grader.MathGrader`` bounds it.
    """
    verdict = decide_exactly(extracted, gold)
    return verify_symbolically(extracted, gold) if verdict is None else verdict


def load_comparison() -> Callable[[str, str | Sequence[str]], bool]:
    """``verify_symbolically``, with ``math-verify`` imported and its parser's tables built (about two seconds)."""
    _by_library(r"\frac{x+1}{\sqrt{2}}", r"\frac{\sqrt{2}(x+1)}{2}")
    return verify_symbolically


def _golds(gold: str | Sequence[str]) -> Sequence[str]:
    return (gold,) if isinstance(gold, str) else gold


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    found: bool | None = False
    for verdict in verdicts:
        if verdict:
            return True
        found = None if verdict is None else found
    return found


def _decide(extracted: str, gold: str, undecided: Undecided) -> bool | None:
    mine, theirs = _essence(extracted), _essence(gold)
    if not mine or not theirs:
        return False
    if mine == theirs:
        return True
    if max(len(mine), len(theirs)) > MAX_ANSWER_CHARACTERS:
        return False
    my_readings, their_readings = readings(mine), readings(theirs)
    return _any(same_shape(one, other, undecided) for one in my_readings for other in their_readings)


def readings(answer: str) -> list[Shape]:
    """What an answer may mean, most literal first: ``1,234`` as a list and as a number, ``(C) 12`` as C and as 12."""
    text = normalize(_essence(answer))
    spellings = [text] if text else []
    if (unwrapped := _ALL_TEXT.fullmatch(text)) and words(text) is None:
        text = normalize(unwrapped[1])
        spellings = [text] if text else []
    if not _DENIAL.search(text):
        for introduction in (_INTRODUCTION, _SENTENCE):
            if (found := introduction.fullmatch(text)) and not _PROSE.search(_COMMAND.sub("", found[1])):
                spellings.append(found[1])
    if label := _LABEL.fullmatch(text):
        spellings += [label[1], label[2]]
    for spelling in tuple(spellings):
        spellings += [without_thousands(spelling), decimal_comma(spelling) or spelling]
    return [read(spelling) for spelling in dict.fromkeys(spellings)]


def _essence(answer: str) -> str:
    r"""The answer within an answer: the content of ``\boxed{}``, the mathematics of a sentence."""
    answer = answer.strip()
    if len(answer) > MAX_PROSE_CHARACTERS:
        return answer
    if "boxed" in answer and (boxed := last_boxed(answer)):
        return boxed
    around = without_segments(answer)
    if not around.strip(" .,;:!?*\n"):
        return answer
    if "nswer" in answer and (stated := _FINAL_ANSWER.findall(answer)) and not any(map(_DENIAL.search, stated[-1])):
        return _essence(stated[-1][1].strip())
    segments = math_segments(answer)
    if segments and _CONNECTIVES.fullmatch(around):
        return ", ".join(segments)
    if len(segments) != 1 or not segments[0] or _DENIAL.search(around) or re.search("[0-9]", around):
        return answer
    before, after = (part.strip("$()[]\\ .*\n") for part in answer.split(segments[0], 1))
    if _PROSE.search(before) or not _PROSE.search(after):
        return segments[0] + (after if not _PROSE.search(after) else "")
    return rf"{segments[0]} \text{{ {after}}}"


def _left_open(mine: str, gold: str) -> bool | None:
    return False if may_explode(mine) or may_explode(gold) else None


def _by_library(mine: str, gold: str) -> bool:
    if may_explode(mine) or may_explode(gold):
        return False
    try:
        return _math_verify()(mine, gold)
    except Exception:  # a parser for arbitrary text raises arbitrary errors; a pair it cannot compare is not equal
        return False


@lru_cache(maxsize=1)
def _math_verify() -> Callable[[str, str], bool]:
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Basic, Expr, MatrixBase

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time limits are off, as they must be
    targets = (LatexExtractionConfig(boxed_match_priority=0),)

    def parsed(answer: str) -> list[Any]:
        found: list[Any] = parse(
            rf"\boxed{{{answer}}}", extraction_config=targets, parsing_timeout=None, fallback_mode="no_fallback"
        )
        return [value for value in found if isinstance(value, (Basic, MatrixBase))]

    def compare(mine: str, gold: str) -> bool:
        # The order matters: the library reads the target in the form that the gold answer has.
        theirs, ours = parsed(gold), parsed(mine)
        if not theirs or not ours or not verify(theirs, ours, timeout_seconds=None):
            return False
        numbers = [value for value in (theirs[0], ours[0]) if isinstance(value, Expr) and value.is_number]
        return len(numbers) < 2 or bool(abs((numbers[0] - numbers[1]).evalf(30)) <= 1e-20 * abs(numbers[0].evalf(30)))

    return compare
