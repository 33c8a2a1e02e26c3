from __future__ import annotations

from typing import Any

import pytest

from recipes.data.sources.code_cases import (
    assert_tests,
    first_program,
    header_of,
    listed_tests,
    paired_tests,
    unfenced,
)
from recipes.grading.code_test_format import AssertTests, FunctionalTests, StdinTests, parse_tests


def test_standard_input_of_apps_may_be_lists_of_lines() -> None:
    tests = paired_tests({"inputs": ["3\n", ["1 2", "3\n"]], "outputs": ["6\n", 7]}, "io")
    assert tests == {"kind": "stdin", "inputs": ["3\n", "1 2\n3"], "outputs": ["6\n", "7"]}
    assert isinstance(parse_tests(tests), StdinTests)


def test_calls_of_apps_are_decoded_and_results_wrapped() -> None:
    tests = paired_tests({"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]}, "io")
    checked = parse_tests(tests)
    assert isinstance(checked, FunctionalTests)
    assert (checked.fn_name, checked.arguments, checked.outputs, checked.wrapped) == (
        "add",
        ([1, 2], [3, 4]),
        ([3], [7]),
        True,
    )


@pytest.mark.parametrize("nothing", [None, {}, {"inputs": [], "outputs": []}])
def test_no_tests(nothing: Any) -> None:
    assert paired_tests(nothing, "io") is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("x", "holds 'x'; expected an object"),
        ({"inputs": "1"}, "no lists 'inputs' and 'outputs'; found keys inputs"),
        ({"inputs": ["1"], "outputs": []}, "1 inputs and 0 outputs"),
    ],
)
def test_pairs_that_are_none(found: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        paired_tests(found, "io")


def test_livecodebench_and_primeintellect() -> None:
    lcb = [{"input": "1\n[2]", "output": "3", "testtype": "functional", "metadata": {"func_name": "f"}}]
    checked = parse_tests(listed_tests(lcb, "tests"))
    assert isinstance(checked, FunctionalTests)
    assert (checked.fn_name, checked.arguments, checked.outputs) == ("f", ([1, [2]],), (3,))
    prime = [{"input": "1", "output": "2", "type": "stdin_stdout", "fn_name": None}]
    assert listed_tests(prime, "tests") == {"kind": "stdin", "inputs": ["1"], "outputs": ["2"]}
    call = [{"input": [1], "output": [2], "type": "function_call", "fn_name": "g"}]
    assert listed_tests(call, "tests") == {"kind": "functional", "fn_name": "g", "inputs": [[1]], "outputs": [[2]]}
    plain = [{"input": "1", "output": "2"}]
    assert listed_tests(plain, "tests") == {"kind": "stdin", "inputs": ["1"], "outputs": ["2"]}
    assert listed_tests([], "tests") is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([{"input": "1"}], "test 0: expected an object with 'input' and 'output'"),
        ([{"input": "", "output": ""}, {"input": "", "output": "", "testtype": "functional"}], "functional, stdin"),
        ([{"input": "", "output": "", "testtype": "functional"}], "calls nothing; expected one function"),
        (
            [{"input": "", "output": "", "type": "function_call", "fn_name": name} for name in "fg"],
            "calls f, g; expected one function",
        ),
    ],
)
def test_lists_that_are_no_tests(found: list[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        listed_tests(found, "tests")


def test_asserts() -> None:
    tests = assert_tests(["assert f(1) == 2", "assert f(2) == 3"], "f", "testcase")
    assert tests == {"kind": "assert", "code": "assert f(1) == 2\nassert f(2) == 3", "entry_point": "f"}
    assert isinstance(parse_tests(tests), AssertTests)
    assert assert_tests([], "f", "testcase") is None
    with pytest.raises(ValueError, match="expected a list of asserts"):
        assert_tests([1], "f", "testcase")


def test_the_first_program_of_python_3() -> None:
    assert first_program(["print 1", "```python\nprint(1)\n```", "print(2)"]) == "print(1)"
    fenced_inside = 's = """```"""\nprint(s)'
    assert first_program([fenced_inside]) == fenced_inside
    assert first_program("print(3)") == "print(3)"
    assert first_program([None, 3, "", "def"]) == ""
    assert first_program(None) == ""


def test_unfenced() -> None:
    assert unfenced("Here:\n```py\nx = 1\n```\nDone.") == "x = 1"
    assert unfenced("```x = 1```") == "x = 1"
    assert unfenced("\nx = 1\n") == "x = 1"


def test_header_of() -> None:
    program = "import math\n\ndef f(\n    x: int,\n) -> int:\n    # why\n    return x\n\ndef g(): return 1\n"
    assert header_of(program, "f") == "def f(\n    x: int,\n) -> int:"
    assert header_of(program, "g") == "", "the body stands on the line"
    assert header_of(program, "h") == ""
    assert header_of("def", "f") == ""
