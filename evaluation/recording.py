"""What happens to a sample as it comes: kept at once, graded beside the sampling, counted on the progress bar."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

from tqdm import tqdm

from evaluation.samples import Sample
from evaluation.store import SamplePart
from recipes.records import Problem, Verdict


class Grader(Protocol):
    """``recipes.grading.graders.Grader``."""

    def submit(self, response: str, problem: Problem) -> Future[Verdict]:
        """The verdict to come."""
        ...


class Recorder:
    """Of one process and one benchmark. ``record`` is called from one thread."""

    def __init__(self, part: SamplePart, problems: Mapping[str, Problem], grader: Grader | None, bar: tqdm) -> None:
        """Args:
        grader: None: the samples are graded later.
        bar: told every sample, and the share solved so far.
        """
        self._part, self._problems, self._grader, self._bar = part, problems, grader, bar
        self._lock = threading.Lock()
        self._solved = self._graded = 0
        self._pending: set[Future[Verdict]] = set()
        self._failure: OSError | None = None

    def record(self, sample: Sample) -> None:
        """A sample is complete.

        Raises:
            OSError: the disk does not take it, or did not take an earlier verdict.
        """
        if self._failure is not None:
            raise self._failure
        self._part.append(sample)
        if self._grader is not None:
            verdict = self._grader.submit(sample.text, self._problems[sample.problem_id])
            with self._lock:
                self._pending.add(verdict)
            verdict.add_done_callback(lambda done: self._judged(sample, done))
        self._bar.update(1)

    def finish(self) -> None:
        """Wait for the verdicts under way.

        Raises:
            WorkerPoolError: the machine cannot run the graders.
            OSError: the disk did not take a verdict.
        """
        while True:
            with self._lock:
                pending = list(self._pending)
            if not pending:
                break
            for verdict in pending:
                verdict.result()
                with self._lock:
                    self._pending.discard(verdict)
        if self._failure is not None:
            raise self._failure

    def _judged(self, sample: Sample, done: Future[Verdict]) -> None:
        if done.cancelled() or done.exception() is not None:
            return  # ``finish`` raises it
        verdict = done.result()
        try:
            self._part.grade(sample, verdict)
        except OSError as error:  # in the grader's thread: whoever records next raises it
            self._failure = error
            return
        with self._lock:
            self._graded += 1
            self._solved += verdict.correct and not sample.truncated
            self._bar.set_postfix_str(f"solved {self._solved / self._graded:.1%}", refresh=False)
