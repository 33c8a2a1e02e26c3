"""Grades the program of a response against the tests of its problem.

The judge stays outside: it sends the program and the inputs into a sandbox, and compares what comes out. Expected
outputs never go where the program runs; test code with asserts runs in a second sandbox and calls the program through
a socket.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from recipes.grading.code_comparison import output_mismatch, result_mismatch, shown
from recipes.grading.code_test_format import AssertTests, CodeTests, FunctionalTests, StdinTests
from recipes.grading.code_verdict import CodeOptions, CodeVerdict
from recipes.grading.sandbox import Sandbox, SandboxEnded, SandboxLimits, SandboxTimeout
from recipes.records import CodeVerdictName

SHOWN = 300
"""Characters of an input, an expected and a found output that a first failure shows."""
LOAD_SECONDS = 60.0
TESTER_SECONDS = 30.0
"""CPU seconds of the test code itself, beyond those of the program."""


class _Outcome(NamedTuple):
    """What one test gave."""

    verdict: CodeVerdictName
    detail: str = ""
    found: str | None = None


def grade_program(code: str, tests: CodeTests, options: CodeOptions) -> CodeVerdict:
    """Grade a program's source against checked tests.

    Starts and ends its own sandboxes; runs until the last test or the first failure is done. Raises SandboxUnavailable
    where the machine cannot run the sandbox that the options ask for.
    """
    started = time.perf_counter()
    passed, failure, index = 0, None, 0
    try:
        for index, outcome in enumerate(_outcomes(code, tests, options)):
            if outcome.verdict == "pass":
                passed += 1
                continue
            failure = failure or _failure(index, outcome, tests)
            if not options.all_tests:
                break
    except (SandboxEnded, SandboxTimeout) as error:
        failure = failure or _failure(index, _Outcome("sandbox_error", str(error)), tests)
        failure |= {"verdict": "sandbox_error"}
    verdict: CodeVerdictName = "pass" if failure is None else failure["verdict"]
    return CodeVerdict(failure is None, passed, tests.total, verdict, failure, time.perf_counter() - started)


def _outcomes(code: str, tests: CodeTests, options: CodeOptions) -> Iterator[_Outcome]:
    memory = (tests.memory_limit_mb or options.memory_limit_mb) << 20
    limits = replace(SandboxLimits(), memory_bytes=memory)
    if isinstance(tests, AssertTests):
        yield _asserted(code, tests, limits, options)
        return
    seconds = tests.time_limit_s or options.time_limit_s
    with Sandbox.start(limits, packages=options.packages, mode=options.sandbox) as sandbox:
        refused = _load(sandbox, code, tests.header)
        for index in range(tests.total):
            if refused is not None:
                yield refused
            elif isinstance(tests, StdinTests):
                yield _printed(_run(sandbox, seconds, "script", stdin=tests.inputs[index]), tests, index)
            else:
                arguments = {"function": tests.fn_name, "arguments": tests.arguments[index]}
                yield _returned(_run(sandbox, seconds, "candidate:call", arguments), tests, index)


def _load(sandbox: Sandbox, code: str, header: bool) -> _Outcome | None:
    sandbox.send({"do": "load", "source": code, "header": header})
    reply = sandbox.receive(LOAD_SECONDS)
    if reply.get("status") == "ready":
        return None
    return _Outcome("runtime_error", str(reply.get("detail"))[:1000])


def _run(sandbox: Sandbox, seconds: float, entry: str, arguments: Any = None, stdin: str = "") -> dict[str, Any]:
    sandbox.send(_request(seconds, entry, arguments, stdin))
    return sandbox.receive(wall_seconds(seconds) + LOAD_SECONDS)


def _request(seconds: float, entry: str, arguments: Any, stdin: str = "") -> dict[str, Any]:
    return {
        "do": "run",
        "entry": entry,
        "arguments": arguments,
        "stdin": stdin.encode("utf-8", "surrogatepass"),
        "cpu_seconds": seconds,
        "wall_seconds": wall_seconds(seconds),
    }


def wall_seconds(cpu_seconds: float) -> float:
    """The wall seconds that a test with so many CPU seconds may take: sleepers end, a busy machine decides nothing."""
    return 4 * cpu_seconds + 4


_LIMITS: dict[Any, CodeVerdictName] = {"time": "time_limit", "memory": "memory_limit", "output": "output_limit"}


def _ended(reply: dict[str, Any]) -> _Outcome | None:
    """The outcome of a test that did not end well by itself, None for one that did."""
    if (limit := reply["limit"]) is not None:
        used = f"{reply['cpu_seconds']:.2f} CPU seconds, {reply['wall_seconds']:.2f} wall seconds"
        return _Outcome(_LIMITS.get(limit, "runtime_error"), f"stopped at the {limit} limit after {used}")
    if reply["exit"] != 0:
        end = f"signal {-reply['exit']}" if reply["exit"] < 0 else f"exit code {reply['exit']}"
        lines = reply["stderr"].strip().splitlines()
        return _Outcome("runtime_error", f"{end}: {lines[-1][:300]}" if lines else end)
    return None


def _printed(reply: dict[str, Any], tests: StdinTests, index: int) -> _Outcome:
    found = shown(reply["stdout"], SHOWN)
    ended = _ended(reply)
    if ended is not None:
        return ended._replace(found=found)
    mismatch = output_mismatch(reply["stdout"], tests.outputs[index], tests.tolerance)
    return _Outcome("pass") if mismatch is None else _Outcome("wrong_answer", mismatch, found)


def _returned(reply: dict[str, Any], tests: FunctionalTests, index: int) -> _Outcome:
    ended = _ended(reply)
    if ended is not None:
        return ended
    if not reply["result"]:
        return _Outcome("runtime_error", "the process ended before its function returned")
    mismatch = result_mismatch(reply["result"], tests.outputs[index], tests.tolerance, wrapped=tests.wrapped)
    return _Outcome("pass") if mismatch is None else _Outcome("wrong_answer", mismatch, shown(reply["result"], SHOWN))


def _asserted(code: str, tests: AssertTests, limits: SandboxLimits, options: CodeOptions) -> _Outcome:
    seconds = tests.time_limit_s or options.assert_time_limit_s
    ours, theirs = socket.socketpair()
    with ours, theirs:
        start = partial(Sandbox.start, packages=options.packages, mode=options.sandbox)
        with start(limits, peer=theirs.fileno()) as program, start(SandboxLimits(), peer=ours.fileno()) as tester:
            refused = _load(program, f"{tests.setup}\n{code}" if tests.setup else code, tests.header)
            if refused is not None:
                return refused
            _load(tester, "", False)
            program.send(_request(seconds, "service:serve", {"classes": list(tests.classes)}))
            texts = {"setup": tests.setup, "code": tests.code, "entry_point": tests.entry_point}
            tester.send(_request(seconds + TESTER_SECONDS, "tester:run", {**texts, "call_check": tests.call_check}))
            return _verdict_of_asserts(*_replies(program, tester, (ours, theirs), seconds))


def _replies(
    program: Sandbox, tester: Sandbox, ends: tuple[socket.socket, socket.socket], seconds: float
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The reply of the test code, and of the program where it came before.

    When the program ends, the connection is shut down: the interpreters in both sandboxes hold it open.
    """
    deadline = time.monotonic() + wall_seconds(seconds + TESTER_SECONDS) + LOAD_SECONDS
    ended = None
    while True:
        waiting = (tester,) if ended is not None else (tester, program)
        ready = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            raise SandboxTimeout("the sandboxes of a program and its test code did not answer in time")
        if program in ready:
            ended = program.receive(LOAD_SECONDS)
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        if tester in ready:
            return ended, tester.receive(LOAD_SECONDS)


def _verdict_of_asserts(program: dict[str, Any] | None, tester: dict[str, Any]) -> _Outcome:
    """A pass rests on the test code's own word alone; how the program ended only explains a failure."""
    try:
        outcome = json.loads(tester["result"])
        passed, by, detail = outcome["passed"], outcome.get("by"), str(outcome.get("detail", ""))
    except (ValueError, TypeError, KeyError):
        broken = _ended(tester) or _Outcome("runtime_error", "exit code 0")
        if broken.verdict == "runtime_error":
            return _Outcome("wrong_answer", f"the test code ended on what the program gave: {broken.detail}")
        return broken
    if passed is True and tester["limit"] is None and tester["exit"] == 0:
        return _Outcome("pass")
    if by == "tests":
        return _Outcome("sandbox_error", detail)
    ended = None if program is None else _ended(program)
    if ended is not None and by == "program":
        return ended
    where = f"line {outcome['line']} of the tests: " if outcome.get("line") else ""
    return _Outcome("runtime_error" if by == "program" else "wrong_answer", where + detail, outcome.get("found"))


def _failure(index: int, outcome: _Outcome, tests: CodeTests) -> dict[str, Any]:
    given = expected = None
    if isinstance(tests, StdinTests):
        given, expected = shown(tests.inputs[index], SHOWN), shown(tests.outputs[index], SHOWN)
    elif isinstance(tests, FunctionalTests):
        given, expected = shown(tests.arguments[index], SHOWN), shown(tests.outputs[index], SHOWN)
    return {
        "test": index,
        "verdict": outcome.verdict,
        "input": given,
        "expected": expected,
        "found": outcome.found,
        "detail": outcome.detail,
    }
