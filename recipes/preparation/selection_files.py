"""The files of the RL stages and the held-out ones, ``math1.jsonl`` and so on, in the form that training reads."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file, write_text
from recipes.data.jsonl import problem_row
from recipes.preparation.part_rows import live_rows
from recipes.preparation.selection import HELD_OUT
from recipes.preparation.selection_checks import filled_answers
from recipes.preparation.selection_facts import DIFFICULTY, Fact
from recipes.preparation.teacher_responses import instruction_of
from recipes.records import Problem
from recipes.settings.prepare_schema import TeacherSettings
from recipes.settings.stage_rules import STAGES

FILES = (*STAGES, *HELD_OUT.values())
"""Names of the files, without ``.jsonl``."""
_COLUMNS = ("id", "domain", "problem", "answer", "tests", "source", "licence", "metadata")
_OWN_KEYS = frozenset(("id", "problem", "answer", "tests", "response", "source", "licence"))


def write_stages_task(
    rows: Path,
    decided: Sequence[Path],
    answers: Path | None,
    selected: Path,
    parts: int,
    teacher: TeacherSettings,
    output: Path,
    folder: Path,
    task: int,
) -> None:
    """The one task that writes the files into ``output``, in the order of ids, and ``counts.json`` into the folder.

    A row carries ``teacher_tokens``, ``difficulty`` (failures of 8) and ``teacher_responses`` where they are known, and
    its own ``instruction`` where starter code makes it differ from the stage's. A collection's own ``difficulty`` goes
    on as ``source_difficulty``. A file without rows is not written, and one of an earlier selection is removed.

    Args:
        answers: as ``selection_checks.check_part``.
        selected: folder of ``selection.select_task``.
    """
    chosen = _chosen(selected)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {name: stack.enter_context(atomic_file(output / f"{name}.jsonl")) for name in FILES}
        for part in range(parts):
            filled = {} if answers is None else filled_answers(answers, part)
            for row in live_rows(rows, decided, part, _COLUMNS):
                if row["row"] not in chosen:
                    continue
                names, fact = chosen[row["row"]]
                line = json.dumps(stage_row(row, fact, filled.get(row["id"], ""), teacher), ensure_ascii=False) + "\n"
                for name in names:
                    files[name].write(line)
                    counts[name] += 1
    for name in FILES:
        if not counts[name]:
            (output / f"{name}.jsonl").unlink()
    write_text(folder / "counts.json", json.dumps({name: counts[name] for name in FILES}) + "\n")


def stage_row(row: Mapping[str, Any], fact: Fact, filled: str, teacher: TeacherSettings) -> dict[str, Any]:
    """A row as ``recipes.data.jsonl.read_problems`` reads it.

    Args:
        filled: the gold answer that stands in where the row has none.
    """
    metadata = json.loads(row["metadata"])
    own = {key: value for key, value in metadata.items() if key not in _OWN_KEYS and key not in fact.metadata}
    if DIFFICULTY in metadata and fact.metadata.get(DIFFICULTY) != metadata[DIFFICULTY]:
        own["source_difficulty"] = metadata[DIFFICULTY]
        own.pop(DIFFICULTY, None)
    instruction = instruction_of(row["domain"], metadata, teacher)
    if instruction not in (teacher.instruction, teacher.code_instruction):
        own["instruction"] = instruction
    more = {"source": row["source"], "licence": row["licence"], **fact.metadata, **own}
    tests = json.loads(row["tests"]) if row["tests"] else None
    answer = "" if tests is not None else row["answer"] or filled
    return problem_row(Problem(row["id"], row["problem"], answer, more, tests))


def _chosen(selected: Path) -> dict[int, tuple[list[str], Fact]]:
    """Row -> the files that take it, and what is known of it."""
    found: dict[int, tuple[list[str], Fact]] = defaultdict(lambda: ([], Fact()))
    for one in pq.read_table(selected / "chosen.parquet").to_pylist():
        fact = Fact(one["teacher_tokens"], one["difficulty"], one["teacher_responses"])
        found[one["row"]] = ([*found[one["row"]][0], one["file"]], fact)
    return dict(found)
