"""What the grading room is measured against, in the same run."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def run_in_this_process(program: str, text: str) -> str:
    """Standard output of a program that is executed here, with its standard streams replaced; as LiveCodeBench does."""
    output, stdin = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(text)
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    finally:
        sys.stdin = stdin
    return output.getvalue()


def _one_sample(program: str, tests: Mapping[str, Any], verdicts: Any) -> None:
    """LiveCodeBench's worker: every test under an alarm of six seconds, the first failure ends it."""
    for text, expected in zip(tests["inputs"], tests["outputs"], strict=True):
        signal.alarm(6)
        try:
            right = run_in_this_process(program, text).split() == expected.split()
        except Exception:
            right = False
        signal.alarm(0)
        verdicts.append(right)
        if not right:
            return


def one_process_per_sample(samples: Sequence[tuple[str, Mapping[str, Any]]]) -> list[bool]:
    """LiveCodeBench's ``check_correctness``: a manager and a process for each sample, without any isolation.

    Source of the shape: LiveCodeBench, lcb_runner/evaluation/compute_code_generation_metrics.py.
    """
    found = []
    for response, tests in samples:
        program = response.rpartition("```python\n")[2].partition("\n```")[0]
        with multiprocessing.Manager() as manager:
            verdicts = manager.list()
            process = multiprocessing.Process(target=_one_sample, args=(program, tests, verdicts))
            process.start()
            process.join(timeout=7 * len(tests["inputs"]) + 5)
            if process.is_alive():
                process.kill()
            found.append(len(verdicts) == len(tests["inputs"]) and all(verdicts))
    return found


def math_verify_alone(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """math-verify as its documentation uses it: parse the gold answer and the whole response, then verify."""
    from math_verify import parse, verify

    return [bool(verify(parse(f"${gold}$"), parse(response))) for response, gold in pairs]
