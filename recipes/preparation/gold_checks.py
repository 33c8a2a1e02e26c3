"""Whether the graders can tell right from wrong by a gold answer: it is right itself, and its values can be read."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

from recipes.grading.graders import Grader
from recipes.grading.math_answers import readings
from recipes.grading.math_compare import tree_of
from recipes.grading.math_numbers import decimal_literal, number_readings
from recipes.grading.math_shapes import Items, Leaf, Matrix, Named, Relation, Shape, UnionOf, Words
from recipes.grading.math_words import quantity, time_of_day
from recipes.records import Problem, Verdict

_BASED = frozenset("0123456789ABCDEFabcdef_{}()-:")


class GoldCheck:
    """What the graders said of one gold answer; some of it may still be under way."""

    def __init__(self, answer: str, grader: Grader) -> None:
        """Args:
        answer: not empty.
        grader: of responses whose thinking need not be closed.
        """
        self._answer = answer
        self._itself = grader.submit(f"</think>\\boxed{{{answer}}}", Problem("", "", answer))
        self._values: list[tuple[str, Future[Verdict]]] = []
        for text in unread_values(answer):
            # In another spelling, so that equal text alone does not decide.
            other = grader.submit(f"</think>\\boxed{{0+{text}}}", Problem("", "", text))
            self._values.append((text, other))

    def defect(self) -> str | None:
        """Why the answer cannot be graded by; waits for the graders. None where it can."""
        found = self._itself.result()
        if not found.correct:
            extracted = "nothing" if found.extracted is None else repr(found.extracted[:60])
            return f"not right against itself: of {self._answer[:60]!r} in a response the grader sees {extracted}"
        for text, verdict in self._values:
            if not verdict.result().correct:
                return f"not readable: of the value {text[:60]!r} the grader would know one spelling alone"
        return None


def unread_values(answer: str) -> list[str]:
    """The single values in an answer that the exact comparison cannot read; none where one reading is read whole."""
    unread: list[str] = []
    for shape in readings(answer):
        found = [text for text in _values(shape) if not _is_read(text)]
        if not found:
            return []
        unread = unread or found
    return unread


def _values(shape: Shape) -> Iterator[str]:
    if isinstance(shape, Leaf):
        yield shape.text
    elif isinstance(shape, Items):
        for item in shape.items:
            yield from _values(item)
    elif isinstance(shape, UnionOf):
        for part in shape.parts:
            yield from _values(part)
    elif isinstance(shape, Relation):
        yield from shape.sides
    elif isinstance(shape, Named):
        yield from _values(shape.value)
    elif isinstance(shape, Matrix):
        for row in shape.rows:
            for entry in row:
                yield from _values(entry)
    else:
        assert isinstance(shape, Words)


def _is_read(text: str) -> bool:
    if time_of_day(text) is not None:
        return True
    core = quantity(text).core
    if core.strip("+-") == r"\infty" or (core and set(core) <= _BASED):  # ratios, and numerals with a base
        return True
    return any(decimal_literal(one) is not None or tree_of(one) is not None for one in number_readings(core))
