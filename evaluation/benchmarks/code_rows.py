"""Rows of published code benchmarks -> problems with tests."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.benchmarks.evalplus import plus_check
from evaluation.benchmarks.rows import BenchmarkRow, canonical, text_of
from recipes.grading.code_test_format import decode_livecodebench_private, parse_tests
from recipes.records import Problem

EVALPLUS_SECONDS = 20.0
"""CPU time of one problem's tests: EvalPlus allows every call a second or more, the limit here is for all calls."""
EVALPLUS_MEMORY_MB = 4096
"""``evalplus.eval``: 4 GB."""


def humaneval_row(name: str, number: int, row: dict[str, Any], with_starter: str) -> BenchmarkRow:
    """A row of HumanEval, or of HumanEval+ in the layout of EvalPlus' releases (with ``plus_input``).

    The statement is the prompt, and its signature the function header of Appendix A. Imports and helper functions of
    the prompt go into the tests' ``setup``: a response may give the function alone.

    Args:
        with_starter: the instruction, with ``<starter_code>`` where the header goes.

    Raises:
        ValueError: a key is missing, or the code cannot be parsed.
    """
    prompt, entry = text_of(row, "prompt"), text_of(row, "entry_point")
    tests: dict[str, Any] = {"kind": "assert", "code": text_of(row, "test"), "entry_point": entry}
    tests["setup"] = _without(prompt, entry)
    gold: list[Any] = [entry, row["test"]]
    if "plus_input" in row:
        gold = [entry, row.get("canonical_solution"), row.get("base_input"), row["plus_input"], row.get("atol")]
        tests |= {
            "code": plus_check(row, prompt + text_of(row, "canonical_solution")),
            "header": False,
            "time_limit_s": EVALPLUS_SECONDS,
            "memory_limit_mb": EVALPLUS_MEMORY_MB,
        }
    problem = _problem(str(row.get("task_id", f"{name}-{number}")), prompt, tests, with_starter, _header(prompt, entry))
    return BenchmarkRow(problem, canonical(gold))


def mbpp_row(name: str, number: int, row: dict[str, Any]) -> BenchmarkRow | None:
    """A row of MBPP or of MBPP+ (Hugging Face's layout); None outside MBPP's test split, task_id 11 to 510.

    The statement ends with the asserts, as in the MBPP paper (arXiv 2108.07732, §3): they alone name the function.

    Raises:
        ValueError: a key is missing, or the code cannot be parsed.
    """
    asserts = row.get("test_list")
    if not isinstance(asserts, list) or not asserts or not all(isinstance(one, str) for one in asserts):
        raise ValueError(f"key 'test_list' is {asserts!r}; expected a list of asserts")
    task = row.get("task_id")
    plus = isinstance(row.get("test"), str)
    if not plus and isinstance(task, int) and not 11 <= task <= 510:
        return None
    text = text_of(row, "prompt", "text")
    statement = f"{text.strip()}\n\nYour code should pass these tests:\n" + "\n".join(asserts)
    imports = "\n".join(row.get("test_imports") or [])
    code = text_of(row, "test") if plus else "\n".join([str(row.get("test_setup_code") or ""), imports, *asserts])
    tests: dict[str, Any] = {"kind": "assert", "code": code, "entry_point": _called(asserts[0], text_of(row, "code"))}
    if plus:
        tests |= {"header": False, "time_limit_s": EVALPLUS_SECONDS, "memory_limit_mb": EVALPLUS_MEMORY_MB}
    problem = _problem(f"{name}-{number if task is None else task}", statement, tests)
    return BenchmarkRow(problem, canonical([tests["entry_point"], code]))


def livecodebench_row(name: str, number: int, row: dict[str, Any], with_starter: str) -> BenchmarkRow:
    """A row of LiveCodeBench: public and private tests, read from standard input or called.

    Raises:
        ValueError: a key is missing, tests of two kinds, no private test, or a blob that is none.
    """
    if "tests" in row:  # public and private ones together, as DeepCoder has them
        tests = _cases(row, "tests")
    else:
        tests = [*_cases(row, "public_test_cases"), *_cases(row, "private_test_cases")]
    kinds = {str(test.get("testtype")) for test in tests}
    if len(kinds) != 1 or not kinds <= {"stdin", "functional"}:
        raise ValueError(
            f"tests of the types {', '.join(sorted(kinds)) or 'none'}; expected one type, stdin or functional: copies "
            "with another problem's private tests under every problem are known; get another copy"
        )
    found: dict[str, Any] = {"inputs": [one["input"] for one in tests], "outputs": [one["output"] for one in tests]}
    starter = row.get("starter_code") or ""
    if kinds == {"stdin"}:
        found["kind"] = "stdin"
    else:
        found |= {"kind": "functional", "fn_name": _function_name(row, starter)}
    title, statement = row.get("question_title"), text_of(row, "question_content", "problem")
    names = (row.get(key) for key in ("question_id", "id", "task_id"))
    given = next((str(one) for one in names if one not in (None, "")), f"{name}-{number}")
    problem = _problem(given, statement, found, with_starter if starter.strip() else None, starter.rstrip())
    contest = str(row.get("contest_date") or "")[:10]
    more = {"contest_date": contest, "title": title} if contest else {"title": title}
    problem = Problem(problem.id, problem.problem, "", {**problem.metadata, **more}, problem.tests)
    return BenchmarkRow(problem, canonical(found))


def _problem(
    id: str, statement: str, tests: Mapping[str, Any], with_starter: str | None = None, header: str = ""
) -> Problem:
    parse_tests(tests)
    more = {} if with_starter is None else {"instruction": with_starter.replace("<starter_code>", header)}
    return Problem(id, statement.strip(), "", more, tests)


def _cases(row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Tests as a list, as its JSON, or (private ones) as base64 of zlib of a pickle."""
    found = row.get(key)
    if isinstance(found, str) and found.strip():
        found = json.loads(found) if found.lstrip().startswith("[") else decode_livecodebench_private(found)
    if not isinstance(found, list) or not found:
        raise ValueError(f"key {key!r} is {str(found)[:60]!r}; expected tests: a copy without them grades too kindly")
    for number, test in enumerate(found):
        if not isinstance(test, dict) or not {"input", "output"} <= test.keys():
            raise ValueError(f"key {key!r}, test {number}: expected an object with 'input' and 'output'")
    return found


def _function_name(row: dict[str, Any], starter: str) -> str:
    """``metadata.func_name`` of LiveCodeBench, else the last function of the starter code."""
    metadata = row.get("metadata") or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    name = metadata.get("func_name") or (starter.rpartition("def ")[2].partition("(")[0] if "def " in starter else "")
    if not str(name).strip():
        raise ValueError("called tests, but neither metadata.func_name nor a function in starter_code")
    return str(name).strip()


def _without(source: str, function: str) -> str:
    """A prompt's imports and helper functions."""
    kept = (node for node in _parsed(source).body if getattr(node, "name", None) != function)
    return "\n".join(ast.unparse(node) for node in kept)


def _header(prompt: str, function: str) -> str:
    """The signature of the function: ``def f(x: int) -> int:``."""
    found = [node for node in _parsed(prompt).body if isinstance(node, ast.FunctionDef) and node.name == function]
    if not found:
        raise ValueError(f"key 'prompt' does not define {function!r}; expected the function of key 'entry_point'")
    lines = prompt.splitlines()[found[-1].lineno - 1 : found[-1].body[0].lineno - 1]
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _called(test: str, program: str) -> str:
    """The function that an assert is about: the first that it calls and that the reference program defines."""
    defined = {node.name for node in _parsed(program).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for call in _calls(test):
        if call in defined:
            return call
    raise ValueError(f"{test!r} calls no function of the reference program")


def _calls(test: str) -> Iterator[str]:
    for node in ast.walk(_parsed(test)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _parsed(source: str) -> ast.Module:
    """Without the warnings about the escape sequences of other people's programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)
