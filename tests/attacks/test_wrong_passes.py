"""Wrong programs that reach for a pass: graded end to end, none gets it, and no worker hangs."""

from __future__ import annotations

import textwrap
import time

import pytest

from recipes.grading.code_test_format import parse_tests
from recipes.grading.code_tests import grade_program
from recipes.grading.code_verdict import CodeOptions
from recipes.grading.sandbox import SandboxUnavailable, require_sandbox
from tests.attacks.processes import children
from tests.attacks.reward_hacks import ENDS, FORGERIES, PATCHES, RETURNS

try:
    require_sandbox()
except SandboxUnavailable as error:
    pytestmark = pytest.mark.skip(reason=str(error))

LIMITS = {"time_limit_s": 1, "memory_limit_mb": 256}
SECRET = "8041-7733"
TESTS = {
    "stdin": {"kind": "stdin", "inputs": ["1 2\n"], "outputs": [f"{SECRET}\n"], **LIMITS},
    "functional": {"kind": "functional", "fn_name": "f", "inputs": ["[1, 2]"], "outputs": [f'"{SECRET}"'], **LIMITS},
    "assert": {
        "kind": "assert",
        "code": f"def check(f):\n    assert f([1, 2]) == {SECRET!r}\n    assert not f([1, 2]) != {SECRET!r}\n",
        "entry_point": "f",
        **LIMITS,
    },
}


def in_call(source: str) -> str:
    """The same, done only once the program is called."""
    return f"def f(*_):\n{textwrap.indent(source, '    ')}\nif __name__ == '__main__': f()"


HACKS = {**ENDS, **PATCHES, **FORGERIES}
PROGRAMS = {**HACKS, **{f"{name}, in the call": in_call(source) for name, source in HACKS.items()}, **RETURNS}


@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_wrong_pass(name: str, kind: str) -> None:
    before, started = children(), time.monotonic()
    verdict = grade_program(PROGRAMS[name], parse_tests(TESTS[kind]), CodeOptions())
    assert not verdict.correct
    assert verdict.passed == 0
    assert verdict.verdict not in ("pass", "no_code", "sandbox_error"), verdict
    assert SECRET not in str((verdict.first_failure or {}).get("found")) or "answer" in name
    assert time.monotonic() - started < 30
    assert children() <= before


@pytest.mark.parametrize("kind", TESTS)
def test_the_right_answer_passes(kind: str) -> None:
    program = f"def f(*_): return {SECRET!r}\nif __name__ == '__main__': print(f())"
    assert grade_program(program, parse_tests(TESTS[kind]), CodeOptions()).verdict == "pass"
