"""From responses and verdicts to the samples that training may use, with an account of all the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file, write_text
from recipes.data.rows import canonical
from recipes.data.tables import DECISIONS, SAMPLES
from recipes.grading.extraction import extract_math_answer, thinking_required
from recipes.grading.graders import Grader
from recipes.grading.math_answers import decide_exactly
from recipes.preparation.part_rows import by_problem, live_rows, problem_of
from recipes.preparation.streamed_table import StreamedTable, streamed_table
from recipes.preparation.teacher_grading import UNDECIDED, grading_key, has_reference, options_of
from recipes.preparation.teacher_rules import Choice, Judged, Keep, choose
from recipes.preparation.teacher_samples import Given, Responses, published_text
from recipes.preparation.teacher_store import TeacherStore
from recipes.records import Problem
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.prepare_schema import TeacherSettings

DROPPED = pa.schema(
    [
        ("id", pa.string()),  # of the problem
        ("sample", pa.int32()),  # as in SAMPLES
        ("row", pa.int64()),  # that carries it; null: the teacher was asked for it, its text is in the store
        ("reason", pa.string()),  # recipes.preparation.teacher_rules.Reason
        ("verdict", pa.string()),  # of the grader; null: not graded
        ("extracted", pa.string()),  # the final answer; null: none
        ("tokens", pa.int32()),  # of the teacher's tokenizer; null: not known
    ]
)
FACTS = pa.schema(
    [
        ("id", pa.string()),  # of the problem
        ("responses", pa.int32()),  # that there are
        ("truncated", pa.int32()),
        ("graded", pa.int32()),  # truncated ones included: they count as failures
        ("correct", pa.int32()),
        ("counted", pa.int32()),  # responses whose tokens are known
        ("tokens", pa.int64()),  # their sum, of the teacher's tokenizer
    ]
)
ANSWERS = pa.schema(
    [
        ("id", pa.string()),  # of a problem without a gold answer
        ("answer", pa.string()),  # that the majority gave
        ("votes", pa.int32()),  # responses that gave it
        ("responses", pa.int32()),  # of so many
    ]
)
TABLES = {"samples": SAMPLES, "dropped": DROPPED, "facts": FACTS, "answers": ANSWERS}
"""Folder below the phase's -> schema of its parts; the phase's folder itself has the decisions."""
_COLUMNS = ("id", "digest", "domain", "answer", "tests", "response", "source")


def keep_part(
    rows: Path,
    decided: Sequence[Path],
    parts: int,
    teacher: TeacherSettings,
    grading: GradingSettings,
    folder: Path,
    part: int,
) -> None:
    """Choose among the responses of a part by ``teacher.keep``; from the store alone, so the same bytes every time.

    Writes ``PART.parquet`` (decisions: rows of problems without a response that is kept), ``samples/``, ``dropped/``,
    ``facts/`` and ``answers/PART.parquet`` and ``counts/PART.json``. Every response is in samples or in dropped.
    """
    store = TeacherStore(Path(teacher.store), part, parts)
    responses = Responses(store, store.responses(), teacher.responses, teacher.model or "")
    verdicts = store.verdicts(grading_key(grading))
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(streamed_table(folder / name / f"{part:05d}.parquet", schema))
            for name, schema in TABLES.items()
        }
        decisions = stack.enter_context(streamed_table(folder / f"{part:05d}.parquet", DECISIONS))
        keeper = _Keeper(teacher, grading, verdicts, stack.enter_context(Grader(options_of(grading))), tables, counts)
        for group in by_problem(live_rows(rows, decided, part, _COLUMNS)):
            keeper.problem(group, responses, decisions)
    write_text(folder / "counts" / f"{part:05d}.json", json.dumps(dict(sorted(counts.items()))) + "\n")


def write_dropped_task(kept: Path, parts: int, output: Path, folder: Path, task: int) -> None:
    """The one task that lists every response that is not kept, with its reason, in ``dropped_samples.jsonl``.

    Args:
        kept: folder of ``keep_part``.
    """
    names = [name for name in DROPPED.names if name != "row"]
    with atomic_file(output / "dropped_samples.jsonl") as file:
        for part in range(parts):
            table = pq.ParquetFile(kept / "dropped" / f"{part:05d}.parquet")
            for batch in table.iter_batches(columns=names):
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


def teacher_counts(folder: Path, parts: int) -> dict[str, int]:
    """The counts of all parts together.

    ``not_asked`` (problems without any response, which pass), ``problems`` (all others), ``asked`` (responses wanted of
    the teacher), ``missing`` (of those, not there), ``carried`` (by rows), ``kept``, one count for
    each reason of ``teacher_rules.Reason``, ``problems_without`` (no response is kept) and ``filled`` (gold answers
    that the majority gave). asked - missing + carried = kept + the reasons.
    """
    total: Counter[str] = Counter()
    for part in range(parts):
        total.update(json.loads((folder / "counts" / f"{part:05d}.json").read_text(encoding="utf-8")))
    return dict(sorted(total.items()))


@dataclass(frozen=True, slots=True)
class _Keeper:
    teacher: TeacherSettings
    grading: GradingSettings
    verdicts: Mapping[tuple[str, str], Mapping[str, Any]]
    grader: Grader
    tables: Mapping[str, StreamedTable]
    counts: Counter[str]

    def problem(self, group: Sequence[Mapping[str, Any]], responses: Responses, decisions: StreamedTable) -> None:
        problem, domain, teacher = problem_of(group[0]), group[0]["domain"], self.teacher
        found = responses.of(group)
        if not found:
            self.counts["not_asked"] += 1
            return
        graded = [self.verdicts.get(given.key) for given, _ in found]
        reference = has_reference(problem)
        judged = [
            self._judged(given, text, verdict, domain, vote=not reference and teacher.keep == "majority")
            for (given, text), verdict in zip(found, graded, strict=True)
        ]
        choice = choose(
            judged,
            cast(Keep, teacher.keep),
            math=domain == "math",
            has_reference=reference,
            agreement=teacher.agreement,
            same=self._same,
        )
        self._count(group, found, choice)
        for (given, text), verdict, reason in zip(found, graded, choice.reasons, strict=True):
            if reason is None:
                self.tables["samples"].add(_sample(given, text, verdict, domain))
            else:
                self.tables["dropped"].add(_dropped(given, reason, verdict))
        self.tables["facts"].add(_facts(problem, found, graded, choice))
        if choice.filled is not None:
            filled = {"answer": choice.filled, "votes": choice.votes, "responses": len(found)}
            self.tables["answers"].add({"id": problem.id, **filled})
        for row, detail in _without(group, found, choice):
            decisions.add({"row": row, "kind": "rejected", "detail": canonical({"step": "teacher", **detail})})

    def _judged(self, given: Given, text: str, verdict: Mapping[str, Any] | None, domain: str, *, vote: bool) -> Judged:
        name = None if verdict is None else verdict["verdict"]
        correct = None if name is None or name in UNDECIDED else name in ("correct", "pass")
        if domain != "math":
            return Judged(bool(given.truncated), correct, None if name == "no_code" else "")
        answer = None if verdict is None else verdict["extracted"]
        if vote and not given.truncated:
            setting = self.grading.require_thinking if given.row is None else None
            answer = extract_math_answer(text, require_thinking=thinking_required(setting, text))
        return Judged(bool(given.truncated), correct, answer)

    def _same(self, one: str, other: str) -> bool:
        """By the grader; what it cannot decide at once, in its worker."""
        exactly = decide_exactly(one, other)
        if exactly is not None:
            return exactly
        return self.grader.submit(f"</think>\\boxed{{{one}}}", Problem("", "", other)).result().correct

    def _count(self, group: Sequence[Mapping[str, Any]], found: Sequence[tuple[Given, str]], choice: Choice) -> None:
        counts = self.counts
        counts["problems"] += 1
        if any(row["response"] is not None for row in group):
            counts["carried"] += len(found)
        else:
            counts["asked"] += self.teacher.responses
            counts["missing"] += self.teacher.responses - len(found)
        for reason in choice.reasons:
            counts[reason or "kept"] += 1
        counts["problems_without"] += None not in choice.reasons
        counts["filled"] += choice.filled is not None


def _sample(given: Given, text: str, verdict: Mapping[str, Any] | None, domain: str) -> dict[str, Any]:
    name = None if verdict is None else verdict["verdict"]
    return {
        "id": given.key[0],
        "sample": given.sample,
        "domain": domain,
        "response": published_text(given, text),
        "tokens": None,
        "truncated": given.truncated,
        "correct": None if name is None or name in UNDECIDED else name in ("correct", "pass"),
        "verdict": name,
        "teacher": given.teacher,
    }


def _dropped(given: Given, reason: str, verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "id": given.key[0],
        "sample": given.sample,
        "row": given.row,
        "reason": reason,
        "verdict": None if verdict is None else verdict["verdict"],
        "extracted": None if verdict is None else verdict["extracted"],
        "tokens": given.tokens,
    }


def _facts(
    problem: Problem,
    found: Sequence[tuple[Given, str]],
    graded: Sequence[Mapping[str, Any] | None],
    choice: Choice,
) -> dict[str, Any]:
    """Where the majority gave the gold answer, whoever gave another one failed."""
    names = [None if verdict is None else verdict["verdict"] for verdict in graded]
    truncated = sum(bool(given.truncated) for given, _ in found)
    told = [name for name in names if name is not None and name not in UNDECIDED]
    tokens = [given.tokens for given, _ in found if given.tokens is not None]
    failures = truncated if has_reference(problem) and (told or truncated == len(found)) else 0
    filled = choice.filled is not None
    return {
        "id": problem.id,
        "responses": len(found),
        "truncated": truncated,
        "graded": len(found) if filled else len(told) + failures,
        "correct": choice.votes if filled else sum(name in ("correct", "pass") for name in told),
        "counted": len(tokens),
        "tokens": sum(tokens),
    }


def _without(
    group: Sequence[Mapping[str, Any]], found: Sequence[tuple[Given, str]], choice: Choice
) -> list[tuple[int, dict[str, Any]]]:
    """Rows that end here: those whose own response is dropped, and those of a problem that has none left."""
    reasons = Counter(str(reason) for reason in choice.reasons if reason is not None)
    lost: list[tuple[int, dict[str, Any]]] = [
        (given.row, {"reason": reason})
        for (given, _), reason in zip(found, choice.reasons, strict=True)
        if given.row is not None and reason is not None
    ]
    if None not in choice.reasons:
        detail = {"reason": "no response is kept", "responses": dict(sorted(reasons.items()))}
        lost += [(row["row"], detail) for row in group if row["response"] is None]
    return sorted(lost, key=lambda one: one[0])
