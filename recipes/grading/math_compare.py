"""Two answers' shapes side by side: every outer form has its rule, values go to ``math_values``.

Every comparison returns True, False, or None where nobody here can read one of the values. A function handed in as
``undecided`` has the last word on such a pair of values; the rules about lists, intervals and units stay ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from recipes.grading.math_expression import Ambiguous, Node, NotAnExpression, parse_expression
from recipes.grading.math_numbers import decimal_literal, number_readings, same_decimal
from recipes.grading.math_shapes import (
    Items,
    Leaf,
    Matrix,
    Named,
    Relation,
    Shape,
    UnionOf,
    Words,
    function_like,
    is_name,
)
from recipes.grading.math_values import decimal_rounds, proportional, same_value, symbols
from recipes.grading.math_words import number_word, quantity, time_of_day, units_agree, words

Undecided = Callable[[str, str], "bool | None"]

_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le", "=": "=", r"\ne": r"\ne"}
_INFINITY = re.compile(r"([+-]?)\\infty")
_BASED = re.compile(r"\(?(-?[0-9A-Fa-f]+)\)?_(?:\{?([0-9]{1,2})\}?|\{?\\text\{[^{}]*\}\}?)")
_RATIO = re.compile(r"([0-9]+):([0-9]+)")


def same_shape(mine: Shape, gold: Shape, undecided: Undecided) -> bool | None:
    """Whether two shapes are one answer."""
    for one, other, swapped in ((mine, gold, False), (gold, mine, True)):
        rule = _RULES.get(type(one))
        if rule is not None:
            verdict = rule(one, other, (lambda a, b: undecided(b, a)) if swapped else undecided)
            if verdict is not NotImplemented:
                return verdict
    return isinstance(mine, Leaf) and isinstance(gold, Leaf) and same_leaf(mine.text, gold.text, undecided)


def _text(shape: Shape) -> str:
    return shape.text if isinstance(shape, (Leaf, Words)) else ""


def _named(one: Named, other: Shape, undecided: Undecided) -> bool | None:
    if isinstance(other, Named):
        if one.name == other.name or (function_like(one.name) and function_like(other.name)):
            return same_shape(one.value, other.value, undecided)
        if "\\text" in one.name + other.name or not one.name or not other.name:
            return same_shape(one.value, other.value, undecided)
        return _relations(one.equation, other.equation, undecided)
    if isinstance(other, Relation) and not (interval := _interval(other)):
        return _relations(one.equation, other, undecided)
    return same_shape(one.value, interval if isinstance(other, Relation) else other, undecided)  # type: ignore[arg-type]


def _relation(one: Relation, other: Shape, undecided: Undecided) -> bool | None:
    if isinstance(other, Relation):
        verdict = _relations(one, other, undecided)
        if verdict:
            return True
        mine, theirs = _interval(one), _interval(other)
        return same_shape(mine, theirs, undecided) if mine and theirs else verdict
    if isinstance(other, (Items, UnionOf)) and (interval := _interval(one)):
        return same_shape(interval, other, undecided)
    if isinstance(other, Named):
        return NotImplemented
    if isinstance(other, Leaf) and set(one.operators) == {"="} and not any(map(_symbols_of, one.sides)):
        return same_leaf(one.sides[-1], other.text, undecided)  # 2 + 3 = 5
    return False


def _relations(one: Relation, other: Relation, undecided: Undecided) -> bool | None:
    """Relations that say the same: equal sides, turned around, or both sides moved to one and scaled."""
    for candidate in (other, Relation(tuple(_FLIPPED.get(o, "") for o in other.operators[::-1]), other.sides[::-1])):
        if one.operators == candidate.operators:
            verdicts = [same_leaf(a, b, undecided) for a, b in zip(one.sides, candidate.sides, strict=True)]
            if all(verdicts):
                return True
    if len(one.operators) != 1 or len(other.operators) != 1:
        return False
    operator, mine = _difference(one)
    operator_there, theirs = _difference(other)
    if operator != operator_there:
        return False
    if mine is None or theirs is None:
        return None
    solved = [is_name(side) for side in (*one.sides, *other.sides)]
    if operator == "=" and len(symbols(mine) | symbols(theirs)) == 1 and any(solved[:2]) != any(solved[2:]):
        return False  # 2x = 10 has not been solved for x
    return proportional(mine, theirs, positively=operator in ("<", r"\le"))


def _difference(relation: Relation) -> tuple[str, Node | None]:
    """The relation as ``tree operator 0`` with ``<``, ``\\le``, ``=`` or ``\\ne``."""
    (operator,), (left, right) = relation.operators, relation.sides
    if operator in (">", r"\ge"):
        operator, left, right = _FLIPPED[operator], right, left
    a, b = tree_of(left), tree_of(right)
    return operator, Node("add", (a, Node("negative", (b,)))) if a and b else None


def _interval(relation: Relation) -> Shape | None:
    r"""``a \le x < b`` as ``[a,b)``, ``x > a`` as ``(a,\infty)``; None for any other relation."""
    operators, sides = relation.operators, relation.sides
    if operators and operators[0] in (">", r"\ge"):
        operators, sides = tuple(_FLIPPED.get(o, "") for o in operators[::-1]), sides[::-1]
    if not set(operators) <= {"<", r"\le"}:
        return None
    if len(operators) == 2 and is_name(sides[1]):
        low, high = sides[0], sides[2]
        brackets = ("[" if operators[0] == r"\le" else "(") + ("]" if operators[1] == r"\le" else ")")
    elif len(operators) == 1 and is_name(sides[0]):
        low, high, brackets = r"-\infty", sides[1], "(" + ("]" if operators[0] == r"\le" else ")")
    elif len(operators) == 1 and is_name(sides[1]):
        low, high, brackets = sides[0], r"\infty", ("[" if operators[0] == r"\le" else "(") + ")"
    else:
        return None
    return Items("tuple", brackets, (Leaf(low), Leaf(high)))


def _items(one: Items, other: Shape, undecided: Undecided) -> bool | None:
    if isinstance(other, Matrix):
        return _vector(one, other, undecided)
    if isinstance(other, UnionOf):
        return _union(other, one, undecided) if one.kind == "set" else False
    if not isinstance(other, Items):
        return _solitary(one, other, undecided)
    kinds = {one.kind, other.kind}
    if kinds == {"set", "tuple"}:
        return False
    if kinds == {"tuple"}:
        same_brackets = one.brackets == other.brackets
        if not same_brackets and (len(one.items) == 2 or {one.brackets, other.brackets} - {"()", "[]"}):
            return False  # [1,2] is no (1,2), but of three numbers both are the same triple
        return _ordered(one.items, other.items, undecided)
    if "tuple" in kinds:
        bracketed = one if one.kind == "tuple" else other
        if bracketed.brackets != "()" or any(isinstance(item, Items) for item in (*one.items, *other.items)):
            return _listed(one.items, other.items, undecided) if kinds == {"list"} else False
        return _ordered(_values(one.items), _values(other.items), undecided)
    return _listed(one.items, other.items, undecided, distinct="set" in kinds)


def _solitary(one: Items, other: Shape, undecided: Undecided) -> bool | None:
    """A set of one element is that element."""
    if isinstance(other, Named):
        return NotImplemented
    if one.kind == "tuple" or len(one.items) != 1:
        return False
    return same_shape(one.items[0], other, undecided)


def _values(items: Sequence[Shape]) -> tuple[Shape, ...]:
    """``x = 1, y = 2`` as ``1, 2``."""
    return tuple(item.value if isinstance(item, Named) else item for item in items)


def _listed(
    one: Sequence[Shape], other: Sequence[Shape], undecided: Undecided, *, distinct: bool = False
) -> bool | None:
    """Order free, except that ``x = 1, y = 2`` names the order that ``1, 2`` has to follow."""
    named = [[isinstance(item, Named) for item in items] for items in (one, other)]
    if all(named[0]) != all(named[1]) and (all(named[0]) or all(named[1])):
        return _ordered(_values(one), _values(other), undecided)
    return _unordered(one, other, undecided, distinct=distinct)


def _ordered(one: Sequence[Shape], other: Sequence[Shape], undecided: Undecided) -> bool | None:
    if len(one) != len(other):
        return False
    return _all([same_shape(a, b, undecided) for a, b in zip(one, other, strict=True)])


def _unordered(
    one: Sequence[Shape], other: Sequence[Shape], undecided: Undecided, *, distinct: bool = False
) -> bool | None:
    """Every item has its own partner; in sets repeated items count once."""
    if not distinct and len(one) != len(other):
        return False
    unsure = False
    for items, partners, single in ((one, list(other), not distinct), (other, list(one), False)):
        for item in items:
            verdicts = []
            for partner in partners:
                verdicts.append(
                    same_shape(item, partner, undecided if items is one else (lambda a, b: undecided(b, a)))
                )
                if verdicts[-1]:
                    break
            if verdicts and verdicts[-1]:
                if single:
                    partners.pop(len(verdicts) - 1)
            elif None in verdicts:
                unsure = True
            else:
                return False
        if single:
            break
    return None if unsure else True


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    return False if False in verdicts else None if None in verdicts else True


def _union(one: UnionOf, other: Shape, undecided: Undecided) -> bool | None:
    if isinstance(other, Named):
        return NotImplemented
    mine = [_interval(part) or part if isinstance(part, Relation) else part for part in one.parts]
    others = other.parts if isinstance(other, UnionOf) else (other,)
    theirs = [_interval(part) or part if isinstance(part, Relation) else part for part in others]
    return _unordered(_merged_sets(mine), _merged_sets(theirs), undecided)


def _merged_sets(parts: Sequence[Shape]) -> list[Shape]:
    r"""``\{1\}\cup\{2\}`` as ``\{1,2\}``."""
    points = [item for part in parts if isinstance(part, Items) and part.kind == "set" for item in part.items]
    rest = [part for part in parts if not (isinstance(part, Items) and part.kind == "set")]
    return [*rest, Items("set", "", tuple(points))] if points else rest


def _matrix(one: Matrix, other: Shape, undecided: Undecided) -> bool | None:
    if isinstance(other, Items):
        return _vector(other, one, undecided)
    if not isinstance(other, Matrix):
        return undecided(one.text, other.text) if isinstance(other, Leaf) and tree_of(other.text) is None else False
    if one.determinant != other.determinant or [len(row) for row in one.rows] != [len(row) for row in other.rows]:
        return False
    return _all([_ordered(mine, theirs, undecided) for mine, theirs in zip(one.rows, other.rows, strict=True)])


def _vector(items: Items, matrix: Matrix, undecided: Undecided) -> bool | None:
    """A column or a row of a matrix is the tuple of its entries."""
    cells = [cell for row in matrix.rows for cell in row]
    line = len(matrix.rows) == 1 or all(len(row) == 1 for row in matrix.rows)
    if not line or items.kind != "tuple" or items.brackets not in ("()", "[]") or matrix.determinant:
        return False
    return _ordered(items.items, cells, undecided)


def _words(one: Words, other: Shape, undecided: Undecided) -> bool | None:
    theirs = other.text if isinstance(other, Words) else words(rf"\text{{{_text(other)}}}")
    if theirs is not None:
        return _same_words(one.text, theirs)
    value = number_word(one.text)
    if isinstance(other, Leaf) and value is not None:
        return same_leaf(str(value), other.text, undecided)
    return None if isinstance(other, Leaf) and "\\text" in other.text else False


def _same_words(one: str, other: str) -> bool:
    articles = re.compile(r"^(?:the|a|an) ")
    return articles.sub("", one) == articles.sub("", other) if min(len(one), len(other)) > 1 else one == other


_RULES: dict[type, Callable[..., bool | None]] = {
    Named: _named,
    Relation: _relation,
    Matrix: _matrix,
    UnionOf: _union,
    Items: _items,
    Words: _words,
}


def _symbols_of(text: str) -> bool:
    tree = tree_of(text)
    return tree is None or bool(symbols(tree))


def tree_of(text: str) -> Node | None:
    """The expression tree of a normalised text, None when it is none."""
    return _parsed(text)[0]


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[Node | None, bool]:
    """The tree, and whether there is none because the text could be read in two ways."""
    try:
        return parse_expression(text), False
    except NotAnExpression as error:
        return None, isinstance(error, Ambiguous)


def same_leaf(mine: str, gold: str, undecided: Undecided) -> bool | None:
    """Whether two single values are one."""
    if mine == gold:
        return True
    times = (time_of_day(mine), time_of_day(gold))
    if None not in times:
        return times[0] == times[1]
    if times != (None, None) and not (_RATIO.fullmatch(mine) or _RATIO.fullmatch(gold)):
        return False
    my_quantity, their_quantity = quantity(mine), quantity(gold)
    if not units_agree(my_quantity.unit, their_quantity.unit):
        return False
    if not my_quantity.core or not their_quantity.core:
        return False
    percents = (my_quantity.unit == "percent", their_quantity.unit == "percent")
    if percents[0] != percents[1]:
        # "What percentage ...?" is answered by 20 as well as by 20%, and a probability by 0.2 as well as by 20%.
        percent, bare = (
            (my_quantity.core, their_quantity.core) if percents[0] else (their_quantity.core, my_quantity.core)
        )
        verdicts = [_same_core(percent, bare, undecided), _same_core(rf"\frac{{{percent}}}{{100}}", bare, undecided)]
        return True if True in verdicts else None if None in verdicts else False
    return _same_core(my_quantity.core, their_quantity.core, undecided)


def _same_core(mine: str, gold: str, undecided: Undecided) -> bool | None:
    if mine == gold:
        return True
    if (infinities := [_INFINITY.fullmatch(text) for text in (mine, gold)]) != [None, None]:
        signs = [match[1].replace("+", "") if match else None for match in infinities]
        return signs[0] == signs[1]
    if (verdict := _notated(mine, gold)) is not None:
        return verdict
    verdict = False
    for one in number_readings(mine):
        for other in number_readings(gold):
            result = _same_number(one, other, undecided)
            if result:
                return True
            verdict = None if result is None else verdict
    return verdict


def _notated(mine: str, gold: str) -> bool | None:
    """Ratios and numerals with a base; None when neither is one."""
    if ratios := [_RATIO.fullmatch(text) for text in (mine, gold)]:
        found = [match for match in ratios if match]
        if len(found) == 2:
            return mine == gold
        if found:
            fraction, other = tree_of(rf"\frac{{{found[0][1]}}}{{{found[0][2]}}}"), tree_of(gold if ratios[0] else mine)
            return (
                fraction is not None
                and other is not None
                and other.kind == "divide"
                and bool(same_value(fraction, other))
            )
    based = [_BASED.fullmatch(text) for text in (mine, gold)]
    if all(based):
        return based[0].groups() == based[1].groups()  # type: ignore[union-attr]
    if any(based):
        digits, plain = (based[0][1], gold) if based[0] else (based[1][1], mine)  # type: ignore[index]
        return re.sub("^(-?)0+", r"\1", digits) == re.sub("^(-?)0+", r"\1", plain)
    return None


def _same_number(mine: str, gold: str, undecided: Undecided) -> bool | None:
    my_decimal, their_decimal = decimal_literal(mine), decimal_literal(gold)
    if my_decimal and their_decimal:
        return same_decimal(my_decimal, their_decimal)
    one, other = tree_of(mine), tree_of(gold)
    if one is None or other is None:
        return False if _parsed(mine)[1] or _parsed(gold)[1] else undecided(mine, gold)
    verdict = same_value(one, other)
    if verdict is False:
        return any(
            decimal is not None and decimal.precise and decimal_rounds(decimal.value, decimal.step, exact)
            for decimal, exact in ((my_decimal, other), (their_decimal, one))
        )
    return bool(verdict)
