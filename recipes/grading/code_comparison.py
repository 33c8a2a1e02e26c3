"""Whether what a program gave is what the test expects. Runs outside the sandbox, on bytes and JSON alone.

Nothing here builds an object that a program chose, hashes by its choice, or does arithmetic on numbers of its choice
beyond what is linear in their length.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from decimal import Context, Decimal, InvalidOperation
from typing import Any

_INTEGER = re.compile(rb"[+-]?(0|[1-9][0-9]*)")
_NUMERAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_EXACT = Context(prec=60, traps=[])
MAX_NUMERAL = 10_000
"""A longer token with a decimal point or exponent is text: no result is measured to so many digits."""


def output_mismatch(found: bytes, expected: str, tolerance: float) -> str | None:
    """None when a program's standard output is the expected one, else where it differs.

    Lines are compared in order, blank ones left out on both sides; a line is its tokens, which white space separates.
    A token matches by ``same_token``.
    """
    theirs, ours = found.split(b"\n"), expected.encode("utf-8", "surrogatepass").split(b"\n")
    if theirs == ours:
        return None
    theirs, ours = [line for line in theirs if line.strip()], [line for line in ours if line.strip()]
    limit = Decimal(repr(tolerance))
    for number, (mine, wanted) in enumerate(zip(theirs, ours, strict=False), 1):
        if mine == wanted:
            continue
        my_tokens, wanted_tokens = mine.split(), wanted.split()
        if len(my_tokens) != len(wanted_tokens):
            return f"line {number}: found {len(my_tokens)} tokens, expected {len(wanted_tokens)}"
        for place, (token, wish) in enumerate(zip(my_tokens, wanted_tokens, strict=True), 1):
            if token != wish and not same_token(token, wish, limit):
                return f"line {number}, token {place}: found {shown(token)}, expected {shown(wish)}"
    if len(theirs) != len(ours):
        return f"found {len(theirs)} lines, expected {len(ours)}"
    return None


def same_token(found: bytes, expected: bytes, tolerance: Decimal) -> bool:
    """Whether one token of an output stands for the expected one.

    Equal text does. An expected integer is matched by the same value however it is written (``3``, ``+3``, ``3.0``,
    ``3e0``), exactly. An expected number with a decimal point or an exponent is matched within
    ``tolerance * max(1, |expected|)``. Digits with a leading zero (``007``, binary strings) are text, as are ``nan``,
    ``inf`` and everything else.
    """
    if found == expected:
        return True
    if _INTEGER.fullmatch(expected):
        if _INTEGER.fullmatch(found):
            return _signed(found) == _signed(expected)
        wanted, mine = _decimal(expected), _decimal(found)
        return wanted is not None and mine is not None and mine == wanted
    wanted, mine = _decimal(expected), _decimal(found)
    if wanted is None or mine is None:
        return False
    return mine == wanted or (bool(tolerance) and _close(mine, wanted, tolerance))


def _signed(integer: bytes) -> tuple[bool, bytes]:
    digits = integer.lstrip(b"+-")
    return integer.startswith(b"-") and digits != b"0", digits


def _decimal(token: bytes) -> Decimal | None:
    if len(token) > MAX_NUMERAL or not _NUMERAL.fullmatch(token):
        return None
    if _LEADING_ZERO.match(token):
        return None
    try:
        return Decimal(token.decode("ascii"))
    except InvalidOperation:
        return None


_LEADING_ZERO = re.compile(rb"[+-]?0[0-9]")


def _close(found: Decimal, expected: Decimal, tolerance: Decimal) -> bool:
    allowed = _EXACT.multiply(tolerance, _EXACT.max(Decimal(1), _EXACT.abs(expected)))
    return _EXACT.compare(_EXACT.abs(_EXACT.subtract(found, expected)), allowed) <= 0


def result_mismatch(result: bytes, expected: Any, tolerance: float, *, wrapped: bool = False) -> str | None:
    """None when an encoded result (``sandboxed.values``) is the expected JSON data, else how it differs.

    Tuples are lists; keys are compared as JSON writes them; integers, strings and booleans by ``==`` as LiveCodeBench
    does (``True == 1``); against an expected float within ``tolerance * max(1, |expected|)``. Anything that is no JSON
    data (a set, an object of the program's own) is no result. ``wrapped``: ``[x]`` expects ``x`` as well.
    """
    try:
        reference, nodes = json.loads(result)
        if type(nodes) is not list:
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        return "the process wrote what is no result"
    table = _Table(nodes)
    mismatch = _mismatch(table, reference, expected, tolerance)
    if mismatch is not None and wrapped and isinstance(expected, list) and len(expected) == 1:
        return mismatch if _mismatch(table, reference, expected[0], tolerance) else None
    return mismatch


class _Table:
    """The nodes of a result, read one by one. What it does never exceeds what the walk asks for."""

    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = nodes
        self._integers: dict[int, int] = {}

    def look(self, reference: Any) -> tuple[str, Any]:
        """The kind behind an atom or reference, and its value, its parts, or None. Raises for a malformed one."""
        for _ in range(4):  # "same" nodes may follow each other, though an honest writer makes one
            if type(reference) is dict:
                raise ValueError
            if type(reference) is not list:
                return "atom", reference
            (number,) = reference
            if type(number) is not int or number < 0:
                raise ValueError
            node: list[Any] = [*self._nodes[number], None]
            tag, content = node[:2]
            if tag == "same":
                reference = content
            elif tag == "int":
                if number not in self._integers:
                    self._integers[number] = int(content, 16)
                return "atom", self._integers[number]
            elif type(tag) is not str or (tag in _PARTED and type(content) is not list):
                break
            else:
                return _PARTED.get(tag, tag), content
        raise ValueError

    def keys(self, parts: list[Any]) -> dict[str, Any]:
        """The values of a dict node by the keys that JSON writes. Raises for a malformed one."""
        values = {}
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            kind, name = self.look(key)
            if kind != "atom":
                raise ValueError
            values[name if type(name) is str else json.dumps(name)] = value
        return values


_PARTED = {"list": "list", "tuple": "list"} | dict.fromkeys(("dict", "Counter", "OrderedDict", "defaultdict"), "dict")
_MALFORMED = (ValueError, TypeError, IndexError, KeyError)


def _mismatch(table: _Table, reference: Any, expected: Any, tolerance: float) -> str | None:
    """Walks along the expected value, so that no cycle, depth or sharing of the found one costs anything."""
    waiting: list[tuple[Any, Any, str]] = [(reference, expected, "result")]
    while waiting:
        found, wanted, where = waiting.pop()
        try:
            kind, content = table.look(found)
            if isinstance(wanted, list):
                if kind != "list":
                    return f"{where}: found {_described(kind, content)}, expected a list"
                if len(content) != len(wanted):
                    return f"{where}: found {len(content)} items, expected {len(wanted)}"
                if content != wanted or any(type(item) is list for item in content):
                    waiting.extend((content[i], wanted[i], f"{where}[{i}]") for i in reversed(range(len(wanted))))
            elif isinstance(wanted, dict):
                if kind != "dict":
                    return f"{where}: found {_described(kind, content)}, expected an object"
                values = table.keys(content) if len(content) == 2 * len(wanted) else None
                if values is None or values.keys() != wanted.keys():
                    return f"{where}: found other keys than expected"
                waiting.extend((values[key], value, f"{where}[{key!r}]") for key, value in wanted.items())
            elif kind != "atom" or not _same_atom(content, wanted, tolerance):
                return f"{where}: found {_described(kind, content)}, expected {shown(wanted)}"
        except _MALFORMED:
            return f"{where}: the process wrote what is no result"
    return None


def _same_atom(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(found, (int, float)) and math.isfinite(expected):
        try:
            return found == expected or abs(float(found) - expected) <= tolerance * max(1.0, abs(expected))
        except OverflowError:
            return False
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return found == expected
    return type(found) is type(expected) and bool(found == expected)


def _described(kind: str, content: Any) -> str:
    return shown(content) if kind == "atom" else f"a value of type {kind[:40]}"


def shown(value: Any, length: int = 60) -> str:
    """A value as text of at most about ``length`` characters, at no more cost than that."""
    if isinstance(value, bytes):
        value = value[: 4 * length].decode("utf-8", "replace")
    if isinstance(value, str):
        return repr(value[:length]) + ("..." if len(value) > length else "")
    if isinstance(value, int) and abs(value) >= 1 << 200:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (list, dict)):
        value = reprlib.repr(value)
        return value[:length] + ("..." if len(value) > length else "")
    return repr(value)[:length]
