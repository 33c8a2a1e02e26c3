"""Whole programs, graded in the sandbox."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from recipes.grading import code_tests
from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_test_format import parse_tests
from recipes.grading.code_tests import grade_program
from recipes.grading.code_verdict import CodeOptions, CodeVerdict
from recipes.grading.sandbox import SandboxEnded, SandboxUnavailable, require_sandbox
from tests.unit.grading.hacking_programs import HACKS, OWN_PROCESS_ONLY


@pytest.fixture(autouse=True, scope="module")
def _sandbox() -> None:
    try:
        require_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


def _graded(program: str, tests: dict[str, Any], **options: Any) -> CodeVerdict:
    return grade_program(program, parse_tests(tests), CodeOptions(**options))


def _stdin(inputs: list[str], outputs: list[str], **more: Any) -> dict[str, Any]:
    return {"kind": "stdin", "inputs": inputs, "outputs": outputs, **more}


def _calls(inputs: list[Any], outputs: list[Any], **more: Any) -> dict[str, Any]:
    return {"kind": "functional", "fn_name": "f", "inputs": inputs, "outputs": outputs, **more}


def _asserts(code: str, entry_point: str = "f", **more: Any) -> dict[str, Any]:
    return {"kind": "assert", "code": code, "entry_point": entry_point, **more}


SUM = _stdin(["3\n1 2 3\n", "2\n-5 5\n"], ["6\n", "0\n"])
NUMBERS = "print(sum(map(int, {}.split()[1:])))"


@pytest.mark.parametrize(
    "program",
    [
        NUMBERS.format("open(0).read()"),
        "import sys\n" + NUMBERS.format("sys.stdin.read()"),
        "import sys\n" + NUMBERS.format("sys.stdin.buffer.read()"),
        "import os\n" + NUMBERS.format("os.read(0, 1 << 20)"),
        NUMBERS.format("open('/dev/stdin').read()"),
        "import sys\ninput = sys.stdin.readline\nn = int(input())\nprint(sum(map(int, input().split())))",
        "import sys\ninput()\n" + "print(sum(map(int, sys.stdin.read().split())))",
        "import sys\nread = sys.stdin.buffer.readline\nread()\nprint(sum(map(int, read().split())))",
        "import sys\nlines = sys.stdin.buffer.readlines()\nprint(sum(map(int, lines[1].split())))",
        "import sys\nfor line in sys.stdin:\n    total = sum(map(int, line.split()))\nprint(total)",
        "import sys\ninput()\nsys.stdout.buffer.write(b'%d\\n' % sum(map(int, input().split())))",
        "import sys\ninput()\nsys.stdout.write(str(sum(map(int, input().split()))))",
        "import os\ninput()\nos.write(1, str(sum(map(int, input().split()))).encode())",
        "total = 0\ndef add(n):\n    global total\n    total += n\ninput()\n"
        "for n in input().split(): add(int(n))\nprint(total)",
        "from __future__ import annotations\ndef main() -> Nothing:\n    input()\n"
        "    print(sum(map(int, input().split())))\n"
        "if __name__ == '__main__':\n    main()",
        "input()\nprint(sum(map(int, input().split())))\nexit()",
        "import sys\ninput()\nprint(sum(map(int, input().split())))\nsys.exit(0)",
        "import sys\ninput()\nprint(sum(map(int, input().split())))\nprint('debug', file=sys.stderr)",
        "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer)\ninput()\n"
        "print(sum(map(int, input().split())))",
        "import io, os, sys\ninput = io.BytesIO(os.read(0, os.fstat(0).st_size)).readline\ninput()\n"
        "print(sum(map(int, input().split())))",
        "import atexit, io, sys\nbuffer = io.StringIO()\nsys.stdout = buffer\n"
        "atexit.register(lambda: sys.__stdout__.write(buffer.getvalue()))\ninput()\n"
        "print(sum(map(int, input().split())))",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\n"
        "def deep(n): return 0 if n == 0 else 1 + deep(n - 1)\n"
        "def main():\n    assert deep(40000) == 40000\n    input()\n    print(sum(map(int, input().split())))\n"
        "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
        "import sys\nsys.setrecursionlimit(10**6)\ndef deep(n): return 0 if n == 0 else 1 + deep(n - 1)\n"
        "assert deep(40000) == 40000\ninput()\nprint(sum(map(int, input().split())))",
        "def deep(n): return 0 if n == 0 else 1 + deep(n - 1)\nassert deep(9000) == 9000\n"
        "input()\nprint(sum(map(int, input().split())))",
        "class Solution:\n    def solve(self, numbers: List[int]) -> int: return reduce(add, numbers)\n"
        "input()\nprint(Solution().solve(list(map(int, input().split()))))",
        "import subprocess\ninput()\nprint(sum(map(int, input().split())))",
        "from functools import lru_cache\n@lru_cache(None)\n"
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "assert fib(5000) > 0\ninput()\nprint(sum(map(int, input().split())))",
    ],
)
def test_real_programs_pass(program: str) -> None:
    verdict = _graded(program, SUM)
    assert (verdict.verdict, verdict.passed, verdict.total, verdict.correct) == ("pass", 2, 2, True), verdict
    assert verdict.first_failure is None
    assert verdict.seconds > 0


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("print(5)", "wrong_answer"),
        ("pass", "wrong_answer"),
        ("1 / 0", "runtime_error"),
        ("input()\nprint(sum(map(int, input().split())))\nraise SystemExit(3)", "runtime_error"),
        ("x = (", "runtime_error"),
        ("import os\nos.abort()", "runtime_error"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "runtime_error"),
        ("while True: pass", "time_limit"),
        ("try:\n    while True: pass\nexcept: print(6)", "time_limit"),
        ("x = bytearray(4 << 30)", "memory_limit"),
        ("x = [0]\nwhile True: x += x", "memory_limit"),
        ("while True: print('x' * 1000)", "output_limit"),
        ("import this_is_no_module", "runtime_error"),
        ("import recipes", "runtime_error"),
        ("import sandboxed", "runtime_error"),
    ],
)
def test_failing_programs_get_their_verdict(program: str, verdict: str) -> None:
    graded = _graded(program, SUM, time_limit_s=1.0)
    assert (graded.verdict, graded.passed, graded.correct) == (verdict, 0, False)
    assert graded.first_failure is not None
    assert graded.first_failure["test"] == 0
    assert graded.first_failure["verdict"] == verdict


def test_the_first_failure_says_what_happened() -> None:
    graded = _graded("input()\nprint(max(map(int, input().split())) * 2)", SUM)
    assert (graded.passed, graded.total) == (1, 2)
    assert graded.first_failure == {
        "test": 1,
        "verdict": "wrong_answer",
        "input": "'2\\n-5 5\\n'",
        "expected": "'0\\n'",
        "found": "'10\\n'",
        "detail": "line 1, token 1: found '10', expected '0'",
    }
    assert json.loads(json.dumps(graded.as_row()))["first_failure"]["test"] == 1
    crashed = _graded("def g(): return [][1]\ng()", SUM).first_failure
    assert crashed is not None
    assert crashed["detail"] == "exit code 1: IndexError: list index out of range"


def test_grading_stops_at_the_first_failure_unless_asked() -> None:
    tests = _stdin(["1", "2", "3", "4"], ["1", "0", "3", "0"])
    assert _graded("print(input())", tests).passed == 1
    graded = _graded("print(input())", tests, all_tests=True)
    assert (graded.passed, graded.total, graded.verdict) == (2, 4, "wrong_answer")
    assert graded.first_failure is not None
    assert graded.first_failure["test"] == 1


def test_no_test_sees_another() -> None:
    program = (
        "import os, builtins\nassert not hasattr(builtins, 'seen')\n"
        "assert not os.path.exists('/tmp/seen') and os.listdir() == []\n"
        "builtins.seen = 1\nopen('/tmp/seen', 'w').close()\nopen('seen', 'w').close()\nprint(input())"
    )
    assert _graded(program, _stdin(["1", "2", "3"], ["1", "2", "3"])).verdict == "pass"


def test_limits_of_the_problem_come_first() -> None:
    slow = "from time import process_time as now\nstart = now()\nwhile now() - start < 1.5: pass\nprint(input())"
    assert _graded(slow, _stdin(["1"], ["1"]), time_limit_s=1.0).verdict == "time_limit"
    assert _graded(slow, _stdin(["1"], ["1"], time_limit_s=4), time_limit_s=1.0).verdict == "pass"
    large = "x = bytearray(200 << 20)\nprint(input())"
    assert _graded(large, _stdin(["1"], ["1"])).verdict == "pass"
    assert _graded(large, _stdin(["1"], ["1"], memory_limit_mb=100)).verdict == "memory_limit"


def test_a_response_without_code_has_no_code() -> None:
    responses = ["The answer is 6.", "```python\nprint(6)\n```", "</think>\n```cpp\nint x;\n```"]
    with CodeGrader(1, CodeOptions(), require_thinking=True) as grader:
        for graded in grader.grade(responses, [SUM] * 3):
            assert (graded.verdict, graded.passed, graded.total, graded.first_failure) == ("no_code", 0, 2, None)
    with CodeGrader(1, CodeOptions(), require_thinking=False) as anywhere:
        assert anywhere.grade(["```python\n" + NUMBERS.format("open(0).read()") + "\n```"], [SUM])[0].correct


def test_malformed_tests_are_an_error_not_a_verdict() -> None:
    with pytest.raises(ValueError, match="found 1 inputs and 0 outputs"):
        _graded("print(1)", _stdin(["1"], []))


def test_a_broken_sandbox_is_no_fault_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise SandboxEnded("the sandbox ended (exit code 9)")

    monkeypatch.setattr(code_tests, "_run", lost)
    graded = _graded(NUMBERS.format("open(0).read()"), SUM)
    assert (graded.verdict, graded.correct, graded.passed) == ("sandbox_error", False, 0)
    assert graded.first_failure is not None
    assert graded.first_failure["detail"] == "the sandbox ended (exit code 9)"


@pytest.mark.parametrize(
    "program",
    [
        "def f(nums, k): return sorted(nums)[:k]",
        "class Solution:\n    def f(self, nums: List[int], k: int) -> List[int]: return heapq.nsmallest(k, nums)",
        "def f(nums, k): return tuple(sorted(nums)[:k])",
        "def f(nums, k):\n    print('noise')\n    return [float(n) for n in sorted(nums)[:k]]",
        "class Solution:\n    def __init__(self): self.k = 0\n"
        "    def f(self, nums, k): return sorted(nums)[: self.k + k]",
        "def helper(x): return x\nf = lambda nums, k: helper(sorted(nums)[:k])\nif __name__ == '__main__': 1 / 0",
        "import sys\nsys.setrecursionlimit(10**6)\ndef d(n): return 0 if n == 0 else 1 + d(n - 1)\n"
        "def f(nums, k): return sorted(nums)[:k] if d(40000) else 0",
    ],
)
def test_functions_pass(program: str) -> None:
    tests = _calls(["[3, 1, 2]\n2", "[1]\n1"], ["[1, 2]", "[1]"])
    assert _graded(program, tests).verdict == "pass"
    assert _graded(program, _calls([[[3, 1, 2], 2], [[1], 1]], [[[1, 2]], [1]])).verdict == "pass"


@pytest.mark.parametrize(
    ("program", "verdict", "detail"),
    [
        ("def f(nums, k): return nums", "wrong_answer", "result: found 3 items, expected 2"),
        ("def f(nums, k): pass", "wrong_answer", "result: found None, expected a list"),
        ("def f(nums): pass", "runtime_error", "takes 1 positional argument"),
        ("def g(nums, k): pass", "runtime_error", "the program defines no function 'f'"),
        ("def f(nums, k): raise KeyError(k)", "runtime_error", "KeyError: 2"),
        ("def f(nums, k): return {1, 2}", "wrong_answer", "found a value of type set"),
        ("def f(nums, k): return object()", "runtime_error", "no plain data"),
        ("def f(nums, k): return f(nums, k)", "runtime_error", "RecursionError"),
        ("import itertools\ndef f(nums, k): return itertools.count()", "runtime_error", "an iterator of more than"),
        ("def f(nums, k):\n    while True: pass", "time_limit", "time limit"),
        ("def f(nums, k): return [0] * (1 << 40)", "memory_limit", "memory limit"),
        ("def f(nums, k): return 'x' * (20 << 20)", "output_limit", "output limit"),
        ("import os\ndef f(nums, k): os._exit(0)", "runtime_error", "before its function returned"),
        ("import sys\nsys.exit(0)", "runtime_error", "before its function returned"),
    ],
)
def test_functions_fail(program: str, verdict: str, detail: str) -> None:
    graded = _graded(program, _calls(["[3, 1, 2]\n2"], ["[1, 2]"]), time_limit_s=1.0)
    assert graded.verdict == verdict
    assert graded.first_failure is not None
    assert detail in graded.first_failure["detail"]


def test_a_name_of_the_header_is_no_answer() -> None:
    tests = {"kind": "functional", "fn_name": "gcd", "inputs": ["4\n6"], "outputs": ["2"]}
    assert _graded("x = 1", tests).verdict == "runtime_error"
    assert _graded("from math import gcd", tests).verdict == "pass"
    assert _graded("def gcd(a, b): return a if b == 0 else gcd(b, a % b)", tests).verdict == "pass"
    asserts = _asserts("assert gcd(4, 6) == 2", "gcd")
    assert _graded("x = 1", asserts).verdict == "runtime_error"
    assert _graded("from math import gcd", asserts).verdict == "pass"


CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\n"


@pytest.mark.parametrize(
    "tests",
    [
        _asserts(CHECK),
        _asserts(CHECK + "check(f)"),
        _asserts(CHECK + "def test_check():\n    check(f)\n\ntest_check()"),
        _asserts(CHECK, "Solution().g"),
        _asserts(CHECK + "check(Solution().g)", ""),
        _asserts("assert f(1) == 2\nassert f(2) == 3", ""),
        _asserts("import math\nfor i in range(200):\n    assert math.isclose(f(i), i + 1)"),
    ],
)
def test_asserts_of_every_style(tests: dict[str, Any]) -> None:
    right = "def f(x): return x + 1\nclass Solution:\n    def g(self, x): return x + 1"
    graded = _graded(right, tests)
    assert (graded.verdict, graded.passed, graded.total) == ("pass", 1, 1), graded.first_failure
    wrong = _graded(right.replace("x + 1", "2"), tests)
    assert (wrong.verdict, wrong.passed) == ("wrong_answer", 0)


def test_setup_reaches_both_sides() -> None:
    setup = "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val, self.next = val, next\n"
    program = "class Solution:\n    def tail(self, head: Optional[ListNode]): return ListNode(9, head.next)"
    code = "node = Solution().tail(ListNode(1, ListNode(2)))\nassert type(node) is ListNode and node.next.val == 2"
    assert _graded(program, _asserts(code, "", setup=setup)).verdict == "pass"


@pytest.mark.parametrize(
    ("program", "verdict", "detail"),
    [
        ("def f(x): return x", "wrong_answer", "line 2 of the tests: AssertionError"),
        ("def f(x): return None + x", "runtime_error", "line 2 of the tests: TypeError: unsupported operand"),
        ("def g(x): return x + 1", "runtime_error", "NameError: name 'f' is not defined"),
        ("x = (", "runtime_error", "SyntaxError"),
        ("raise ValueError('at once')", "runtime_error", "ValueError: at once"),
        ("def f(x):\n    while True: pass", "time_limit", "time limit"),
        ("while True: pass", "time_limit", "time limit"),
        ("def f(x): return bytearray(4 << 30)", "runtime_error", "MemoryError"),
        ("import os\ndef f(x): os._exit(0)", "runtime_error", "the connection ended"),
        ("import os, signal\ndef f(x): os.kill(0, signal.SIGKILL)", "runtime_error", "signal 9"),
        ("def f(x): return f(x)", "runtime_error", "RecursionError"),
    ],
)
def test_asserts_fail(program: str, verdict: str, detail: str) -> None:
    graded = _graded(program, _asserts(CHECK, time_limit_s=1.0))
    assert graded.verdict == verdict, graded.first_failure
    assert graded.first_failure is not None
    assert detail in graded.first_failure["detail"]


def test_tests_that_test_nothing_are_not_the_programs_fault() -> None:
    graded = _graded("def f(x): return 1", _asserts(CHECK, ""))
    assert graded.verdict == "sandbox_error"
    assert graded.first_failure is not None
    assert graded.first_failure["detail"] == "the test code ended without calling the program"


@pytest.mark.parametrize("program", [*HACKS.values(), *OWN_PROCESS_ONLY.values()], ids=[*HACKS, *OWN_PROCESS_ONLY])
def test_hacks_fail_in_every_kind(program: str) -> None:
    for tests in (
        _asserts("def check(candidate):\n    assert candidate(1) == 2"),
        _asserts("expected = 2\nassert abs(f(1) - expected) < 1e-6"),
        _calls(["1"], ["2"]),
        _calls([[1]], [[2]]),
        _stdin(["1"], ["2"]),
        _stdin(["1"], ['{"passed": true}']) if "print" not in program and "b'{" not in program else _stdin([""], ["7"]),
    ):
        graded = _graded(program, tests, time_limit_s=2.0, assert_time_limit_s=2.0)
        assert not graded.correct, tests
        assert graded.verdict not in ("pass", "sandbox_error"), graded.first_failure


def test_a_program_that_keeps_silent_ends_at_the_wall_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tests, "wall_seconds", lambda cpu_seconds: 1.5)
    for tests in (_asserts(CHECK), _calls(["1"], ["2"]), _stdin(["1"], ["2"])):
        started = time.monotonic()
        graded = _graded("import time\ntime.sleep(1000)", tests)
        assert graded.verdict == "time_limit"
        assert time.monotonic() - started < 20
