"""Values as nodes: what goes in comes out, and nothing else can be built."""

from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading.sandboxed import values
from recipes.grading.sandboxed.values import Decoder, Encoder, Malformed, Unsendable


def _sent(value: Any) -> Any:
    encoder = Encoder()
    reference, nodes = json.loads(json.dumps([encoder.add(value), encoder.nodes]))
    return Decoder(nodes).value(reference)


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            0,
            -1,
            2**63,
            -(2**63),
            2**63 - 1,
            -(2**200),
            1.5,
            -0.0,
            float("inf"),
            "",
            "é\ud800\x00",
            b"\x00a",
        ),
        *([], [1, [2, "3"]], (), (1, (2, [3])), {}, {"a": {1: (2,)}, (1, 2): None}, {1, (2, "3")}, frozenset({1})),
        *(range(3), range(10, 0, -2), 1 + 2j, complex("inf"), bytearray(b"ab"), ..., int, ValueError),
        collections.deque([1, [2]], 5),
        collections.Counter("banana"),
        collections.OrderedDict([("b", 1), ("a", 2)]),
        collections.defaultdict(list, {1: [2]}),
        decimal.Decimal("1.50"),
        fractions.Fraction(-1, 3),
        datetime.datetime(2025, 1, 2, 3, 4, 5, 6, datetime.timezone.utc),
        datetime.date(2025, 1, 2),
        datetime.time(3, 4),
        datetime.timedelta(-1, 2, 3),
        [2**70, {2**70}, (2**70, b"x")],
    ],
    ids=lambda value: type(value).__name__,  # the same in every worker, unlike the order of a set
)
def test_what_goes_in_comes_out(value: Any) -> None:
    received = _sent(value)
    assert received == value
    assert type(received) is type(value)
    assert repr(received) == repr(value)


_HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
_VALUES = st.recursive(
    _HASHABLE,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(_HASHABLE, inner, max_size=4)
        | st.sets(_HASHABLE, max_size=4)
    ),
    max_leaves=20,
)


@given(_VALUES)
def test_any_plain_data_comes_out(value: Any) -> None:
    assert _sent(value) == value


def test_cycles_and_sharing_are_kept() -> None:
    shared = [1]
    value: list[Any] = [shared, shared, (shared,)]
    value.append(value)
    received = _sent(value)
    assert received[0] is received[1] is received[2][0]
    assert received[3] is received
    through_tuple: tuple[list[Any]] = ([],)
    through_tuple[0].append(through_tuple)
    assert (received := _sent(through_tuple))[0][0] is received


def test_depth_costs_no_recursion() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = ([deep],)
    received = _sent(deep)
    for _ in range(100_000):
        received = received[0][0]
    assert received == 1


class _List(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError

    __getitem__ = __len__ = __iter__  # type: ignore[assignment]


class _Integer(int):
    def __index__(self) -> int:
        raise AssertionError

    __int__ = __index__


class _String(str):
    def __str__(self) -> str:
        raise AssertionError


class _Dict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise AssertionError


class _Color(enum.IntEnum):
    RED = 3


def test_subclasses_are_reduced_without_their_methods() -> None:
    point = collections.namedtuple("point", "x y")(1, 2)
    for value, plain in (
        (_List([1, 2]), [1, 2]),
        (_Integer(7), 7),
        (_Integer(2**70), 2**70),
        (_String("a"), "a"),
        (_Dict(a=1), {"a": 1}),
        (_Color.RED, 3),
        (point, (1, 2)),
        ([_Integer(1), _String("b")], [1, "b"]),
        ({_String("k"): _Integer(1)}, {"k": 1}),
    ):
        received = _sent(value)
        assert received == plain
        assert type(received) is type(plain)


def test_iterators_and_views_are_materialised() -> None:
    assert list(_sent(i * i for i in range(3))) == [0, 1, 4]
    assert list(_sent(map(str, [1, 2]))) == ["1", "2"]
    assert list(_sent(itertools.chain([1], [2]))) == [1, 2]
    assert _sent({"a": 1}.keys()) == {"a": 1}.keys()
    assert list(_sent({"a": 1}.values())) == [1]
    assert _sent({"a": 1}.items()) == {"a": 1}.items()


def test_an_endless_iterator_cannot_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_ITEMS", 1000)
    with pytest.raises(Unsendable, match="more than 1,000 items"):
        _sent(itertools.count())


def test_numpy_is_reduced_to_plain_data() -> None:
    numpy = pytest.importorskip("numpy")
    for value, plain in (
        (numpy.arange(3), [0, 1, 2]),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        ([numpy.float64(1.5), {"a": numpy.zeros((1, 2))}], [1.5, {"a": [[0.0, 0.0]]}]),
    ):
        received = _sent(value)
        assert received == plain
        assert type(received) is type(plain)


def test_what_is_no_plain_data_is_refused() -> None:
    for value in (object(), len, test_depth_costs_no_recursion, json, _Color, open(__file__)):  # noqa: SIM115
        with pytest.raises(Unsendable):
            _sent([value])


@pytest.mark.parametrize(
    "nodes",
    [
        None,
        {},
        [5],
        [[]],
        [[5]],
        [["unknown"]],
        [["list"]],
        [["list", 5]],
        [["list", [[5]]]],
        [["list", [[-1]]]],
        [["list", [[True]]]],
        [["list", [[0, 0]]]],
        [["list", [{}]]],
        [["tuple", [[0]]]],
        [["tuple", [[1]]], ["tuple", [[0]]]],
        [["same", [0]]],
        [["same", [1]], ["same", [0]]],
        [["frozenset", [[1]]], ["list", []]],
        [["set", [[1]]], ["list", []]],
        [["dict", [1]]],
        [["dict", [[1], 1]], ["list", []]],
        [["int", 5]],
        [["int", "zz"]],
        [["deque", [], -1]],
        [["deque", [], "x"]],
        [["defaultdict", [], "object"]],
        [["Decimal", "x"]],
        [["Decimal", "1e9999999999999999999"]],
        [["Fraction", "0x1", "0x0"]],
        [["range", [1, "a"]]],
        [["range", [1, 2, 0]]],
        [["complex", "x", "y"]],
        [["bytes", "é"]],
        [["bytes", 5]],
        [["datetime", "never"]],
        [["timedelta", 10**12, 0, 0]],
        [["builtin", "exec"]],
        [["builtin", "__import__"]],
        [["builtin", "nothing"]],
        [["object", "Node", []]],
        [["handle", 0]],
        [["back", 0]],
        [["keys", [[1]]], ["list", []]],
        [["items", [1]]],
        [["iterator", 5]],
    ],
    ids=lambda nodes: json.dumps(nodes)[:40],
)
def test_malformed_nodes_are_refused(nodes: Any) -> None:
    with pytest.raises(Malformed):
        Decoder(nodes)


_TAGS = [*values._SHELLS, *values._FIXED, *values._LEAVES, "same", "object", "handle", "back", "builtin", "x"]
_HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 6) | st.text(max_size=3) | st.integers(0, 5).map(lambda n: [n]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from(_TAGS), _HOSTILE, _HOSTILE).map(list), max_size=6), _HOSTILE)
def test_any_nodes_are_values_or_malformed(nodes: list[Any], reference: Any) -> None:
    with contextlib.suppress(Malformed):
        Decoder(nodes).value(reference)


class _Node:
    def __init__(self) -> None:
        raise AssertionError("a rebuilt object is not initialised again")


def test_objects_are_rebuilt_with_the_readers_own_class() -> None:
    nodes = [["object", "Node", ["val", 1, "next", [0]]]]
    node = Decoder(nodes, classes={"Node": _Node}.get).value([0])
    assert type(node) is _Node
    assert node.val == 1
    assert node.next is node


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__eq__", 5, None])
def test_an_object_gets_no_special_attribute(name: Any) -> None:
    with pytest.raises(Malformed):
        Decoder([["object", "Node", [name, 1]]], classes={"Node": _Node}.get)


def test_changes_apply_to_the_known_object_in_place() -> None:
    known: list[Any] = [[1, 2], {"a": 1}, {3}, collections.deque([1])]
    decoder = Decoder([["list", [9]]], known)
    decoder.change(0, ["list", [2, 1, [4], [0]]])
    decoder.change(1, ["dict", ["b", [4]]])
    decoder.change(2, ["set", [4, 5]])
    decoder.change(3, ["deque", [], None])
    assert known[0][:3] == [2, 1, [9]]
    assert known[0][3] is known[0]
    assert known[1] == {"b": [9]}
    assert known[1]["b"] is known[0][2]
    assert known[2:] == [{4, 5}, collections.deque()]


@pytest.mark.parametrize(
    "change", [(0, ["dict", []]), (1, ["list", []]), (2, ["list", []]), (0, []), (0, None), (0, ["list"])]
)
def test_a_change_of_another_kind_is_refused(change: tuple[int, Any]) -> None:
    with pytest.raises(Malformed):
        Decoder([], [[1], (2,)]).change(*change)


def test_large_lists_take_little_time() -> None:
    started = time.process_time()
    _sent([list(range(1000)) for _ in range(300)])
    assert time.process_time() - started < 3.0
