r"""The outer form of an answer: one value, a list, a set, a tuple, an interval, a union, a relation, a matrix, words.

``read`` splits a normalised answer at its outermost brackets, commas and relation signs. It decides nothing about
values: what it does not take apart stays text. Linear in the text for each of at most ``MAX_DEPTH`` levels.
"""

from __future__ import annotations

import itertools
import re
from typing import Literal, NamedTuple, Union

from recipes.grading.math_words import words

MAX_DEPTH = 8
MAX_ITEMS = 60
MAX_SIGNS = 3

Shape = Union["Leaf", "Words", "Items", "UnionOf", "Relation", "Named", "Matrix"]


class Leaf(NamedTuple):
    text: str
    """One value; not further analysed here."""


class Words(NamedTuple):
    text: str
    wrapped: bool
    """Whether the words stood in ``\\text{}``."""


class Items(NamedTuple):
    kind: Literal["list", "set", "tuple"]
    """A bare list "1, 2", a set ``\\{1,2\\}``, or anything in brackets: a tuple, a point or an interval."""
    brackets: str
    """Opening and closing mark of a tuple: "()", "[)" and so on; empty otherwise."""
    items: tuple[Shape, ...]


class UnionOf(NamedTuple):
    parts: tuple[Shape, ...]


class Relation(NamedTuple):
    operators: tuple[str, ...]
    sides: tuple[str, ...]


class Named(NamedTuple):
    """``x = 5`` or ``x \\in [0,1)``: a value with the name it was given."""

    name: str
    value: Shape
    equation: Relation


class Matrix(NamedTuple):
    text: str
    determinant: bool
    rows: tuple[tuple[Shape, ...], ...]


_TOKEN = re.compile(
    r"\\begin\{[a-z*]+\}|\\end\{[a-z*]+\}|\\text\{[^{}]*\}|\\(?:langle|rangle|lfloor|rfloor|lceil|rceil)|\\[A-Za-z]+|\\.|.",
    re.DOTALL,
)
_OPENING = re.compile(r"\\begin|\\\{$|\\(?:langle|lfloor|lceil)$|[(\[{]$")
_CLOSING = re.compile(r"\\end|\\\}$|\\(?:rangle|rfloor|rceil)$|[)\]}]$")
_RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\ne", r"\approx", r"\in", r"\equiv", r"\sim"}
_CONNECTIVE = re.compile(
    r",?\\text\{ ?,? ?(?:and|or|and/or|,) ?,? ?\},?|,? ?(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]) ?,?|;"
)
_OR = re.compile(r"\\text\{ ?or ?\}|(?<![A-Za-z\\])or(?![A-Za-z])")
_LETTER = r"(?:\\(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|phi|rho|sigma|tau|omega|ell|Delta|Omega)|[A-Za-z])"
_SUBSCRIPT = r"(?:_(?:\{[A-Za-z0-9+-]{1,6}\}|[A-Za-z0-9]))?"
_SYMBOL = rf"{_LETTER}'*{_SUBSCRIPT}'*"
_NAME = re.compile(
    rf"{_SYMBOL}(?:\({_SYMBOL}(?:,{_SYMBOL})*\))?|\({_SYMBOL}(?:,{_SYMBOL})+\)|[A-Z]{{2,4}}|m?\\angle ?[A-Z]{{1,3}}"
    rf"|\\(?:overline|vec|overrightarrow)\{{[A-Z]{{1,2}}\}}|\|?[A-Z]{{2}}\|?|P\([^=]{{1,12}}\)|f\([0-9]+\)"
    rf"|\\frac\{{{_SYMBOL}\}}\{{{_SYMBOL}\}}|{_SYMBOL}/{_SYMBOL}"
)
_FUNCTION_NAME = re.compile(rf"(?:[fghFGHpPqQ]|y)(?:\({_SYMBOL}\))?")
_ENVIRONMENT = re.compile(
    r"\\begin\{([a-z]*matrix|array|cases|aligned|align\*?)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}", re.DOTALL
)
_SIGN = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def split_top(text: str, separators: set[str]) -> tuple[list[str], list[str]]:
    """The parts between separators outside all brackets, and the separators. Unbalanced brackets split nothing."""
    parts: list[str] = []
    found: list[str] = []
    current: list[str] = []
    depth = 0
    for token in tokens(text):
        if _OPENING.match(token):
            depth += 1
        elif _CLOSING.match(token):
            depth -= 1
            if depth < 0:
                return [text], []
        elif depth == 0 and token in separators:
            parts.append("".join(current).strip())
            found.append(token)
            current = []
            continue
        current.append(token)
    if depth:
        return [text], []
    parts.append("".join(current).strip())
    return parts, found


def read(normalized: str, depth: int = 0) -> Shape:
    """The shape of a normalised answer. Never raises; deep nesting stays one leaf."""
    text = _without_group(normalized.strip())
    if depth > MAX_DEPTH:
        return Leaf(text)
    return _whole_words(text) or _list(text, depth) or _relation(text, depth) or _value(text, depth)


def _whole_words(text: str) -> Shape | None:
    content = words(text)
    if content is None:
        return None
    return Words(content, "\\text" in text)


def _without_group(text: str) -> str:
    """``{...}`` around the whole means nothing."""
    while text[:1] == "{" and text[-1:] == "}" and _is_bracketed(text):
        text = text[1:-1].strip()
    return text


def _is_bracketed(text: str) -> bool:
    """Whether the first bracket closes with the last token only."""
    depth = 0
    pieces = tokens(text)
    for position, token in enumerate(pieces):
        depth += 1 if _OPENING.match(token) else -1 if _CLOSING.match(token) else 0
        if depth == 0:
            return position == len(pieces) - 1
    return False


def _connected(text: str) -> str:
    r"""``1,2\text{ and }3`` as ``1,2,3``, outside brackets only."""
    if ";" not in text and "and" not in text and "or" not in text:
        return text
    pieces, depth, out = tokens(text), 0, []
    plain: list[str] = []

    def flush() -> None:
        out.append(_CONNECTIVE.sub(",", "".join(plain)))
        plain.clear()

    for token in pieces:
        depth += 1 if _OPENING.match(token) else 0
        if depth == 0:
            plain.append(token)
        else:
            flush()
            out.append(token)
        depth -= 1 if _CLOSING.match(token) else 0
    flush()
    return "".join(out)


def _list(text: str, depth: int) -> Shape | None:
    parts, _ = split_top(_connected(text), {","})
    parts = [part for part in parts if part]
    if not 2 <= len(parts) <= MAX_ITEMS:
        return _signed(text, depth) if len(parts) == 1 and parts[0] == text else None
    items: list[Shape] = []
    for part in parts:
        shape = read(part, depth + 1)
        items.extend(shape.items if isinstance(shape, Items) and shape.kind == "list" else [shape])
    if _OR.search(text) and all(isinstance(item, Relation) for item in items):
        return UnionOf(tuple(items))
    return Items("list", "", tuple(_common_name(items)))


def _common_name(items: list[Shape]) -> list[Shape]:
    """``n = 1, 2, 3`` and ``a = 1, a = 2`` as the values alone."""
    named = [item for item in items if isinstance(item, Named)]
    names = {item.name for item in named}
    if len(names) == 1 and (len(named) == len(items) or (len(named) == 1 and named[0] is items[0])):
        return [item.value if isinstance(item, Named) else item for item in items]
    return items


def _signed(text: str, depth: int) -> Shape | None:
    r"""``a\pm b`` as the list ``a+b, a-b``; independent signs give all combinations, ``\mp`` follows ``\pm``."""
    signs = _SIGN.findall(text)
    if not signs or len(signs) > MAX_SIGNS or split_top(text, _RELATIONS)[1] or text.startswith(r"\{"):
        return None
    if r"\mp" in signs:
        choices = [
            ["+" if sign == r"\pm" else "-" for sign in signs],
            ["-" if sign == r"\pm" else "+" for sign in signs],
        ]
    else:
        choices = [list(choice) for choice in itertools.product("+-", repeat=len(signs))]
    spellings = []
    for choice in choices:
        remaining = iter(choice)
        spellings.append(_SIGN.sub(lambda _, remaining=remaining: next(remaining), text))  # type: ignore[misc]
    return Items("list", "", tuple(read(spelling, depth + 1) for spelling in spellings))


def is_name(text: str) -> bool:
    r"""Whether a left side only names what follows: ``x``, ``f(x)``, ``(x,y)``, ``AB``, ``\text{area}``."""
    text = text.strip()
    if text in ("e", "i", r"\pi"):
        return False
    return bool(_NAME.fullmatch(text)) or (
        "\\text{" in text and not re.search("[0-9]", re.sub(r"_\{?[0-9]+\}?", "", text))
    )


def _relation(text: str, depth: int) -> Shape | None:
    sides, operators = split_top(text, _RELATIONS)
    if not operators or not all(sides[1:]) or len(sides) > 8:
        return None
    relation = Relation(tuple(operators), tuple(sides))
    if operators[0] in ("=", r"\in", r"\approx") and (is_name(sides[0]) or not sides[0]):
        value = _final_side(relation)
        return Named(sides[0], read(value, depth + 1), Relation(("=",), (sides[0], value)))
    if set(operators) == {"="} and len(sides) > 2 and (names := [side for side in sides[:-1] if is_name(side)]):
        return Named(names[0], read(sides[-1], depth + 1), Relation(("=",), (names[0], sides[-1])))
    if operators == ["="] and is_name(sides[1]):
        return Named(sides[1], read(sides[0], depth + 1), relation)
    if operators[0] == r"\approx":
        return read(sides[0], depth + 1)
    if set(operators) == {"=", r"\approx"}:
        return read("=".join(sides[: operators.index(r"\approx") + 1]), depth + 1)
    return relation


def _final_side(relation: Relation) -> str:
    r"""The last side of a chain before it goes on with ``\approx``."""
    end = 1
    while end < len(relation.operators) and relation.operators[end] == "=":
        end += 1
    return relation.sides[end]


def _value(text: str, depth: int) -> Shape:
    parts, unions = split_top(text, {r"\cup"})
    if unions and all(parts):
        return UnionOf(tuple(read(part, depth + 1) for part in parts))
    if matrix := _matrix(text, depth):
        return matrix
    if not _is_bracketed(text):
        return Leaf(text)
    for opening, closing, kind in ((r"\{", r"\}", "set"), (r"\langle", r"\rangle", "tuple")):
        if text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : -len(closing)]
            return _bracketed(inner, kind, "()", depth) or Leaf(text)  # type: ignore[arg-type]
    if text[0] in "([" and text[-1] in ")]":
        brackets = text[0] + text[-1]
        shape = _bracketed(text[1:-1], "tuple", brackets, depth)
        if shape is None:
            return Leaf(text)
        if len(shape.items) == 1:
            (only,) = shape.items
            return only if brackets == "()" and not isinstance(only, (Relation, Leaf)) else Leaf(text)
        return shape
    return Leaf(text)


def _bracketed(inner: str, kind: Literal["set", "tuple"], brackets: str, depth: int) -> Items | None:
    if split_top(inner, {"|", ":"})[1]:
        return None  # a set-builder
    parts = [part for part in split_top(inner, {",", ";"})[0] if part]
    if not parts or len(parts) > MAX_ITEMS:
        return None
    items: list[Shape] = []
    for part in parts:
        shape = read(part, depth + 1)
        items.extend(shape.items if kind == "set" and isinstance(shape, Items) and shape.kind == "list" else [shape])
    return Items(kind, brackets if kind == "tuple" else "", tuple(items))


def _matrix(text: str, depth: int) -> Matrix | None:
    while len(text) > 2 and text[0] in "([|" and text[-1] in ")]|" and "\\begin" in text[:8]:
        text = text[1:-1].strip()
    match = _ENVIRONMENT.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    rows = [row for row in re.split(r"\\\\", match[2]) if row.strip()]
    if len(rows) > MAX_ITEMS:
        return None
    cells = tuple(tuple(read(cell, depth + 1) for cell in row.split("&")) for row in rows)
    return Matrix(text, match[1] == "vmatrix", cells)


def function_like(name: str) -> bool:
    """``f(x)`` and ``y`` name the same thing: the value of the function asked for."""
    return bool(_FUNCTION_NAME.fullmatch(name))
