"""Math responses and gold answers in, verdicts out."""

from __future__ import annotations

import importlib.util
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from recipes.grading.closing import ClosesOnExit
from recipes.grading.extraction import extract_math_answer, thinking_required
from recipes.grading.math_answers import decide_exactly
from recipes.grading.worker_pool import TaskResult, WorkerPool, then
from recipes.records import Verdict

COMPARISON = "recipes.grading.math_answers:load_comparison"

REMEMBERED = 1_024
"""Comparisons whose outcome is kept: the rollouts of a group often give the same answer."""


class MathGrader(ClosesOnExit):
    """Grades responses against gold answers by the rules of ``extraction`` and ``math_answers``.

    What the exact path decides is decided here; the rest goes to worker processes, where a comparison is killed after
    ``timeout_seconds`` of wall time (verdict "timeout") and a crash is that response's own (verdict "error"). Workers
    start when first needed and end with ``close()``. ``require_thinking``: see ``extraction.thinking_required``.

    Raises ValueError for less than one worker or a budget that is not positive, ImportError without ``math-verify``.
    """

    def __init__(self, workers: int, timeout_seconds: float, require_thinking: bool | None) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise ImportError("grading math needs the package math-verify: pip install 'math-verify==0.9.0'")
        self._require_thinking = require_thinking
        self._pool = WorkerPool(COMPARISON, workers=workers, timeout_seconds=timeout_seconds)
        self._comparisons: OrderedDict[tuple[str, str | tuple[str, ...]], Future[TaskResult]] = OrderedDict()

    def submit(self, response: str, gold: str | Sequence[str]) -> Future[Verdict]:
        """The verdict to come on one response; any of several gold answers is right.

        One thread at a time. The future raises WorkerPoolError when the machine cannot run the workers.
        """
        started = time.perf_counter()
        golds = gold if isinstance(gold, str) else tuple(gold)
        required = thinking_required(self._require_thinking, response)
        extracted = extract_math_answer(response, require_thinking=required)
        if extracted is None:
            return _known(Verdict(False, "no_answer", None, time.perf_counter() - started))
        correct = decide_exactly(extracted, golds)
        if correct is not None:
            return _known(_judged(correct, extracted, time.perf_counter() - started))
        return then(self._compare(extracted, golds), lambda result: _verdict(extracted, result))

    def _compare(self, extracted: str, golds: str | tuple[str, ...]) -> Future[TaskResult]:
        """The comparison of an answer with its gold answers, made once for all rollouts that give that answer."""
        key = (extracted, golds)
        found = self._comparisons.get(key)
        if found is None or (found.done() and found.exception() is not None):
            found = self._comparisons[key] = self._pool.submit(key)
            if len(self._comparisons) > REMEMBERED:
                self._comparisons.popitem(last=False)
        return found

    def grade(self, responses: Sequence[str], golds: Sequence[str | Sequence[str]]) -> list[Verdict]:
        """One verdict per response, in the order of the responses; ``golds[i]`` is the gold answer of ``responses[i]``.

        Raises ValueError when the lengths differ, WorkerPoolError when the machine cannot run the workers.
        """
        if len(responses) != len(golds):
            raise ValueError(
                f"found {len(responses)} responses and {len(golds)} gold answers, expected one per response"
            )
        futures = [self.submit(response, gold) for response, gold in zip(responses, golds, strict=True)]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the worker processes. Idempotent."""
        self._pool.close()


def _known(verdict: Verdict) -> Future[Verdict]:
    future: Future[Verdict] = Future()
    future.set_result(verdict)
    return future


def _judged(correct: bool, extracted: str, seconds: float) -> Verdict:
    return Verdict(correct, "correct" if correct else "wrong", extracted, seconds)


def _verdict(extracted: str, result: TaskResult) -> Verdict:
    if result.status == "done":
        return _judged(result.value is True, extracted, result.seconds)
    return Verdict(False, result.status, extracted, result.seconds)
