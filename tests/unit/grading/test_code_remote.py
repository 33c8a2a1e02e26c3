"""Test code and program talk over a socket, each in its own process, without a sandbox around them."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from recipes.grading.sandboxed import service
from recipes.grading.sandboxed.program import Program
from recipes.grading.sandboxed.tester import _TestRun
from tests.unit.grading.hacking_programs import HACKS


def _outcome(
    child: Callable[[int], None], code: str, entry_point: str = "", setup: str = "", call_check: bool = False
) -> dict[str, Any]:
    """What the test code gives against a child process that holds the other end."""
    ours, theirs = socket.socketpair()
    process = os.fork()
    if process == 0:
        ours.close()
        try:
            child(theirs.fileno())
        finally:
            os._exit(0)
    theirs.close()
    try:
        return _TestRun(ours.fileno()).outcome(setup, code, entry_point, call_check)
    finally:
        ours.close()
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _tested(program: str, code: str, entry_point: str = "f", setup: str = "", classes: str = "") -> dict[str, Any]:
    def child(descriptor: int) -> None:
        compiled = Program(f"{setup}\n{program}", False)
        service.serve(compiled, {"classes": classes.split()}, -1, descriptor)

    return _outcome(child, code, entry_point, setup)


PASSED = {"passed": True}
LIST_NODE = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next

def list_node(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head

def is_same_list(a, b):
    while a and b and a.val == b.val:
        a, b = a.next, b.next
    return a is None and b is None
"""
REVERSE = """
class Solution:
    def reverse(self, head):
        last = None
        while head:
            head.next, last, head = last, head, head.next
        return last
"""


COUNTER = """
class C:
    def __init__(self): self.n = 0
    def up(self): self.n += 1; return self
"""
PAIR = """
class Pair:
    def __init__(self, a, b): self.a, self.b = a, b
def f(pairs): return sum(pair.a for pair in pairs)
"""
VIEW = """
class V:
    def __str__(self): return "v"
    def __len__(self): return 3
    def __getitem__(self, i): return [4, 5, 6][i]
"""
ACCOUNT = """
class O:
    total = 0
    def add(self, n): self.total += n
    def get(self, i): return i
"""


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("def f(a, b=1): return a + b", "assert f(1) == 2 and f(1, b=2) == 3"),
        ("def f(x): return {'a': (x, [x])}", "assert f(1) == {'a': (1, [1])}"),
        ("def f(x): x.sort()", "x = [2, 1]; y = [x]; assert f(x) is None; assert y == [[1, 2]]"),
        ("def f(x): x['b'] = x; return x", "x = {}; assert f(x) is x; assert x['b'] is x"),
        ("def f(x): x.append([]); x[0].append(x[-1]); return x[-1]", "x = [[]]; y = f(x); assert x[1] is y is x[0][0]"),
        ("def f(x, y): return x is y", "x = []; assert f(x, x) is True; assert f(x, []) is False"),
        ("def f(x): yield from range(x)", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(x): return x()", "assert f(lambda: 3) == 3"),
        ("def f(g): return [g(i) for i in range(3)]", "seen = []; f(seen.append); assert seen == [0, 1, 2]"),
        ("def f(g): return sorted([3, 1, 2], key=g)", "assert f(lambda x: -x) == [3, 2, 1]"),
        ("def f(n): return lambda x: x + n", "assert f(1)(2) == 3"),
        (COUNTER, "c = C(); assert c.up().up().n == 2; c.n = 5; assert c.up().n == 6; assert c.up() is c"),
        (PAIR, "assert f([Pair(1, 2), Pair(3, 4)]) == 4"),
        (VIEW, "v = V(); assert str(v) == 'v' and len(v) == 3 and list(v) == [4, 5, 6] and v[1] == 5 and 7 not in v"),
        ("N = 7\ndef f(): return N", "assert N == f() == 7"),
        ("import math as m\ndef f(x): return m.sqrt(x)", "assert m.sqrt(4) == f(4)"),
        ("def f(x): return x", "assert isclose(f(1.0), 1.0); assert Counter(f('aa')) == Counter('aa'); math.pi"),
        ("def f(o): o.add(3); return o.total + o.get(1)", f"{ACCOUNT}\no = O(); assert f(o) == 4 and o.total == 3"),
        ("def f(s): return s[::-1]", "import random\nassert all(f(f(str(random.random()))) for _ in range(10))"),
        ("def f(x): print('noise', x)", "print('more'); assert f(1) is None"),
        ("def sum(x): return 5", "assert sum([1]) == 1"),  # a builtin name means the builtin
    ],
)
def test_ordinary_code_works_across_the_border(program: str, code: str) -> None:
    entry_point = "f" if "def f" in program else ""
    outcome = _tested(program, code + "\nuses_the_program = 1" if entry_point else code, entry_point)
    if program.startswith("def sum"):
        assert outcome["by"] == "tests"
    else:
        assert outcome == PASSED


def test_linked_lists_cross_as_the_classes_of_either_side() -> None:
    code = "assert is_same_list(Solution().reverse(list_node([1, 2, 3])), list_node([3, 2, 1]))"
    assert _tested(REVERSE, code, "", LIST_NODE, "ListNode") == PASSED
    assert _tested(REVERSE.replace("return last", "return head"), code, "", LIST_NODE, "ListNode")["by"] == "test"
    # Without the class on the program's side the nodes stay where they are, and are asked for.
    only_there = LIST_NODE + "\n" + code
    assert _tested(REVERSE, only_there, "") == PASSED


def test_the_test_codes_own_names_come_first() -> None:
    code = "def helper(x):\n    return x\nassert helper(f(1)) == 1"
    assert _tested("def helper(x): return 1\ndef f(x): return 2", code)["by"] == "test"
    cheat = "def poly(xs, x): return 0\ndef f(x): return 2"
    assert _tested(cheat, "assert poly([1], f(1)) == 0", "f", "def poly(xs, x): return 1")["by"] == "test"


@pytest.mark.parametrize(
    "error",
    [
        *("ValueError('x', 3)", "KeyError('k')", "AssertionError('a')", "StopIteration(2)", "OSError(2, 'gone')"),
        *("SystemExit(0)", "RecursionError()", "UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')", "KeyboardInterrupt()"),
    ],
)
def test_exceptions_are_what_they_were(error: str) -> None:
    code = f"try:\n    f()\n    assert False\nexcept BaseException as e:\n    assert repr(e) == repr({error}), repr(e)"
    assert _tested(f"def f(): raise {error}", code) == PASSED


def test_a_programs_own_exceptions_are_their_builtin_bases() -> None:
    program = "class Poor(ValueError): pass\ndef f(): raise Poor('x')"
    assert _tested(program, "try: f()\nexcept ValueError as e: assert e.args == ('x',)\nelse: assert 0") == PASSED
    assert _tested(program, "try: f()\nexcept Poor: pass\nelse: assert 0") == PASSED
    assert _tested(program, "try: f()\nexcept KeyError: pass")["by"] == "program"


@pytest.mark.parametrize(
    ("program", "code", "by", "detail"),
    [
        ("def f(): return 1", "assert f() == 2, 'two'", "test", "AssertionError: two"),
        ("def f(): return 1", "f()['a']", "test", "TypeError: 'int' object is not subscriptable"),
        ("def f(): raise ValueError('x')", "f()", "program", "ValueError: x"),
        ("def f(): return [i for i in iter(int, 1)]", "f(1)", "program", "TypeError"),
        ("def g(): pass", "f()", "program", "NameError: name 'f' is not defined"),
        ("1/0", "f()", "program", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "f()", "program", "SystemExit: 0"),
        ("import os; os._exit(0)", "f()", "program", "the connection ended"),
        ("import os\ndef f(): os._exit(0)", "try: f()\nexcept: pass", "program", "the connection ended"),
        ("def f(): return 1", "1 + 1", "tests", "without calling the program"),
        ("def f(): return 1", "undefined_name", "program", "NameError: name 'undefined_name' is not defined"),
        ("def f(): return open('/dev/null')", "assert f() == 3", "test", "AssertionError"),
        ("import itertools\ndef f(): return itertools.count()", "assert f()", "program", "an iterator of more than"),
    ],
)
def test_failures_name_who_failed(program: str, code: str, by: str, detail: str) -> None:
    outcome = _tested(program, code)
    assert outcome["passed"] is False
    assert outcome["by"] == by
    assert detail in outcome["detail"]


def test_tests_that_ask_nothing_judge_nothing() -> None:
    outcome = _tested("def f(): return 1", "def check(candidate):\n    assert candidate() == 2", "")
    assert outcome == {"passed": False, "by": "tests", "detail": "the test code ended without calling the program"}


@pytest.mark.parametrize("program", HACKS.values(), ids=HACKS)
def test_hacks_fail(program: str) -> None:
    for code in (
        "assert f(1) == 2",
        "assert not f(1) != 2",
        "assert f(1) in (2, 5)",
        "assert abs(f(1) - 2) < 1e-6",
        "assert isclose(f(1), 2)",
        "assert 1 <= f(1) <= 2",
        "assert len(f(1)) == 2",
        "assert {f(1)} == {2}",
        "def check(c):\n    assert c(1) == 2\ncheck(f)",
        "import unittest\nunittest.TestCase().assertEqual(f(1), 2)",
    ):
        outcome = _tested(program, code)
        assert outcome["passed"] is False, code


def test_the_program_reaches_no_globals_of_the_test_code() -> None:
    names = "expected = 42\ndef key(x): return x\nclass O:\n    _secret = 42\n    def m(self): return 1\n"
    stealing = "def f(o):\n    try:\n        return o.{}\n    except Exception:\n        return None"
    for given, path in (
        ("key", "__globals__['expected']"),
        ("key", "func_globals"),
        ("O().m", "__func__.__globals__['expected']"),
        ("O()", "_secret"),
        ("O()", "__class__._secret"),
        ("O", "__init__.__globals__"),
        ("O()", "m.__globals__"),
    ):
        outcome = _tested(stealing.format(path), f"{names}assert f({given}) == expected")
        assert outcome["by"] == "test", path


def _frame(message: Any) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


def _answers(*messages: Any) -> Callable[[int], None]:
    """A program's process that answers every question with given bytes, whatever was asked."""

    def child(descriptor: int) -> None:
        os.write(descriptor, _frame({"value": None, "nodes": []}))
        for message in messages:
            os.read(descriptor, 1 << 16)
            os.write(descriptor, message if isinstance(message, bytes) else _frame(message))

    return child


NAMED = {"value": [0], "nodes": [["dict", ["value", [1]]], ["handle", 0]]}


def test_the_forged_conversation_itself_is_well_formed() -> None:
    assert _outcome(_answers(NAMED, {"value": 2, "nodes": []}), "assert f(1) == 2", "f") == PASSED


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x05abc",
        _frame(b""),
        _frame(b"\xff\xfe"),
        _frame(b"[" * 100_000),
        _frame(b"9" * 100_000),
        _frame([]),
        _frame({}),
        _frame({"value": 3}),
        _frame({"value": [0], "nodes": []}),
        _frame({"value": [0], "nodes": [["handle", 0], 5]}),
        _frame({"value": [0], "nodes": [["handle", "x"]]}),
        _frame({"value": [0], "nodes": [["back", 5]]}),
        _frame({"value": [0], "nodes": [["back", -1]]}),
        _frame({"value": [0], "nodes": [["object", "int", []]]}),
        _frame({"value": {"passed": True}, "nodes": []}),
        _frame({"value": 3, "nodes": [], "changed": 5}),
        _frame({"value": 3, "nodes": [], "changed": [[0]]}),
        _frame({"value": 3, "nodes": [], "changed": [[99, ["list", []]]]}),
        _frame({"value": 3, "nodes": [], "changed": [["x", ["list", []]]]}),
        _frame({"value": 3, "nodes": [], "changed": [[0, ["list", []]]]}),
        _frame({"raised": 5, "value": 3, "nodes": []}),
        _frame({"raised": [5], "value": 3, "nodes": []}),
        _frame({"raised": ["eval", "exec", "AssertionError"], "value": "x", "nodes": []}),
        _frame({"raised": ["SystemExit"], "value": 0, "nodes": []}),
        _frame({"raised": [], "value": None, "nodes": []}),
        _frame({"passed": True}),
        _frame({"goodbye": True}),
        _frame({"ask": "call", "arguments": [0, [0], [1]], "nodes": [["list", []], ["dict", []]]}),
        _frame({"ask": "name", "arguments": ["expected"], "nodes": []}),
        _frame({"ask": "get", "arguments": [0, "__globals__"], "nodes": []}),
        _frame({"ask": ["call"], "arguments": 5, "nodes": 5}),
        _frame({"ask": None}),
    ],
    ids=lambda message: repr(message[4:44]),
)
def test_hostile_answers_fail(message: bytes) -> None:
    outcome = _outcome(_answers(NAMED, message), "assert f(1) == 2", "f")
    assert outcome["passed"] is False
    assert outcome["by"] == "program" or outcome["detail"].startswith("AssertionError")
    hidden = _outcome(
        _answers(NAMED, message), "try:\n    f(1)\nexcept BaseException:\n    pass\nassert f(1) == 2", "f"
    )
    assert hidden["passed"] is False


def test_a_hostile_greeting_fails() -> None:
    for greeting in (b"", b"\xff" * 4, _frame([]), _frame({"value": [5], "nodes": []}), _frame({"raised": ["X"]})):
        outcome = _outcome(lambda descriptor, greeting=greeting: os.write(descriptor, greeting) and None, "1", "f")
        assert outcome["passed"] is False
        assert outcome["by"] == "program"


def test_deep_and_huge_answers_end_in_a_verdict() -> None:
    deep = {"value": [0], "nodes": [*(["list", [[number + 1]]] for number in range(50_000)), ["list", []]]}
    huge = {"value": [0], "nodes": [["int", "0x1" + "0" * 1_000_000]]}
    for answer in (deep, huge):
        outcome = _outcome(_answers(NAMED, answer), "assert f(1) == [[[[2]]]]", "f")
        assert outcome["passed"] is False
