"""What equals what: outputs by tokens, results by plain data."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading.code_comparison import output_mismatch, result_mismatch, same_token, shown
from recipes.grading.sandboxed.values import Encoder

TOLERANCE = 1e-6


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("3\n", "3", True),
        ("3", "3\n\n", True),
        ("1 2  3 \r\n4\t5\r\n", "1 2 3\n4 5\n", True),
        ("\n\n1\n\n2\n", "1\n2", True),
        ("1 2", "1\n2", False),  # lines count
        ("1\n2\n3", "1\n2", False),
        ("1", "1\n2", False),
        ("", "", True),
        (" \n", "", True),
        ("0", "", False),
        ("", "0", False),
        ("YES", "Yes", False),
        ("3.0", "3", True),
        ("+3", "3", True),
        ("3e0", "3", True),
        ("-0", "0", True),
        ("2.9999999999", "3", False),  # an integer is expected exactly
        ("3.0000001", "3.0", True),
        ("3", "3.0", True),
        ("3.00001", "3.0", False),
        ("0.3333333333", "0.33333333333333331", True),
        ("0.333", "0.33333333333333331", False),
        ("1000000.9", "1000000.0", True),  # relative
        ("1e6", "1000000.0", True),
        (".5", "0.5", True),
        ("5.", "5.0", True),
        ("007", "7", False),  # digits with leading zeros are text
        ("7", "007", False),
        ("0011", "11", False),
        ("00.5", "0.5", False),
        ("nan", "nan", True),
        ("NaN", "nan", False),
        ("inf", "1e999", False),
        ("nan", "0.0", False),
        ("1_000", "1000", False),
        ("\u0661", "1", False),
        ("1\u00a02", "1 2", False),  # white space is that of ASCII
        ("0x10", "16", False),
        ("1e999999999999", "1.0", False),
        ("é", "é", True),
    ],
)
def test_outputs(found: str, expected: str, same: bool) -> None:
    mismatch = output_mismatch(found.encode(), expected, TOLERANCE)
    assert (mismatch is None) is same, mismatch


def test_a_tolerance_of_zero_is_exact_as_decimals() -> None:
    assert output_mismatch(b"0.50", "0.5", 0.0) is None
    assert output_mismatch(b"0.5000000001", "0.5", 0.0) == "line 1, token 1: found '0.5000000001', expected '0.5'"


def test_a_mismatch_says_where() -> None:
    assert output_mismatch(b"1 2\n3 5\n", "1 2\n3 4\n", TOLERANCE) == "line 2, token 2: found '5', expected '4'"
    assert output_mismatch(b"1\n2\n", "1\n", TOLERANCE) == "found 2 lines, expected 1"
    assert output_mismatch(b"1 2 3\n", "1 2\n", TOLERANCE) == "line 1: found 3 tokens, expected 2"


def test_bytes_that_are_no_text_are_no_answer() -> None:
    assert output_mismatch(b"\xff\xfe\x00", "1", TOLERANCE) == "line 1, token 1: found '��\\x00', expected '1'"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (b"9" * 2_000_000, "8" + "9" * 1_999_999),
        (b"1" * 2_000_000 + b".0", "1" * 2_000_000),
        (b"-" * 2_000_000, "1.5"),
        (b"1e" + b"9" * 1_000_000, "1e5"),
        (b"1 " * 500_000, "1 " * 499_999 + "2"),
        (b"\n" * 2_000_000, "1"),
        (b"9" * 9_999 + b".0", "9" * 9_998 + ".5"),
        (b"." * 2_000_000, "." * 1_999_999 + " "),
    ],
)
def test_long_outputs_cost_linear_time(found: bytes, expected: str) -> None:
    started = time.process_time()
    assert output_mismatch(found, expected, TOLERANCE) is not None
    assert time.process_time() - started < 5.0


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
)
def test_two_numbers_match_when_their_difference_is_within_the_tolerance(found: Decimal, expected: Decimal) -> None:
    same = abs(found - expected) <= Decimal("0.01") * max(Decimal(1), abs(expected))
    assert same_token(f"{found:f}".encode(), f"{expected:f}".encode(), Decimal("0.01")) is same


@given(st.binary(max_size=30), st.text(max_size=30))
def test_any_output_gets_a_verdict(found: bytes, expected: str) -> None:
    output_mismatch(found, expected, TOLERANCE)
    assert output_mismatch(expected.encode(), expected, TOLERANCE) is None


def _encoded(value: Any) -> bytes:
    encoder = Encoder()
    reference = encoder.add(value)
    return json.dumps([reference, encoder.nodes]).encode()


class _AlwaysEqual(list):  # type: ignore[type-arg]
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class _Integer(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 3


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (3, 3, True),
        (4, 3, False),
        (3.0, 3, True),
        (2.9999999999, 3, False),
        (2.9999999999, 3.0, True),
        (3, 3.0, True),
        (10**400, 3.0, False),
        (10**400, 10**400, True),
        (True, 1, True),  # as LiveCodeBench compares
        (0, False, True),
        (None, None, True),
        (None, False, False),
        ("a", "a", True),
        ("3", 3, False),
        (3, "3", False),
        ((1, [2, (3,)]), [1, [2, [3]]], True),
        ([1, [2, 4]], [1, [2, 3]], False),
        ([1, 2, 3], [1, 2], False),
        ([], [], True),
        ([[]], [[]], True),
        ([[1]], [[]], False),
        ([[0]], [[[0]]], False),
        ({None: 2, True: 3}, {"null": 2, "true": 3}, True),
        ({1: "a", None: 2}, {"1": "a", "null": 2}, True),
        ({"a": [1.0]}, {"a": [1.0000000001]}, True),
        ({"a": 1}, {"b": 1}, False),
        ({(1, 2): 3}, {"(1, 2)": 3}, False),
        ({1, 2}, [1, 2], False),
        (b"a", "a", False),
        (float("nan"), float("nan"), False),
        (float("inf"), float("inf"), True),
        (1e300, float("inf"), False),
        (1 + 2j, 3, False),
        ([1, 2, 3], {"0": 1}, False),
        (range(3), [0, 1, 2], False),
        (_AlwaysEqual([9]), [1], False),
        (_AlwaysEqual([1]), [1], True),
        (_Integer(7), 3, False),
        (_Integer(7), 7, True),
    ],
)
def test_results(found: Any, expected: Any, same: bool) -> None:
    mismatch = result_mismatch(_encoded(found), expected, TOLERANCE)
    assert (mismatch is None) is same, mismatch


def test_results_may_be_wrapped_only_where_the_benchmark_wraps_them() -> None:
    assert result_mismatch(_encoded(3), [3], 0.0, wrapped=True) is None
    assert result_mismatch(_encoded([3]), [3], 0.0, wrapped=True) is None
    assert result_mismatch(_encoded(3), [3], 0.0) == "result: found 3, expected a list"
    assert result_mismatch(_encoded(3), [3, 4], 0.0, wrapped=True) is not None
    assert result_mismatch(_encoded(4), [3], 0.0, wrapped=True) is not None


def test_a_mismatch_names_the_place() -> None:
    expected = {"a": [1, [2, 3]]}
    assert result_mismatch(_encoded({"a": [1, [2, 4]]}), expected, 0.0) == "result['a'][1][1]: found 4, expected 3"


def test_a_cycle_is_no_answer() -> None:
    found: list[Any] = [1]
    found.append(found)
    assert result_mismatch(_encoded(found), [1, [1, [1, 2]]], 0.0) is not None


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"3",
        b"[]",
        b"[[0], {}]",
        b"[[0], []]",
        b'[[-1], [["list", []]]]',
        b'[[true], [["list", []]]]',
        b'[[0], [["same", [0]]]]',
        b'[[0], [["list", 5]]]',
        b'[[0], [["dict", [1]]]]',
        b'[[0], [["int", "zz"]]]',
        b'[[0], [["int", 5]]]',
        b"[[0], [5]]",
        b"[[0], [[[]]]]",
        b'[[0, 0], [["list", []]]]',
        b"[{}, []]",
        b'[[[[0]]], [["list", []]]]',
        b"[" * 100_000,
        b"\xff\xfe",
        b"[9" + b"9" * 100_000 + b", []]",
        b"[3, []][3, []]",
        b"PASS",
    ],
)
def test_forged_results_fail(result: bytes) -> None:
    for expected in (3, [], [1], {"a": 1}, None, "PASS"):
        assert result_mismatch(result, expected, TOLERANCE, wrapped=True) is not None


def test_hostile_sharing_costs_nothing() -> None:
    huge = ["int", "0x" + "f" * 4_000_000]
    many = json.dumps([[0], [["list", [[1]] * 20_000], huge]]).encode()
    wide = ["dict", [part for key in range(200_000) for part in (str(key), key)]]
    dicts = json.dumps([[0], [["list", [[1]] * 20_000], wide]]).encode()
    started = time.process_time()
    assert result_mismatch(many, [1] * 20_000, 0.0) is not None
    assert result_mismatch(dicts, [{"0": 0}] * 20_000, 0.0) is not None
    assert time.process_time() - started < 5.0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_a_value_equals_itself(value: Any) -> None:
    assert result_mismatch(_encoded(value), value, 0.0) is None


@given(_JSON, _JSON)
def test_values_are_equal_as_json_is(found: Any, expected: Any) -> None:
    assert (result_mismatch(_encoded(found), expected, 0.0) is None) is (found == expected)


def test_what_is_shown_is_short() -> None:
    for value in ("a" * 1000, b"\xff" * 1000, 10**5000, [[1] * 1000] * 1000, {"a": "b" * 1000}, 1.5):
        assert len(shown(value, 60)) <= 70 * 4
