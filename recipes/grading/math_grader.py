"""The math reward and the math benchmarks' grader: responses and gold answers in, verdicts out."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recipes.grading.extraction import extract_math_answer
from recipes.grading.math_answers import decide_exactly
from recipes.grading.worker_pool import TaskResult, WorkerPool
from recipes.records import Verdict

if TYPE_CHECKING:
    from typing_extensions import Self

COMPARISON = "recipes.grading.math_answers:load_comparison"


class MathGrader:
    """Grades responses against gold answers by the rules of ``extraction`` and ``math_answers``.

    What the exact path decides is decided here; the rest goes to worker processes, where a comparison is killed after
    ``timeout_seconds`` of wall time (verdict "timeout") and a crash is that response's own (verdict "error"). Workers
    start when first needed and end with ``close()``. One thread at a time.

    Raises ValueError for less than one worker or a budget that is not positive, ImportError without ``math-verify``.
    """

    def __init__(self, workers: int, timeout_seconds: float, require_thinking: bool) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise ImportError("grading math needs the package math-verify: pip install 'math-verify==0.9.0'")
        self._require_thinking = require_thinking
        self._pool = WorkerPool(COMPARISON, workers=workers, timeout_seconds=timeout_seconds)

    def grade(self, responses: Sequence[str], golds: Sequence[str]) -> list[Verdict]:
        """One verdict per response, in the order of the responses; ``golds[i]`` is the gold answer of ``responses[i]``.

        Equal answers to equal gold answers are compared once and share the verdict and its seconds.
        Raises ValueError when the lengths differ, WorkerPoolError when the machine cannot run the workers.
        """
        if len(responses) != len(golds):
            raise ValueError(
                f"found {len(responses)} responses and {len(golds)} gold answers, expected one per response"
            )
        verdicts: list[Verdict | None] = [None] * len(responses)
        undecided: dict[tuple[str, str], list[int]] = {}
        for row, (response, gold) in enumerate(zip(responses, golds, strict=True)):
            started = time.perf_counter()
            extracted = extract_math_answer(response, require_thinking=self._require_thinking)
            if extracted is None:
                verdicts[row] = Verdict(False, "no_answer", None, time.perf_counter() - started)
                continue
            correct = decide_exactly(extracted, gold)
            if correct is None:
                undecided.setdefault((extracted, gold), []).append(row)
            else:
                verdicts[row] = _judged(correct, extracted, time.perf_counter() - started)
        for ((extracted, _), rows), result in zip(undecided.items(), self._pool.run(list(undecided)), strict=True):
            for row in rows:
                verdicts[row] = _verdict(extracted, result, seconds=result.seconds / len(rows))
        return [verdict for verdict in verdicts if verdict is not None]

    def close(self) -> None:
        """End the worker processes. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _judged(correct: bool, extracted: str, seconds: float) -> Verdict:
    return Verdict(correct, "correct" if correct else "wrong", extracted, seconds)


def _verdict(extracted: str, result: TaskResult, *, seconds: float) -> Verdict:
    if result.status == "done":
        return _judged(result.value is True, extracted, seconds)
    return Verdict(False, result.status, extracted, seconds)
