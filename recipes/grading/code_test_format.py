"""The ``tests`` of a code problem: three kinds, checked before anything runs."""

from __future__ import annotations

import ast
import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_PRIVATE_BYTES = 512 << 20
"""Private tests of LiveCodeBench may not decompress to more."""
DEFAULT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class _Limits:
    time_limit_s: float | None
    """CPU seconds of one test; None: the grader's own limit."""
    memory_limit_mb: int | None
    header: bool
    """Whether the program sees the imports that LiveCodeBench puts before it."""


@dataclass(frozen=True, slots=True)
class StdinTests(_Limits):
    """A program that reads standard input and writes standard output."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tolerance: float
    """For tokens that the expected output writes with a decimal point or an exponent; 0 is exact."""

    @property
    def total(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class FunctionalTests(_Limits):
    """A function, or a method of ``class Solution``, and the arguments and results of its calls."""

    fn_name: str
    arguments: tuple[list[Any], ...]
    """Per test the positional arguments, as JSON data."""
    outputs: tuple[Any, ...]
    """Per test the expected result, as JSON data."""
    wrapped: bool
    """APPS and TACO: the expected result may stand in a list of one element."""
    tolerance: float

    @property
    def total(self) -> int:
        return len(self.arguments)


@dataclass(frozen=True, slots=True)
class AssertTests(_Limits):
    """Python code that calls the program and asserts."""

    setup: str
    """Code that both the program and the test code start with, for instance the helper classes of the prompt."""
    code: str
    entry_point: str
    """The function under test, or an expression such as ``Solution().twoSum``; empty where the code names it."""
    call_check: bool
    """The code defines ``check(candidate)`` and leaves its call to the grader, as HumanEval's does."""
    classes: tuple[str, ...]
    """The classes that setup and code define: their instances travel between the test code and the program."""

    @property
    def total(self) -> int:
        return 1


CodeTests = StdinTests | FunctionalTests | AssertTests
_COMMON = ("kind", "time_limit_s", "memory_limit_mb", "header")
_KEYS = {
    "stdin": (*_COMMON, "inputs", "outputs", "tolerance"),
    "functional": (*_COMMON, "fn_name", "inputs", "outputs", "tolerance"),
    "assert": (*_COMMON, "setup", "code", "entry_point"),
}


def parse_tests(tests: Any) -> CodeTests:
    """The checked form of a row's ``tests``.

    Raises ValueError naming the key, what was found and what is expected.
    """
    if not isinstance(tests, Mapping):
        raise _wrong("tests", tests, "an object with a key 'kind'")
    kind = tests.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise _wrong("tests.kind", kind, "one of 'stdin', 'functional', 'assert'")
    unknown = sorted(str(key) for key in tests if key not in _KEYS[kind])
    if unknown:
        raise ValueError(f"tests: unknown key {unknown[0]!r} for kind {kind!r}, expected {', '.join(_KEYS[kind])}")
    header = tests.get("header", True)
    if not isinstance(header, bool):
        raise _wrong("tests.header", header, "true or false")
    memory = tests.get("memory_limit_mb")
    if memory is not None and (isinstance(memory, bool) or not isinstance(memory, int) or not 1 <= memory <= 1 << 20):
        raise _wrong("tests.memory_limit_mb", memory, "a whole number of MiB from 1 to 1048576")
    time_limit = _positive(tests, "time_limit_s", 3600.0)
    if kind == "assert":
        return _assert_tests(tests, time_limit, memory, header)
    tolerance = _positive(tests, "tolerance", 1.0, zero=True)
    tolerance = DEFAULT_TOLERANCE if tolerance is None else tolerance
    inputs, outputs = _pairs(tests)
    if kind == "stdin":
        for key, texts in (("inputs", inputs), ("outputs", outputs)):
            for index, text in enumerate(texts):
                if not isinstance(text, str):
                    raise _wrong(f"tests.{key}[{index}]", text, "a string")
        return StdinTests(time_limit, memory, header, tuple(inputs), tuple(outputs), tolerance)
    name = tests.get("fn_name")
    if not isinstance(name, str) or not name.rpartition(".")[2].isidentifier():
        raise _wrong("tests.fn_name", name, "the name of a function or of a method of class Solution")
    wrapped = not isinstance(inputs[0], str)
    arguments = tuple(_arguments(given, f"tests.inputs[{index}]", wrapped) for index, given in enumerate(inputs))
    if not wrapped:
        outputs = [_json(text, f"tests.outputs[{index}]") for index, text in enumerate(outputs)]
    return FunctionalTests(
        time_limit, memory, header, name.rpartition(".")[2], arguments, tuple(outputs), wrapped, tolerance
    )


def _assert_tests(tests: Mapping[str, Any], time_limit: float | None, memory: int | None, header: bool) -> AssertTests:
    texts: dict[str, str] = {}
    classes: list[str] = []
    call_check = False
    for key in ("setup", "code", "entry_point"):
        text = tests.get(key)
        if text is None and key != "code":
            text = ""
        if not isinstance(text, str):
            raise _wrong(f"tests.{key}", text, "a string of Python")
        texts[key] = text.strip() if key == "entry_point" else text
        try:
            tree = ast.parse(texts[key])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"tests.{key}: found what is no Python ({error}), expected Python source") from None
        if key == "code" and not tree.body:
            raise _wrong("tests.code", text, "at least one statement: a row without tests cannot be graded")
        if key == "code":
            call_check = _leaves_check_uncalled(tree) and bool(tests.get("entry_point"))
        classes += [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return AssertTests(time_limit, memory, header, **texts, call_check=call_check, classes=tuple(classes))


def _leaves_check_uncalled(tree: ast.Module) -> bool:
    defined = any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body)
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return defined and not any(isinstance(function, ast.Name) and function.id == "check" for function in calls)


def _pairs(tests: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    inputs, outputs = tests.get("inputs"), tests.get("outputs")
    for key, values in (("inputs", inputs), ("outputs", outputs)):
        if not isinstance(values, (list, tuple)):
            raise _wrong(f"tests.{key}", values, "a list with one item per test")
    assert isinstance(inputs, Sequence) and isinstance(outputs, Sequence)
    if len(inputs) != len(outputs):
        raise ValueError(f"tests: found {len(inputs)} inputs and {len(outputs)} outputs, expected as many of each")
    if not inputs:
        raise ValueError("tests.inputs: found no test, expected at least one: every program would pass")
    return list(inputs), list(outputs)


def _arguments(given: Any, key: str, decoded: bool) -> list[Any]:
    if decoded:
        if not isinstance(given, (list, tuple)):
            raise _wrong(key, given, "a list of arguments, as in tests.inputs[0]")
        return list(given)
    if not isinstance(given, str):
        raise _wrong(key, given, "a string with one JSON argument per line, as in tests.inputs[0]")
    return [_json(line, key) for line in given.split("\n") if line.strip()]


def _json(text: Any, key: str) -> Any:
    if not isinstance(text, str):
        raise _wrong(key, text, "a string of JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(key, text, f"JSON ({error})") from None


def _positive(tests: Mapping[str, Any], key: str, most: float, *, zero: bool = False) -> float | None:
    value = tests.get(key)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (0 < value <= most or (zero and value == 0))
    ):
        raise _wrong(f"tests.{key}", value, f"a number {'from' if zero else 'above'} 0 up to {most:g}")
    return float(value)


def _wrong(key: str, found: Any, expected: str) -> ValueError:
    shown = "nothing" if found is None else repr(found)
    return ValueError(f"{key}: found {shown if len(shown) <= 80 else shown[:77] + '...'}, expected {expected}")


class _PlainUnpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, tuples, dicts and sets: whatever else a pickle asks for has to be looked up."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, and tests are plain data")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("the pickle asks for a persistent object, and tests are plain data")


def decode_livecodebench_private(blob: str) -> list[dict[str, str]]:
    """The private tests of a LiveCodeBench row: ``{"input", "output", "testtype"}`` each.

    Reads plain JSON, and base64 of zlib of a pickle of JSON text or of the list itself, with an unpickler that can
    build plain data only. Raises ValueError saying what the blob is instead.
    """
    if not isinstance(blob, str):
        raise _wrong("private_test_cases", blob, "a string")
    tests: Any
    try:
        tests = json.loads(blob)
    except (ValueError, RecursionError):
        tests = _unpack(blob)
    if isinstance(tests, str):
        tests = _json(tests, "private_test_cases")
    if not isinstance(tests, list):
        raise _wrong("private_test_cases", tests, "a list of tests")
    for index, test in enumerate(tests):
        if not isinstance(test, dict) or not all(isinstance(test.get(key), str) for key in ("input", "output")):
            raise _wrong(f"private_test_cases[{index}]", test, "an object with strings 'input' and 'output'")
    return tests


def _unpack(blob: str) -> Any:
    try:
        packed = base64.b64decode(blob, validate=True)
        inflate = zlib.decompressobj()
        data = inflate.decompress(packed, MAX_PRIVATE_BYTES)
        if inflate.unconsumed_tail or not inflate.eof:
            raise ValueError(f"cut off, or more than {MAX_PRIVATE_BYTES:,} bytes")
        return _PlainUnpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"private_test_cases: {error}") from None
    except (binascii.Error, zlib.error, *_PICKLE_ERRORS) as error:
        raise ValueError(
            f"private_test_cases: found {blob[:40]!r}... ({type(error).__name__}: {error}), expected JSON, or base64 "
            "of zlib of a pickle of plain data"
        ) from None


_PICKLE_ERRORS = (ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)
