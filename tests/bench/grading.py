"""Speed of the grading room, each figure beside a peer's in the same run.

python -m tests.bench.grading [--workers 2] [--samples 1024]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_verdict import CodeOptions
from recipes.grading.math_grader import MathGrader
from tests.bench.peers import math_verify_alone, one_process_per_sample
from tests.bench.quick_programs import samples
from tests.bench.typical_math import responses


def timed(work: Callable[[], Sequence[Any]]) -> tuple[float, Sequence[Any]]:
    """Wall seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def grade_math(pairs: Sequence[tuple[str, str]], workers: int) -> list[bool]:
    """From nothing: the start of the worker processes counts."""
    with MathGrader(workers, 10.0, require_thinking=True) as grader:
        verdicts = grader.grade([response for response, _ in pairs], [gold for _, gold in pairs])
    return [verdict.correct for verdict in verdicts]


def grade_code(pairs: Sequence[tuple[str, dict[str, Any]]], workers: int) -> list[bool]:
    """From nothing: the start of the worker processes and of every sandbox counts."""
    with CodeGrader(workers, CodeOptions(), require_thinking=True) as grader:
        verdicts = grader.grade([response for response, _ in pairs], [tests for _, tests in pairs])
    broken = [verdict.first_failure for verdict in verdicts if verdict.verdict == "sandbox_error"]
    assert not broken, f"{len(broken)} sandbox errors, first {broken[0]}"
    return [verdict.correct for verdict in verdicts]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--samples", type=int, default=1_024)
    parser.add_argument("--peer-samples", type=int, default=128, help="of them, for the slow peer of code grading")
    words = parser.parse_args()

    pairs = responses(words.samples)
    ours, mine = timed(lambda: grade_math(pairs, words.workers))
    peer, theirs = timed(lambda: math_verify_alone(pairs))
    agree = sum(a == b for a, b in zip(mine, theirs, strict=True))
    print(f"math  {len(pairs)} responses, {words.workers} workers\t{ours:8.2f} s\t{len(pairs) / ours:8.0f} per s")
    print(f"      math-verify alone, one process\t{peer:8.2f} s\t{len(pairs) / peer:8.0f} per s")
    print(f"      ratio {peer / ours:.1f}; same verdict on {agree} of {len(pairs)}", flush=True)

    programs = samples(words.samples)
    some = programs[: words.peer_samples]
    seconds, graded = timed(lambda: grade_code(programs, words.workers))
    peer, theirs = timed(lambda: one_process_per_sample(some))
    ratio = (peer / len(some)) / (seconds / len(programs))
    agree = sum(a == b for a, b in zip(graded, theirs, strict=False))
    print(
        f"code  {len(programs)} programs x 10 tests, {words.workers} workers\t{seconds:8.2f} s"
        f"\t{len(programs) / seconds:8.1f} per s"
    )
    print(f"      a process per sample, no sandbox ({len(some)})\t{peer:8.2f} s\t{len(some) / peer:8.1f} per s")
    print(f"      ratio {ratio:.1f}; same verdict on {agree} of {len(some)}")


if __name__ == "__main__":
    main()
