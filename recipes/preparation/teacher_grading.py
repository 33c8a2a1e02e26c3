"""Verdicts on a teacher's responses, by the project's own graders; needs no server, so it runs wherever they lie."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.appended import AppendedFile
from recipes.data.rows import canonical
from recipes.grading.graders import Grader, GradingOptions
from recipes.preparation.part_rows import by_problem, live_rows, problem_of
from recipes.preparation.teacher_samples import Responses
from recipes.preparation.teacher_store import Key, TeacherStore
from recipes.records import Problem, Verdict
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.prepare_schema import TeacherSettings

AHEAD = 256
"""Responses handed to the graders before the first verdict is written."""
_COLUMNS = ("id", "digest", "domain", "answer", "tests", "response", "source")
UNDECIDED = frozenset({"timeout", "error", "sandbox_error"})
"""Verdicts that say nothing about the response."""


def options_of(grading: GradingSettings) -> GradingOptions:
    """What the graders take."""
    options: dict[str, Any] = vars(grading)
    return GradingOptions(**options)


def grading_key(grading: GradingSettings) -> str:
    """Eight hexadecimal digits of the options that a verdict may depend on; how many workers there are is none."""
    options = {name: value for name, value in vars(grading).items() if name != "workers"}
    return hashlib.sha256(canonical(options).encode()).hexdigest()[:8]


def has_reference(problem: Problem) -> bool:
    """Whether there is anything to grade by."""
    return problem.tests is not None or bool(problem.answer.strip())


def grade_part(
    rows: Path,
    decided: Sequence[Path],
    parts: int,
    teacher: TeacherSettings,
    grading: GradingSettings,
    folder: Path,
    part: int,
) -> None:
    """A verdict on every response of a part that has none yet, into the store; ``PART.json`` says how many.

    Truncated responses and problems without a reference get none. Of a response that a source carries it is not known
    whether its model thinks, so its thinking has to be closed only where there is any. Whoever goes on after a kill
    grades what is left.

    Raises:
        SandboxUnavailable: programs are to be graded and the machine cannot run the sandbox.
        WorkerPoolError: the machine cannot run the graders.
    """
    store, key = TeacherStore(Path(teacher.store), part, parts), grading_key(grading)
    known = store.verdicts(key).keys()
    responses = Responses(store, store.responses(), teacher.responses, teacher.model or "")
    options = options_of(grading)
    with (
        store.append_verdicts(key) as file,
        Grader(options) as grader,
        Grader(replace(options, require_thinking=None)) as grader_of_sources,
    ):
        line = _Line(file)
        for group in by_problem(live_rows(rows, decided, part, _COLUMNS)):
            problem = problem_of(group[0])
            if not has_reference(problem):
                continue
            for given, text in responses.of(group):
                if given.key not in known and not given.truncated:
                    graded_by = grader if given.row is None else grader_of_sources
                    line.add(given.key, _submit(graded_by, text, problem))
        line.finish()
    write_text(folder / f"{part:05d}.json", json.dumps({"verdicts": len(store.verdicts(key))}) + "\n")


class _Line:
    """Verdicts under way, written in the order in which they were asked for."""

    def __init__(self, file: AppendedFile) -> None:
        self._file = file
        self._waiting: deque[tuple[Key, Future[Verdict]]] = deque()

    def add(self, key: Key, verdict: Future[Verdict]) -> None:
        self._waiting.append((key, verdict))
        while len(self._waiting) > AHEAD:
            self._write()

    def finish(self) -> None:
        while self._waiting:
            self._write()

    def _write(self) -> None:
        (id, of), future = self._waiting.popleft()
        found = future.result()
        self._file.append({"id": id, "of": of, "verdict": found.verdict, "extracted": found.extracted})


def _submit(grader: Grader, text: str, problem: Problem) -> Future[Verdict]:
    try:
        return grader.submit(text, problem)
    except ValueError:  # tests that cannot be run: the selection says so of the problem
        broken: Future[Verdict] = Future()
        broken.set_result(Verdict(False, "sandbox_error", None, 0.0))
        return broken
