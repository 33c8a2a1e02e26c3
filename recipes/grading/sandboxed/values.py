"""Python values as flat JSON, between a program and those who judge it.

What a program's process writes is data to be checked, never an instruction. So the reader builds plain data and
instances of its own classes; everything else stays a numbered handle of the side that has it. ``pickle`` or ``marshal``
would let the writer choose what the reader executes.

A value is a table of nodes that do not nest, so that neither depth nor cycles cost recursion::

    atom    null, true, false, a string, a float (NaN and Infinity as json spells them), an integer below 2**63
    [n]     a reference to node n; equal numbers are the same object
    node    ["list", [atom or reference, ...]], ["dict", [key, value, key, value, ...]], ["int", "0x..."], ...

Standard library only: this file is read inside the sandbox too.
"""

from __future__ import annotations

import binascii
import builtins
import itertools
import sys

TYPE_CHECKING = False  # typing's own takes longer to import than everything here
if TYPE_CHECKING:
    from collections import OrderedDict, defaultdict, deque
    from collections.abc import Callable, Iterable
    from typing import Any

    Node = list[Any]
    Export = Callable[["Encoder", Any], Node]
else:
    from _collections import OrderedDict, defaultdict, deque  # the package takes as long to import as a test to run

MAX_ITEMS = 1_000_000
"""An iterator is read up to here: a generator without end is no value."""

_ATOMS = frozenset({type(None), bool, str, float})
_SMALL = 1 << 63
_UNBUILT: Any = object()
_VIEWS = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}
_FACTORIES: dict[str, type] = {kind.__name__: kind for kind in (int, float, str, bool, list, dict, set, tuple)}


class Malformed(Exception):
    """A message that no honest writer sends."""


class Unsendable(Exception):
    """A value that cannot travel, for instance an iterator without end."""


def refuse(encoder: Encoder, value: Any) -> Node:
    """The ``Export`` of a side that sends plain data only. Raises Unsendable."""
    raise Unsendable(f"a value of type {type(value).__name__!r} is no plain data")


class Encoder:
    """Turns values into nodes. ``nodes[i]`` is number ``first + i``; ``known`` are objects that the reader has already.

    ``export`` gives the node for what is no plain data: ``["handle", 3]``, or ``object_node`` for an instance to be
    copied. An instance of a subclass of a plain type is read by the methods of the plain type: none of its own runs.
    """

    def __init__(self, export: Export = refuse, known: Iterable[Any] = ()) -> None:
        self._export = export
        self.objects = list(known)
        """The object behind every number, the known ones first. Holding them keeps their ids theirs."""
        self._numbers = {id(value): number for number, value in enumerate(self.objects)}
        self.first = len(self.objects)
        self.nodes: list[Any] = []
        self._pending: list[int] = []

    def add(self, value: Any) -> Any:
        """The atom or reference for a value; its nodes are complete when this returns. Raises Unsendable."""
        reference = self._reference(value)
        self._finish()
        return reference

    def content(self, known: int) -> Node:
        """The node of a known object as it is now; new parts of it are added. Raises Unsendable."""
        node = self._node(self.objects[known])
        self._finish()
        return node

    def object_node(self, name: str, attributes: dict[str, Any]) -> Node:
        """For an ``Export``: the node of an instance that the reader rebuilds with its own class of this name."""
        return ["object", name, self._references(itertools.chain.from_iterable(attributes.items()))]

    def _finish(self) -> None:
        while self._pending:
            number = self._pending.pop()
            self.nodes[number - self.first] = self._node(self.objects[number])

    def _reference(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS or (kind is int and -_SMALL < value < _SMALL):
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.objects)
            self.objects.append(value)
            self.nodes.append(None)
            self._pending.append(number)
        return [number]

    def _references(self, values: Iterable[Any]) -> list[Any]:
        reference = self._reference
        return [value if type(value) in _ATOMS else reference(value) for value in values]

    def _node(self, value: Any) -> Node:
        for base, node in _BASES:
            if isinstance(value, base):
                return node(self, value)
        kind = type(value)
        rare = _RARE.get(kind.__name__)
        if rare is not None and kind is _its_class(kind.__name__):
            return rare(self, value)
        if kind is type and getattr(builtins, type.__getattribute__(value, "__name__"), None) is value:
            return ["builtin", type.__getattribute__(value, "__name__")]
        if kind.__module__ in ("builtins", "itertools") and (kind in _VIEWS or hasattr(kind, "__next__")):
            items = list(itertools.islice(value, MAX_ITEMS + 1))
            if len(items) > MAX_ITEMS:
                raise Unsendable(f"an iterator of more than {MAX_ITEMS:,} items")
            return [_VIEWS.get(kind, "iterator"), self._references(items)]
        if kind.__module__ == "numpy" and hasattr(value, "tolist"):
            plain = value.tolist()  # an array as lists, a number of numpy as the number
            return ["same", self._reference(plain)]
        return self._export(self, value)

    def _integer(self, value: int) -> Node:
        exact = int.__index__(value)
        return ["same", exact] if -_SMALL < exact < _SMALL else ["int", hex(exact)]

    def _dictionary(self, value: dict[Any, Any]) -> Node:
        kind = type(value)
        pairs = self._references(itertools.chain.from_iterable(dict.items(value)))
        if kind is defaultdict:
            factory = value.default_factory  # type: ignore[attr-defined]
            name = getattr(factory, "__name__", "")
            return ["defaultdict", pairs, name if _FACTORIES.get(name) is factory else None]
        if kind is OrderedDict or kind is _its_class("Counter"):
            return [kind.__name__, pairs]
        return ["dict", pairs]


_MODULES = {
    **{"range": "builtins", "complex": "builtins", "ellipsis": "types", "Counter": "collections"},
    **{"Decimal": "decimal", "Fraction": "fractions"},
    **dict.fromkeys(("datetime", "date", "time", "timedelta"), "datetime"),
}


def _its_class(name: str) -> Any:
    """A class of the standard library where its module is loaded: else nothing can be an instance of it."""
    return type(...) if name == "ellipsis" else getattr(sys.modules.get(_MODULES[name]), name, None)


def _class(name: str) -> Any:
    return getattr(__import__(_MODULES[name]), name)


def _sequence(base: Any) -> Callable[[Encoder, Any], Node]:
    return lambda encoder, value: [base.__name__, encoder._references(base.__iter__(value))]


def _bytes(base: Any) -> Callable[[Encoder, Any], Node]:
    return lambda _, value: [base.__name__, binascii.b2a_base64(memoryview(value), newline=False).decode("ascii")]


def _iso(_: Encoder, value: Any) -> Node:
    return [type(value).__name__, value.isoformat()]


_BASES: tuple[tuple[type, Callable[[Encoder, Any], Node]], ...] = (
    (list, _sequence(list)),
    (dict, Encoder._dictionary),
    (tuple, _sequence(tuple)),
    (int, Encoder._integer),
    (float, lambda _, value: ["same", float.__float__(value)]),
    (str, lambda _, value: ["same", str.__str__(value)]),
    (set, _sequence(set)),
    (frozenset, _sequence(frozenset)),
    (bytes, _bytes(bytes)),
    (bytearray, _bytes(bytearray)),
    (deque, lambda encoder, value: ["deque", encoder._references(deque.__iter__(value)), value.maxlen]),
)
_RARE: dict[str, Callable[[Encoder, Any], Node]] = {
    "range": lambda encoder, value: ["range", encoder._references((value.start, value.stop, value.step))],
    "complex": lambda _, value: ["complex", value.real.hex(), value.imag.hex()],
    "Decimal": lambda _, value: ["Decimal", str(value)],
    "Fraction": lambda _, value: ["Fraction", hex(value.numerator), hex(value.denominator)],
    "datetime": _iso,
    "date": _iso,
    "time": _iso,
    "timedelta": lambda _, value: ["timedelta", value.days, value.seconds, value.microseconds],
    "ellipsis": lambda _, value: ["Ellipsis"],
}


# What is empty at first because it may contain itself, what needs its parts first, and what has no parts.
_SHELLS: dict[str, Callable[[Node], Any]] = {
    "list": lambda node: [],
    "dict": lambda node: {},
    "set": lambda node: set(),
    "Counter": lambda node: _class("Counter")(),
    "OrderedDict": lambda node: OrderedDict(),
    "defaultdict": lambda node: defaultdict(None if node[2] is None else _FACTORIES[node[2]]),
    "deque": lambda node: deque(maxlen=None if node[2] is None else _number(node[2])),
}
_FIXED: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "frozenset": frozenset,
    "iterator": iter,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "items": lambda items: dict(items).items(),
    "range": lambda bounds: range(*bounds),
}
_LEAVES: dict[str, Callable[[Node], Any]] = {
    "int": lambda node: int(node[1], 16),
    "complex": lambda node: complex(float.fromhex(node[1]), float.fromhex(node[2])),
    "bytes": lambda node: _bytes_of(node),
    "bytearray": lambda node: bytearray(_bytes_of(node)),
    "Decimal": lambda node: _class("Decimal")(node[1]),
    "Fraction": lambda node: _class("Fraction")(int(node[1], 16), int(node[2], 16)),
    "datetime": lambda node: _class("datetime").fromisoformat(node[1]),
    "date": lambda node: _class("date").fromisoformat(node[1]),
    "time": lambda node: _class("time").fromisoformat(node[1]),
    "timedelta": lambda node: _class("timedelta")(*map(_number, node[1:4])),
    "Ellipsis": lambda node: ...,
}
_HASHING = frozenset({"dict", "Counter", "OrderedDict", "defaultdict", "set"})
_WRONG = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


def _bytes_of(node: Node) -> bytes:
    return binascii.a2b_base64(node[1])


def _number(value: Any) -> int:
    if type(value) is not int:
        raise Malformed("no integer where one belongs")
    return value


class Decoder:
    """Builds the values of a table of nodes.

    ``known`` are the objects of the numbers below ``len(known)``. ``theirs`` and ``ours`` give the object for a handle
    of the writer and of the reader; ``classes`` gives the reader's own class for a name: instances are made without
    calling any method of it. Without them a message that needs them is malformed.

    Raises Malformed for anything that ``Encoder`` does not write.
    """

    def __init__(
        self,
        nodes: Any,
        known: Iterable[Any] = (),
        *,
        theirs: Callable[[int], Any] | None = None,
        ours: Callable[[int], Any] | None = None,
        classes: Callable[[str], type | None] | None = None,
    ) -> None:
        self._nodes = nodes
        self._handles = {"handle": theirs, "back": ours}
        self._classes = classes
        self.objects = list(known)
        self._first = len(self.objects)
        try:
            self._build()
        except _WRONG as error:
            raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None

    def value(self, reference: Any) -> Any:
        """The value of an atom or reference. Raises Malformed."""
        if type(reference) in _ATOMS or type(reference) is int:
            return reference
        if type(reference) is list and len(reference) == 1:
            (number,) = reference
            if type(number) is int and 0 <= number < len(self.objects):
                return self.objects[number]
        raise Malformed("neither an atom nor a reference to a node")

    def change(self, known: int, node: Any) -> None:
        """Give a known object the content that it has on the other side by now. Raises Malformed."""
        target = self.value([known])
        tag = node[0] if type(node) is list and node and type(node[0]) is str else ""
        kind = self._class(node) if tag == "object" else _CONTAINERS.get(tag)
        if kind is None or not isinstance(target, kind):
            raise Malformed("a change of something else than what was sent")
        try:
            self._fill(target, node)
        except _WRONG as error:
            raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None

    def _values(self, references: Any) -> list[Any]:
        if type(references) is not list:
            raise Malformed("parts that are no list")
        return [self.value(part) if type(part) in (list, dict) else part for part in references]

    def _class(self, node: Node) -> type | None:
        return self._classes(node[1]) if self._classes is not None and type(node[1]) is str else None

    def _build(self) -> None:
        if type(self._nodes) is not list:
            raise Malformed("no table of nodes")
        self.objects += [_UNBUILT] * len(self._nodes)
        for number, node in enumerate(self._nodes, self._first):
            if type(node) is not list or not node or type(node[0]) is not str:
                raise Malformed("a node without a tag")
            self.objects[number] = self._shell(node)
        for number in range(self._first, len(self.objects)):
            self._build_fixed(number)
        # Hashes may rest on attributes and items: those are put in place first.
        for hashing in (False, True):
            for number, node in enumerate(self._nodes, self._first):
                if (node[0] in _HASHING) is hashing:
                    self._fill(self.objects[number], node)

    def _shell(self, node: Node) -> Any:
        tag = node[0]
        if tag in _SHELLS:
            return _SHELLS[tag](node)
        if tag in _FIXED or tag == "same":
            return _UNBUILT
        if tag in _LEAVES:
            return _LEAVES[tag](node)
        if tag == "builtin":
            kind = getattr(builtins, node[1])
            if type(kind) is type:
                return kind
        if tag == "object":
            own = self._class(node)
            if own is not None:
                return object.__new__(own)
        if tag in self._handles:
            find = self._handles[tag]
            if find is not None:
                return find(_number(node[1]))
        raise Malformed(f"nothing is known about {str(node[:2])[:40]}")

    def _build_fixed(self, start: int) -> None:
        """What needs its parts first; a cycle of nothing but such is malformed, for no honest writer can have one."""
        stack = [start]
        entered: set[int] = set()
        while stack:
            number = stack[-1]
            if self.objects[number] is not _UNBUILT:
                stack.pop()
                continue
            tag, parts = self._nodes[number - self._first]
            parts = [parts] if tag == "same" else parts
            missing = [part[0] for part in parts if type(part) is list and self.value(part) is _UNBUILT]
            if not missing:
                values = self._values(parts)
                self.objects[number] = values[0] if tag == "same" else _FIXED[tag](values)
            elif number in entered:
                raise Malformed("a tuple that contains itself")
            else:
                entered.add(number)
                stack += missing

    def _fill(self, target: Any, node: Node) -> None:
        tag = node[0]
        if tag == "list":
            target[:] = self._values(node[1])
        elif tag == "bytearray":
            target[:] = _bytes_of(node)
        elif tag == "deque" or tag == "set":
            values = self._values(node[1])
            target.clear()
            (target.extend if tag == "deque" else target.update)(values)
        elif tag in _HASHING:
            pairs = self._values(node[1])
            target.clear()
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                target[key] = value
        elif tag == "object":
            attributes = self._values(node[2])
            for name, value in zip(attributes[::2], attributes[1::2], strict=True):
                if type(name) is not str or name.startswith("__"):
                    raise Malformed("an attribute that is no plain name")
                object.__setattr__(target, name, value)


_CONTAINERS: dict[str, type] = dict.fromkeys(_HASHING, dict)
_CONTAINERS.update(list=list, bytearray=bytearray, set=set, deque=deque)
MAY_CHANGE = frozenset(_CONTAINERS) | {"object"}
"""The tags of nodes whose objects a call may change."""
