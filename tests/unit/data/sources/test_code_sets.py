from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.rows import SourceRow
from recipes.data.sources.code_sets import (
    acereason_sft_row,
    apps_row,
    deepcoder_row,
    opencoder_row,
    opencodereasoning_row,
)
from recipes.data.sources.fields import Origin
from recipes.data.sources.reading import ADAPTERS
from recipes.grading.code_test_format import AssertTests, FunctionalTests, StdinTests, parse_tests

ORIGIN = Origin("set", "mit", "code")
CODEFORCES = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "code" / "codeforces_test408.jsonl"


def test_apps_and_taco() -> None:
    published = {
        "problem_id": 0,
        "question": "Add two numbers.",
        "solutions": json.dumps(["print 1", "print(sum(map(int, input().split())))"]),
        "input_output": json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]}),
        "difficulty": "interview",
        "url": "https://codeforces.com/problemset/problem/1/A",
        "starter_code": "",
    }
    row = apps_row(published, ORIGIN)
    assert isinstance(parse_tests(row.tests), StdinTests)
    assert row.metadata == {
        "source_id": 0,
        "difficulty": "interview",
        "url": "https://codeforces.com/problemset/problem/1/A",
        "solutions": 2,
        "reference_solution": "print(sum(map(int, input().split())))",
    }
    taco = {**published, "source": "codewars", "starter_code": "def f(x):\n\t", "picture_num": None}
    taco["input_output"] = json.dumps({"fn_name": "f", "inputs": [[1]], "outputs": [[2]]})
    row = apps_row(taco, ORIGIN)
    assert isinstance(parse_tests(row.tests), FunctionalTests)
    assert (row.metadata["origin"], row.metadata["starter_code"]) == ("codewars", "def f(x):")
    assert "picture_num" not in row.metadata
    assert apps_row({**published, "input_output": "", "solutions": ""}, ORIGIN).tests is None


def test_opencoder() -> None:
    published = {
        "seq_id": 12,
        "instruction": "Write a function that doubles.",
        "output": "```python\ndef double(x: int) -> int:\n    return 2 * x\n```",
        "code": "def double(x: int) -> int:\n    return 2 * x",
        "entry_point": "double",
        "testcase": ["assert double(1) == 2", "assert double(0) == 0"],
    }
    row = opencoder_row(published, ORIGIN)
    assert isinstance(parse_tests(row.tests), AssertTests)
    assert row.metadata == {
        "source_id": 12,
        "solution": published["output"],
        "reference_solution": "def double(x: int) -> int:\n    return 2 * x",
        "starter_code": "def double(x: int) -> int:",
    }
    evol = opencoder_row({"seq_id": 3, "instruction": "Explain.", "output": "Well.", "tag": "evol"}, ORIGIN)
    assert (evol.tests, evol.response) == (None, None)
    assert evol.metadata == {"source_id": 3, "solution": "Well.", "tag": "evol"}


def test_opencodereasoning() -> None:
    published = {
        "id": "ab12",
        "input": "Add two numbers.",
        "output": "<think>\nAdd.</think>\n```python\nprint(3)\n```",
        "source": "codeforces",
        "license": "cc-by-4.0",
        "dataset": "code_contests",
        "split": "train",
        "difficulty": "2",
        "solution": "print(3)",
    }
    row = opencodereasoning_row(published, ORIGIN)
    assert (row.response, row.licence, row.tests) == (published["output"], "cc-by-4.0", None)
    assert row.metadata == {
        "source_id": "ab12",
        "origin": "codeforces",
        "dataset": "code_contests",
        "split": "train",
        "difficulty": "2",
        "solution": "print(3)",
        "teacher": "DeepSeek-R1",
    }
    quoted = opencodereasoning_row({**published, "output": f'"{published["output"]}"'}, ORIGIN)
    assert quoted.response == published["output"]
    with pytest.raises(ValueError, match="stands for row 7 of taco, split train; expected the problem"):
        opencodereasoning_row({**published, "input": "-", "index": "7", "dataset": "taco"}, ORIGIN)


def test_deepcoder() -> None:
    taco = {"problem": "Add.", "tests": json.dumps({"inputs": ["1"], "outputs": ["2"]}), "solutions": ["print(2)"]}
    row = deepcoder_row(taco, ORIGIN)
    assert isinstance(parse_tests(row.tests), StdinTests)
    assert row.metadata == {"reference_solution": "print(2)"}
    lcb = {
        "problem": "Add.",
        "starter_code": "class Solution:\n    def add(self, a: int) -> int:\n        ",
        "tests": json.dumps([{"input": "1", "output": "2", "testtype": "functional", "metadata": {}}]),
        "metadata": json.dumps({"func_name": "add", "difficulty": "easy"}),
    }
    row = deepcoder_row(lcb, ORIGIN)
    tests = parse_tests(row.tests)
    assert isinstance(tests, FunctionalTests) and tests.fn_name == "add"
    assert row.metadata["difficulty"] == "easy"
    assert row.metadata["starter_code"].startswith("class Solution:")
    prime = {
        "problem": "Solve the following coding problem using the programming language python:\n\nAdd.\n\n"
        "Now solve the problem and return the code.",
        "tests": json.dumps([{"type": "stdin_stdout", "input": "1", "output": "2", "fn_name": None}]),
        "solutions": ["```python\nprint(2)\n```"],
    }
    row = deepcoder_row(prime, ORIGIN)
    assert (row.problem, row.metadata) == ("Add.", {"reference_solution": "print(2)"})
    with pytest.raises(ValueError, match="key 'tests' is empty"):
        deepcoder_row({"problem": "Add.", "tests": ""}, ORIGIN)


def test_real_rows_of_deepcoder() -> None:
    if not CODEFORCES.exists():
        pytest.skip(f"{CODEFORCES} is not there: the code problems are no part of the project")
    rows = [deepcoder_row(json.loads(line), ORIGIN) for line in CODEFORCES.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 408
    assert all(isinstance(parse_tests(row.tests), StdinTests) for row in rows)


def test_acereason_sft() -> None:
    published = {
        "category": "math",
        "source": "NuminaMath",
        "input": "1+1?\n\nPlease place your final answer inside \\boxed{}.",
        "output": "<think>\nTwo.</think>\n\\boxed{2}",
    }
    row = acereason_sft_row(published, ORIGIN)
    assert (row.domain, row.problem, row.answer) == ("math", "1+1?", "")
    assert row.response == published["output"]
    assert row.metadata == {"origin": "NuminaMath", "teacher": "DeepSeek-R1"}
    assert acereason_sft_row({**published, "category": "code"}, ORIGIN).domain == "code"
    with pytest.raises(ValueError, match="key 'category' is 'chat'"):
        acereason_sft_row({**published, "category": "chat"}, ORIGIN)


KEYS = (
    *("problem", "question", "input", "instruction", "messages", "category", "tests", "input_output", "solutions"),
    *("answer", "expected_answer", "output", "generated_solution", "testcase", "code", "entry_point", "metadata"),
    *("starter_code", "problem_is_valid", "inference_mode", "source", "id"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.sampled_from(sorted(ADAPTERS)), st.dictionaries(st.sampled_from(KEYS), JSON | JSON.map(json.dumps)))
def test_an_adapter_gives_a_row_or_a_reason(name: str, row: dict[str, Any]) -> None:
    try:
        assert isinstance(ADAPTERS[name](row, ORIGIN), SourceRow)
    except ValueError as error:
        assert str(error)
