"""Which rows can serve as RL problems at all: gold answers and test suites, one part of the rows at a time.

A row that is rejected here says why, in words. What only shows across rows, suites pasted under many problems, is the
one task ``reject_pasted``.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recipes.atomic_files import write_text
from recipes.data.answer_checks import gold_defect
from recipes.data.prompts import prompt_ids, user_turn
from recipes.data.rows import canonical
from recipes.data.suite_checks import count_tests, suite_marks
from recipes.data.tables import DECISIONS, write_table
from recipes.data.tokenizer import load_tokenizer
from recipes.grading.code_grader import CodeGrader
from recipes.grading.code_test_format import parse_tests
from recipes.grading.graders import Grader
from recipes.preparation.gold_checks import GoldCheck
from recipes.preparation.part_rows import by_problem, live_rows
from recipes.preparation.reference_checks import ReferenceCheck, can_run, references_of
from recipes.preparation.streamed_table import StreamedTable, streamed_table
from recipes.preparation.teacher_grading import options_of
from recipes.preparation.teacher_responses import instruction_of
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.prepare_schema import SelectionSettings, TeacherSettings

MARKS = pa.schema(
    [
        ("row", pa.int64()),
        ("mark", pa.uint64()),  # recipes.data.suite_checks
    ]
)
AHEAD = 64
"""Rows whose checks are under way before the first of them is decided."""
_COLUMNS = ("id", "domain", "problem", "answer", "tests", "metadata")

Pending = Callable[[], "str | None"]
"""Why a row is rejected, None where it stays; waits for the graders."""


def check_part(
    rows: Path,
    decided: Sequence[Path],
    answers: Path | None,
    selection: SelectionSettings,
    teacher: TeacherSettings,
    grading: GradingSettings,
    folder: Path,
    part: int,
) -> None:
    """Decide about every row of a part: ``PART.parquet``, with ``marks/PART.parquet`` and ``counts/PART.json``.

    Of several rows of one problem the first one stays, the others are duplicates: a stage's file has each problem once.

    Args:
        answers: folder of gold answers that the teacher's majority gave (``teacher_keeping.ANSWERS``); None: none.

    Raises:
        TokenizerError: ``selection.tokenizer`` cannot be used.
        WorkerPoolError: the machine cannot run the graders.
    """
    filled = {} if answers is None else filled_answers(answers, part)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        decisions = stack.enter_context(streamed_table(folder / f"{part:05d}.parquet", DECISIONS))
        marks = stack.enter_context(streamed_table(folder / "marks" / f"{part:05d}.parquet", MARKS))
        checks = _Checks(selection, teacher, grading, marks, counts, stack)
        waiting: deque[tuple[int, Pending]] = deque()

        def decide_first() -> None:
            row, pending = waiting.popleft()
            defect = pending()
            counts["rejected" if defect else "sound"] += 1
            if defect:
                decisions.add({"row": row, "kind": "rejected", "detail": _detail(reason=defect)})

        for first, *others in by_problem(live_rows(rows, decided, part, _COLUMNS)):
            waiting.append(
                (first["row"], checks.of({**first, "answer": first["answer"] or filled.get(first["id"], "")}))
            )
            while len(waiting) > AHEAD:
                decide_first()
            counts["same_problem"] += len(others)
            for row in others:
                detail = _detail(reason="the same problem", of=first["row"])
                decisions.add({"row": row["row"], "kind": "duplicate", "detail": detail})
        while waiting:
            decide_first()
    write_text(folder / "counts" / f"{part:05d}.json", json.dumps(dict(sorted(counts.items()))) + "\n")


def filled_answers(answers: Path, part: int) -> dict[str, str]:
    """Problem id -> the gold answer that the teacher's majority gave."""
    table = pq.read_table(answers / f"{part:05d}.parquet", columns=["id", "answer"])
    return dict(zip(table["id"].to_pylist(), table["answer"].to_pylist(), strict=True))


class _Checks:
    """The checks of a part, with the processes that they need, which start when first needed."""

    def __init__(
        self,
        selection: SelectionSettings,
        teacher: TeacherSettings,
        grading: GradingSettings,
        marks: StreamedTable,
        counts: Counter[str],
        stack: ExitStack,
    ) -> None:
        options = replace(options_of(grading), require_thinking=None)
        self._selection, self._teacher = selection, teacher
        self._marks, self._counts = marks, counts
        self._math = stack.enter_context(Grader(options))
        self._code: CodeGrader | None = None
        if selection.references > 0 and can_run(options):
            self._code = stack.enter_context(CodeGrader(options.workers, options.code(), None))
        self._tokenizer = None if selection.tokenizer is None else load_tokenizer(selection.tokenizer)

    def of(self, row: Mapping[str, Any]) -> Pending:
        """What is known at once, or what the graders will say."""
        metadata = json.loads(row["metadata"])
        defect = self._length_defect(row, metadata)
        if defect is not None:
            return lambda: defect
        return self._code_checks(row, metadata) if row["domain"] == "code" else self._math_checks(row)

    def _math_checks(self, row: Mapping[str, Any]) -> Pending:
        defect = gold_defect(row["problem"], row["answer"])
        return (lambda: defect) if defect is not None else GoldCheck(row["answer"], self._math).defect

    def _code_checks(self, row: Mapping[str, Any], metadata: Mapping[str, Any]) -> Pending:
        if not row["tests"]:
            return lambda: "no tests"
        tests = json.loads(row["tests"])
        try:
            parse_tests(tests)
        except ValueError as error:
            told = str(error)
            return lambda: told
        count, least = count_tests(tests), self._selection.min_tests
        if count < least:
            return lambda: f"{count} test{'s' if count > 1 else ''}; expected at least selection.min_tests={least}"
        for mark in suite_marks(tests):
            self._marks.add({"row": row["row"], "mark": mark})
        return self._reference_checks(references_of(metadata), tests)

    def _reference_checks(self, programs: list[str], tests: Mapping[str, Any]) -> Pending:
        if not programs:
            self._counts["without_reference"] += 1
            return lambda: None
        if self._code is None:
            self._counts["reference_not_run"] += 1
            return lambda: None
        check = ReferenceCheck(programs[: self._selection.references], tests, self._code)

        def verdict() -> str | None:
            passed = check.passed()
            self._counts[{True: "reference_passed", False: "reference_failed", None: "reference_not_run"}[passed]] += 1
            return check.failure() if passed is False else None

        return verdict

    def _length_defect(self, row: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
        """A token holds at least one byte of the text, so that most prompts need not be counted."""
        if self._tokenizer is None:
            return None
        instruction = instruction_of(row["domain"], metadata, self._teacher)
        limit = self._selection.max_prompt_length
        template = len(prompt_ids("", self._tokenizer, ""))
        if len(user_turn(row["problem"], instruction).encode()) + template <= limit:
            return None
        tokens = len(prompt_ids(row["problem"], self._tokenizer, instruction))
        return f"a prompt of {tokens:,} tokens; selection.max_prompt_length={limit:,}" if tokens > limit else None


def reject_pasted(checked: Path, parts: int, same_tests: int, folder: Path, task: int) -> None:
    """The one task that rejects suites which stand under more than ``same_tests`` problems: ``decisions.parquet``."""
    paths = [checked / "marks" / f"{part:05d}.parquet" for part in range(parts)]
    marks = pl.concat([pl.scan_parquet(path) for path in paths])
    problems = marks.group_by("mark").agg(pl.len().alias("problems")).filter(pl.col("problems") > same_tests)
    found = (
        marks.join(problems, on="mark")
        .group_by("row")
        .agg(pl.col("problems").max(), pl.len().alias("marks"))
        .sort("row")
        .collect()
    )
    rejected = [
        {
            "row": row,
            "kind": "rejected",
            "detail": _detail(reason=f"tests in a row that {count} problems have; pasted under others' problems"),
        }
        for row, count, _ in found.iter_rows()
    ]
    write_table(folder / "decisions.parquet", pa.Table.from_pylist(rejected, DECISIONS))


def check_counts(folder: Path, parts: int) -> dict[str, int]:
    """The counts of all parts together.

    ``sound``, ``rejected`` and ``same_problem`` are rows; of the code rows with tests ``without_reference``,
    ``reference_passed``, ``reference_failed`` and ``reference_not_run`` (no sandbox, or it could not tell).
    """
    total: Counter[str] = Counter()
    for part in range(parts):
        total.update(json.loads((folder / "counts" / f"{part:05d}.json").read_text(encoding="utf-8")))
    return dict(sorted(total.items()))


def _detail(**fields: Any) -> str:
    return canonical({"step": "select", **fields})
