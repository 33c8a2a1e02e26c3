"""How many tests a code problem has, and the marks by which suites that were pasted under others' problems are found.

A known copy of LiveCodeBench has one problem's private tests behind every problem's own (rllm 626cbb4); collections
that were put together by machine have more of this kind. Equal single tests prove nothing (``1`` in, ``1`` out);
``WINDOW`` equal ones in a row do.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

from recipes.data.rows import canonical

WINDOW = 3
"""Tests in a row that make a mark; a shorter suite is a mark of its own."""


def count_tests(tests: Mapping[str, Any]) -> int:
    """Tests of a well-formed suite: pairs of input and output, or ``assert`` statements of test code.

    Test code without any assert, which may raise in its own way, is one test.
    """
    if tests.get("kind") == "assert":
        return max(1, len(_asserts(tests)))
    return len(tests["inputs"])


def suite_marks(tests: Mapping[str, Any]) -> list[int]:
    """Unsigned 64-bit marks of a well-formed suite, each once, ascending: one for every ``WINDOW`` tests in a row."""
    if tests.get("kind") == "assert":
        single = _asserts(tests) or [str(tests["code"])]
    else:
        single = [canonical(pair) for pair in zip(tests["inputs"], tests["outputs"], strict=True)]
    whole = len(single) < WINDOW
    windows = [single] if whole else [single[start : start + WINDOW] for start in range(len(single) - WINDOW + 1)]
    return sorted({_mark(window) for window in windows})


def _mark(texts: list[str]) -> int:
    digest = hashlib.sha256("\x1e".join(texts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _asserts(tests: Mapping[str, Any]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escape sequences of other people's programs
        tree = ast.parse(str(tests["code"]))
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)]
