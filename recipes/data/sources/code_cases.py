"""Tests of published code problems in the kinds that the graders know (``recipes.grading.code_test_format``)."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Tests = dict[str, Any]


def paired_tests(found: Any, key: str) -> Tests | None:
    """``{"inputs", "outputs", "fn_name"}`` of APPS and TACO -> tests; None where there are none.

    Standard input and output may stand there as lists of lines. Arguments and results of a call stay as they are: JSON
    text, or decoded, the result then in a list of one element or not; the grader knows the three.

    Raises:
        ValueError: no such object.
    """
    if found is None or found == {}:
        return None
    if not isinstance(found, Mapping):
        raise ValueError(f"key {key!r} holds {str(found)[:60]!r}; expected an object with 'inputs' and 'outputs'")
    inputs, outputs = found.get("inputs"), found.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise ValueError(f"key {key!r} has no lists 'inputs' and 'outputs'; found keys {', '.join(sorted(found))}")
    if len(inputs) != len(outputs):
        raise ValueError(f"key {key!r} has {len(inputs)} inputs and {len(outputs)} outputs; expected as many of each")
    if not inputs:
        return None
    name = found.get("fn_name")
    if name:
        return {"kind": "functional", "fn_name": name, "inputs": inputs, "outputs": outputs}
    return {"kind": "stdin", "inputs": [_lines(one) for one in inputs], "outputs": [_lines(one) for one in outputs]}


def listed_tests(found: Sequence[Any], key: str, fn_name: str = "") -> Tests | None:
    """One object for each test, with ``input`` and ``output``, of LiveCodeBench, PrimeIntellect and Codeforces.

    Args:
        fn_name: of calls, where the tests themselves do not say.

    Raises:
        ValueError: tests of two kinds or of two functions, or something else than tests.
    """
    if not found:
        return None
    for number, test in enumerate(found):
        if not isinstance(test, Mapping) or not {"input", "output"} <= test.keys():
            raise ValueError(f"key {key!r}, test {number}: expected an object with 'input' and 'output'")
    kinds = {_kind(test) for test in found}
    if len(kinds) != 1:
        raise ValueError(f"key {key!r} has tests of the kinds {', '.join(sorted(kinds))}; expected one kind")
    pairs: dict[str, Any] = {
        "inputs": [test["input"] for test in found],
        "outputs": [test["output"] for test in found],
    }
    if kinds == {"functional"}:
        names = {_function(test) or fn_name for test in found}
        if len(names) != 1 or not all(names):
            raise ValueError(
                f"key {key!r} calls {', '.join(sorted(filter(None, names))) or 'nothing'}; expected one function"
            )
        pairs["fn_name"] = names.pop()
    return paired_tests(pairs, key)


def assert_tests(statements: Iterable[Any], entry_point: str, key: str) -> Tests | None:
    """A list of asserts -> tests; None where there are none.

    Raises:
        ValueError: something else than text among them.
    """
    lines = list(statements)
    if not all(isinstance(line, str) for line in lines):
        raise ValueError(f"key {key!r} holds {str(lines)[:60]!r}; expected a list of asserts")
    if not any(line.strip() for line in lines):
        return None
    return {"kind": "assert", "code": "\n".join(lines), "entry_point": entry_point}


def first_program(solutions: Any) -> str:
    """The first of several reference programs that Python 3 can parse, without the fences around it; empty: none."""
    texts = [solutions] if isinstance(solutions, str) else solutions if isinstance(solutions, list) else []
    for text in texts:
        if not isinstance(text, str):
            continue
        for program in (text.strip("\n"), unfenced(text)):
            if program.strip() and parsed(program) is not None:
                return program
    return ""


def unfenced(text: str) -> str:
    """The program between the first fence and its end; a text without fences as it is."""
    _, fence, after = text.partition("```")
    if not fence:
        return text.strip("\n")
    body = after.partition("```")[0]
    language, newline, program = body.partition("\n")
    return (program if newline and language.strip().lower() in ("", "python", "python3", "py") else body).strip("\n")


def header_of(program: str, function: str) -> str:
    """The line that defines a function, ``def f(x: int) -> int:``; empty where the program does not."""
    tree = parsed(program)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == function:
            lines = program.splitlines()[node.lineno - 1 : max(node.lineno, node.body[0].lineno - 1)]
            header = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
            return header if header.rstrip().endswith(":") else ""
    return ""


def parsed(program: str) -> ast.Module | None:
    """The syntax tree; None where it is no Python 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escape sequences of other people's programs
        try:
            return ast.parse(program)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _lines(value: Any) -> Any:
    if isinstance(value, list):
        return "\n".join(str(line).rstrip("\n") for line in value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _kind(test: Mapping[str, Any]) -> str:
    kind = str(test.get("testtype") or test.get("type") or "stdin")
    return {"stdin_stdout": "stdin", "function_call": "functional"}.get(kind, kind)


def _function(test: Mapping[str, Any]) -> str:
    metadata = test.get("metadata")
    inner = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    return str(test.get("fn_name") or inner or "")
