"""The tests of a code problem are checked before anything runs."""

from __future__ import annotations

import base64
import json
import os
import pickle
import zlib
from typing import Any

import pytest

from recipes.grading import code_test_format
from recipes.grading.code_test_format import (
    AssertTests,
    FunctionalTests,
    StdinTests,
    decode_livecodebench_private,
    parse_tests,
)

STDIN = {"kind": "stdin", "inputs": ["1\n"], "outputs": ["2\n"]}
FUNCTIONAL = {"kind": "functional", "fn_name": "f", "inputs": ['[1]\n"a"'], "outputs": ["true"]}
ASSERT = {"kind": "assert", "code": "assert f(1) == 2", "entry_point": "f"}


def test_stdin() -> None:
    tests = parse_tests(STDIN | {"time_limit_s": 2, "memory_limit_mb": 256, "tolerance": 0})
    assert tests == StdinTests(2.0, 256, True, ("1\n",), ("2\n",), 0.0)
    assert tests.total == 1


def test_functional_in_both_conventions() -> None:
    tests = parse_tests(FUNCTIONAL | {"inputs": ['[1]\n"a"\n', "null"], "outputs": ["true", " [1.5]"]})
    assert isinstance(tests, FunctionalTests)
    assert (tests.arguments, tests.outputs, tests.wrapped) == (([[1], "a"], [None]), (True, [1.5]), False)
    tests = parse_tests(FUNCTIONAL | {"fn_name": "Solution.f", "inputs": [[[1], "a"], []], "outputs": [[3], "x"]})
    assert isinstance(tests, FunctionalTests)
    assert (tests.arguments, tests.outputs, tests.wrapped) == (([[1], "a"], []), ([3], "x"), True)
    assert tests.fn_name == "f"


def test_asserts() -> None:
    tests = parse_tests(
        {"kind": "assert", "code": "class Node: pass\ndef check(candidate):\n    pass", "entry_point": " f "}
    )
    assert isinstance(tests, AssertTests)
    assert (tests.entry_point, tests.call_check, tests.classes) == ("f", True, ("Node",))
    called = parse_tests({"kind": "assert", "code": "def check(c):\n  pass\n\ncheck(Solution().f)"})
    assert isinstance(called, AssertTests)
    assert (called.entry_point, called.call_check, called.total) == ("", False, 1)


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (None, "tests: found nothing, expected an object"),
        ([], "tests: found [], expected an object"),
        ({}, "tests.kind: found nothing, expected one of"),
        ({"kind": "io"}, "tests.kind: found 'io', expected one of"),
        ({"kind": ["stdin"]}, "tests.kind: found ['stdin'], expected one of"),
        (STDIN | {"time_limit": 3}, "unknown key 'time_limit' for kind 'stdin'"),
        (STDIN | {"inputs": [], "outputs": []}, "tests.inputs: found no test"),
        (STDIN | {"inputs": "1"}, "tests.inputs: found '1', expected a list"),
        (STDIN | {"outputs": ["2", "3"]}, "found 1 inputs and 2 outputs"),
        (STDIN | {"outputs": [2]}, "tests.outputs[0]: found 2, expected a string"),
        ({"kind": "stdin", "inputs": ["1"]}, "tests.outputs: found nothing"),
        (STDIN | {"time_limit_s": 0}, "tests.time_limit_s: found 0, expected a number above 0"),
        (STDIN | {"time_limit_s": True}, "tests.time_limit_s: found True"),
        (STDIN | {"time_limit_s": float("nan")}, "tests.time_limit_s: found nan"),
        (STDIN | {"memory_limit_mb": 0.5}, "tests.memory_limit_mb: found 0.5"),
        (STDIN | {"tolerance": -1}, "tests.tolerance: found -1, expected a number from 0"),
        (STDIN | {"header": "yes"}, "tests.header: found 'yes'"),
        (FUNCTIONAL | {"fn_name": ""}, "tests.fn_name: found ''"),
        (FUNCTIONAL | {"fn_name": "a b"}, "tests.fn_name: found 'a b'"),
        (FUNCTIONAL | {"inputs": ["[1"]}, "tests.inputs[0]: found '[1', expected JSON"),
        (FUNCTIONAL | {"outputs": [2]}, "tests.outputs[0]: found 2, expected a string of JSON"),
        (FUNCTIONAL | {"inputs": ["1", [1]], "outputs": ["1", "1"]}, "tests.inputs[1]: found [1], expected a string"),
        (FUNCTIONAL | {"inputs": [[1], "1"], "outputs": ["1", "1"]}, "tests.inputs[1]: found '1', expected a list"),
        (ASSERT | {"code": ""}, "tests.code: found '', expected at least one statement"),
        (ASSERT | {"code": "# nothing"}, "expected at least one statement"),
        (ASSERT | {"code": "assert ("}, "tests.code: found what is no Python"),
        (ASSERT | {"code": None}, "tests.code: found nothing"),
        (ASSERT | {"entry_point": 3}, "tests.entry_point: found 3"),
        (ASSERT | {"entry_point": "f("}, "tests.entry_point: found what is no Python"),
        (ASSERT | {"inputs": []}, "unknown key 'inputs' for kind 'assert'"),
    ],
)
def test_malformed_tests_are_refused(tests: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_tests(tests)
    assert message in str(refused.value)


PRIVATE = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]


def _packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def test_private_tests_decode() -> None:
    assert decode_livecodebench_private(_packed(json.dumps(PRIVATE))) == PRIVATE
    assert decode_livecodebench_private(_packed(PRIVATE)) == PRIVATE
    assert decode_livecodebench_private(json.dumps(PRIVATE)) == PRIVATE


class _Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/owned",)


class _HostileState(Exception):
    pass


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (_packed(_Hostile()), "asks for posix.system"),
        (_packed([_HostileState("x")]), "and tests are plain data"),
        (_packed(3), "found 3, expected a list"),
        (_packed([3]), "private_test_cases[0]: found 3"),
        (_packed([{"input": "1"}]), "expected an object with strings"),
        (_packed("[1"), "expected JSON"),
        (_packed(PRIVATE)[:-8], "expected JSON, or base64"),
        (base64.b64encode(b"nothing").decode(), "expected JSON, or base64"),
        ("%%%", "expected JSON, or base64"),
        (base64.b64encode(zlib.compress(b"\x80\x04]\x94(")).decode(), "expected JSON, or base64"),
        (base64.b64encode(zlib.compress(b"cos\nsystem\n.")).decode(), "asks for os.system"),
        ("", "expected JSON, or base64"),
    ],
)
def test_hostile_or_broken_private_tests_are_refused(blob: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        decode_livecodebench_private(blob)
    assert message in str(refused.value)


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_test_format, "MAX_PRIVATE_BYTES", 1 << 16)
    assert decode_livecodebench_private(_packed(PRIVATE)) == PRIVATE
    with pytest.raises(ValueError, match="more than 65,536 bytes"):
        decode_livecodebench_private(_packed(" " * (1 << 20)))
