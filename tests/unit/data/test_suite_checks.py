from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from recipes.data.suite_checks import WINDOW, count_tests, suite_marks

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "code"


def stdin(*pairs: tuple[str, str]) -> dict:
    return {"kind": "stdin", "inputs": [one for one, _ in pairs], "outputs": [other for _, other in pairs]}


OWN = [(f"{number}\n", f"{number + 1}\n") for number in range(5)]
PASTED = [(f"{number} 7\n", "yes\n") for number in range(4)]


def test_tests_are_counted() -> None:
    assert count_tests(stdin(*OWN)) == 5
    assert count_tests({"kind": "functional", "fn_name": "f", "inputs": ["1"], "outputs": ["2"]}) == 1
    code = "def check(f):\n    assert f(1) == 2\n    for x in range(3):\n        assert f(x)\ncheck(f)"
    assert count_tests({"kind": "assert", "code": code}) == 2
    assert count_tests({"kind": "assert", "code": "check(f)"}) == 1


def test_tests_in_a_row_leave_the_same_marks_behind_whatever_comes_first() -> None:
    one, other = suite_marks(stdin(*OWN, *PASTED)), suite_marks(stdin(*OWN[:2], *PASTED))
    assert len(set(one) & set(other)) == len(PASTED) - WINDOW + 1
    assert len(one) == 9 - WINDOW + 1
    assert one == sorted(one)
    assert all(0 <= mark < 2**64 for mark in one)


def test_single_equal_tests_leave_none() -> None:
    assert not set(suite_marks(stdin(*OWN[:2], *PASTED[:2]))) & set(suite_marks(stdin(*OWN[2:4], *PASTED[:2])))


def test_a_short_suite_is_one_mark() -> None:
    assert suite_marks(stdin(*OWN[:2])) == suite_marks(stdin(*OWN[:2]))
    assert len(suite_marks(stdin(*OWN[:2]))) == 1
    assert suite_marks({"kind": "assert", "code": "assert f(1)\nassert f(2)"}) == suite_marks(
        {"kind": "assert", "code": "assert f(1)  # one\n\nassert f( 2 )"}
    )


def rows(name: str) -> list[dict]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the problems are no part of the project")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def listed(row: dict) -> dict:
    tests = row["tests"]
    return {"inputs": [one["input"] for one in tests], "outputs": [one["output"] for one in tests]}


def test_the_broken_copy_of_livecodebench_is_seen() -> None:
    marks = Counter(
        mark for row in rows("lcb_broken_private_rllm626c_sample5.jsonl") for mark in suite_marks(listed(row))
    )
    assert sum(count == 5 for count in marks.values()) == 12 - WINDOW + 1


def test_real_suites_share_at_most_those_of_versions_of_one_problem() -> None:
    marks = Counter(mark for row in rows("codeforces_test408.jsonl") for mark in suite_marks(listed(row)))
    assert max(marks.values()) == 3
    assert sum(count > 1 for count in marks.values()) == 21
