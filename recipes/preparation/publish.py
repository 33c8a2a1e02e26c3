"""Publish: what became of every row that was read, as files for people and programs, and the counts that add up."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file, write_text
from recipes.preparation.collect import rejected_rows, rows_path, rows_read
from recipes.preparation.decisions import decisions_of_part
from recipes.preparation.teacher_responses import instruction_of
from recipes.settings.prepare_schema import TeacherSettings

FILES = {
    "duplicate": "duplicates.jsonl",
    "contaminated": "contaminated.jsonl",
    "rejected": "rejected.jsonl",
    "sampled_out": "sampled_out.jsonl",
}
"""Kind of decision -> the file that its rows go to."""
PROBLEMS = "problems.jsonl"
DEMONSTRATIONS = "demonstrations.jsonl"
_BATCH_ROWS = 256
_OWN_KEYS = frozenset(("id", "problem", "answer", "tests", "response", "source", "licence", "decision"))


class CountsDiffer(RuntimeError):
    """Rows were lost or doubled: a defect of the recipe."""


def publish_task(
    rows: Path,
    read_folder: Path,
    reads: int,
    parts: int,
    decided: Sequence[Path],
    teacher: TeacherSettings,
    output: Path,
    folder: Path,
    task: int,
) -> None:
    """The one task of this phase: the JSON Lines files of ``output``, and ``counts.json`` in the phase's folder.

    Every row that was read is in exactly one file, in the order of ids. Rows without a response go to problems.jsonl,
    rows with one to demonstrations.jsonl, both in the form that training reads; all others carry ``decision``, why
    they are out. A problem with starter code gets the ``instruction`` that shows it (1.1, Appendix A).

    Args:
        teacher: its instructions.

    Raises:
        CountsDiffer: the files do not hold every row once.
    """
    counts: Counter[str] = Counter()
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    with ExitStack() as stack:
        names = [PROBLEMS, DEMONSTRATIONS, *FILES.values()]
        files: dict[str, IO[str]] = {name: stack.enter_context(atomic_file(output / name)) for name in names}
        for row in rejected_rows(read_folder, reads).to_pylist():
            out = {"reason": row["reason"], "source": row["source"], "content": row["content"]}
            _write(files[FILES["rejected"]], out)
            _count(counts, by_source, row["source"], "rejected")
        for row, decision in _decided_rows(rows, parts, decided):
            kind = "output" if decision is None else decision[0]
            _count(counts, by_source, row["source"], kind)
            if decision is not None:
                _write(files[FILES[kind]], {**_json_row(row, teacher), "decision": json.loads(decision[1])})
            else:
                _write(files[PROBLEMS if row["response"] is None else DEMONSTRATIONS], _json_row(row, teacher))
    read = sum(rows_read(read_folder, task) for task in range(reads))
    account = {kind: counts[kind] for kind in ("output", *FILES)}
    if sum(account.values()) != read:
        raise CountsDiffer(f"{read} rows were read, {sum(account.values())} are in the files of {output}: {account}")
    if not (output / DEMONSTRATIONS).stat().st_size:
        (output / DEMONSTRATIONS).unlink()
    sources = {name: dict(sorted(found.items())) for name, found in sorted(by_source.items())}
    content = {"counts": {"read": read, **account}, "by_source": sources}
    write_text(folder / "counts.json", json.dumps(content, indent=1) + "\n")


def _decided_rows(
    rows: Path, parts: int, decided: Sequence[Path]
) -> Iterator[tuple[dict[str, Any], tuple[str, str] | None]]:
    for part in range(parts):
        decisions = decisions_of_part(decided, part)
        for batch in pq.ParquetFile(rows_path(rows, part)).iter_batches(_BATCH_ROWS):
            for row in batch.to_pylist():
                yield row, decisions.get(row["row"])


def _count(counts: Counter[str], by_source: dict[str, Counter[str]], source: str, kind: str) -> None:
    counts[kind] += 1
    by_source[source]["read"] += 1
    by_source[source][kind] += 1


def _json_row(row: dict[str, Any], teacher: TeacherSettings) -> dict[str, Any]:
    """In the form of ``recipes.data.jsonl``: metadata beside the row's own keys, which it cannot replace."""
    reference = {"tests": json.loads(row["tests"])} if row["tests"] else {"answer": row["answer"]}
    out = {"id": row["id"], "problem": row["problem"], **reference}
    if row["response"] is not None:
        out["response"] = row["response"]
    metadata = json.loads(row["metadata"])
    more = {key: value for key, value in metadata.items() if key not in _OWN_KEYS}
    instruction = instruction_of(row["domain"], metadata, teacher)
    if instruction not in (teacher.instruction, teacher.code_instruction):
        more["instruction"] = instruction
    return {**out, "source": row["source"], "licence": row["licence"], **more}


def _write(file: IO[str], row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
