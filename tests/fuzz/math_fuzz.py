r"""Floods the mathematics grader with random, mutated and hostile responses and watches time, memory and verdicts.

``python -m tests.fuzz.math_fuzz --cases 100000 [--golds FILE.jsonl ...]``; exit status 1 when something was found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from recipes.grading.math_grader import MathGrader
from tests.fuzz.math_responses import GENERATED_GOLDS, Case, cases

BATCH = 500
_MIB = 2**20


@dataclass
class Findings:
    """What a flood showed. ``problems`` is empty after a good one."""

    graded: int = 0
    seconds: float = 0.0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each kind of case got each verdict."""
    problems: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    slowest: str = ""
    memory: list[tuple[int, int, int]] = field(default_factory=list)
    """Cases graded so far, resident bytes of this process, of all its descendants together."""

    def memory_slope(self) -> tuple[float, float]:
        """Least-squares growth of this process and of the descendants, in bytes a case, over the later two thirds."""
        samples = self.memory[len(self.memory) // 3 :]
        return _slope([(n, own) for n, own, _ in samples]), _slope([(n, others) for n, _, others in samples])


def flood(
    count: int,
    *,
    seed: int = 0,
    workers: int = 2,
    timeout_seconds: float = 2.0,
    golds: Sequence[str] = GENERATED_GOLDS,
    progress: bool = False,
) -> Findings:
    """Grade ``count`` cases in batches. Never raises for what the grader does: that is a problem in the findings."""
    findings = Findings()
    source = cases(seed, count, golds)
    started = time.monotonic()
    with (
        MathGrader(workers=workers, timeout_seconds=timeout_seconds, require_thinking=True) as grader,
        tqdm(total=count, unit="case", disable=not progress, file=sys.stderr) as bar,
    ):
        while batch := list(islice(source, BATCH)):
            try:
                _check(findings, batch, grader, timeout_seconds)
            except Exception as error:
                findings.problems.append(f"grade() raised {type(error).__name__}: {error}, on one of {BATCH} cases")
            findings.graded += len(batch)
            findings.memory.append((findings.graded, *_resident_bytes()))
            bar.update(len(batch))
            bar.set_postfix(problems=len(findings.problems), MiB=sum(findings.memory[-1][1:]) // _MIB)
    findings.seconds = time.monotonic() - started
    return findings


def _check(findings: Findings, batch: Sequence[Case], grader: MathGrader, timeout_seconds: float) -> None:
    verdicts = grader.grade([case.response for case in batch], [case.gold for case in batch])
    if len(verdicts) != len(batch):
        findings.problems.append(f"{len(batch)} cases got {len(verdicts)} verdicts")
    for case, verdict in zip(batch, verdicts, strict=False):
        findings.verdicts[case.kind, verdict.verdict] += 1
        shown = f"{case.kind}: gold {case.gold[:100]!r}, response {case.response[:300]!r}"
        if verdict.seconds > findings.slowest_seconds:
            findings.slowest_seconds, findings.slowest = verdict.seconds, shown
        if verdict.seconds > 2 * timeout_seconds + 3:
            findings.problems.append(f"{verdict.seconds:.1f} s for {shown}")
        if verdict.verdict == "error":
            findings.problems.append(f"error for {shown}")
        if case.same and not verdict.correct:
            findings.problems.append(f"{verdict.verdict} for {shown}")


def _resident_bytes() -> tuple[int, int]:
    """Resident memory of this process and of its descendants, from /proc; zeros on systems without it."""
    parents, sizes = {}, {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(line.split(":", 1) for line in (directory / "status").read_text().splitlines() if ":" in line)
        except OSError:
            continue
        parents[int(directory.name)] = int(status["PPid"])
        sizes[int(directory.name)] = int(status.get("VmRSS", "0 kB").split()[0]) * 1024
    own = int(Path("/proc/self").resolve().name) if parents else 0
    family = {own}
    for _ in range(5):
        family |= {child for child, parent in parents.items() if parent in family}
    return sizes.get(own, 0), sum(sizes[process] for process in family - {own} if process in sizes)


def _slope(samples: Sequence[tuple[int, int]]) -> float:
    if len(samples) < 2:
        return 0.0
    mean_x, mean_y = (sum(column) / len(samples) for column in zip(*samples, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.math_fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds of a comparison in a worker")
    parser.add_argument(
        "--golds", type=Path, nargs="*", default=[], help='JSON lines with "answer" or "expected_answer"'
    )
    options = parser.parse_args(arguments)
    golds = [answer for path in options.golds for answer in _answers(path)] or GENERATED_GOLDS
    findings = flood(
        options.cases,
        seed=options.seed,
        workers=options.workers,
        timeout_seconds=options.timeout,
        golds=golds,
        progress=True,
    )
    own, others = findings.memory_slope()
    print(f"{findings.graded} cases in {findings.seconds:.0f} s, {len(findings.problems)} problems")
    for (kind, verdict), number in sorted(findings.verdicts.items()):
        print(f"  {kind:<18}{verdict:<10}{number:>8}")
    print(f"slowest: {findings.slowest_seconds:.2f} s, {findings.slowest}")
    first, last = findings.memory[0], findings.memory[-1]
    print(f"memory of this process: {first[1] / _MIB:.0f} to {last[1] / _MIB:.0f} MiB, {own:.1f} bytes a case")
    print(f"memory of the workers: {first[2] / _MIB:.0f} to {last[2] / _MIB:.0f} MiB, {others:.1f} bytes a case")
    for problem in findings.problems[:50]:
        print("PROBLEM", problem)
    return 1 if findings.problems else 0


def _answers(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:  # splitlines() would also split at U+2028
        rows = [json.loads(line) for line in lines if line.strip()]
    found = (row.get("expected_answer", row.get("answer")) for row in rows)
    return [str(answer).rpartition("####")[2].strip() for answer in found if answer is not None and str(answer).strip()]


if __name__ == "__main__":
    sys.exit(main())
