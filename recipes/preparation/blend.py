"""Blends: which samples are in v1 to v7, then each blend as Parquet and JSON Lines with its card (paper §3.1.2)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recipes.atomic_files import atomic_file, write_text
from recipes.checkpoints.manifest import file_sha256
from recipes.data.blends import Scale, Wanted, blend_report, plan_blends, size_problems
from recipes.data.data_card import CardFile, Made, card_facts, card_markdown, reproducing
from recipes.data.lengths import LENGTHS
from recipes.data.sft_rows import COLUMNS, SftRow
from recipes.data.tables import write_table
from recipes.preparation.prompt_samples import prompts_with_samples
from recipes.preparation.rebalance import live_prompts, read_lengths
from recipes.preparation.streamed_table import StreamedTable, streamed_table
from recipes.preparation.teacher_responses import instruction_of
from recipes.settings.prepare_schema import BlendsSettings, TeacherSettings

PLAN = LENGTHS.append(pa.field("first", pa.int8()))
"""The samples in a blend, in the order of id and sample; ``first`` is the number of the smallest blend."""
SHARD_ROWS = 50_000
"""Rows of a Parquet file: about 2 GB of long responses."""
PROGRAM = ("python", "-m", "recipes.prepare_data")
PICTURE, CARD, FACTS = "lengths.png", "README.md", "card.json"
_NUMBERS = {"sample", "prompt_tokens", "tokens"}
_TEXTS = {"problem", "instruction", "answer", "response"}
_SHARD = pa.schema(
    [
        (name, pa.int32() if name in _NUMBERS else pa.large_string() if name in _TEXTS else pa.string())
        for name in COLUMNS
    ]
)
_ROW_COLUMNS = ("domain", "problem", "answer", "metadata")


def wanted_of(settings: BlendsSettings) -> Wanted:
    """The sizes of the configuration.

    Raises:
        ValueError: they are none of nested blends; with all that is wrong.
    """
    wanted = Wanted(
        names=tuple(settings.names),
        prompts={"math": tuple(settings.math_prompts), "code": tuple(settings.code_prompts)},
        samples={"math": tuple(settings.math_samples), "code": tuple(settings.code_samples)},
    )
    problems = size_problems(wanted)
    if problems:
        raise ValueError("\n".join(problems))
    return wanted


def plan_task(
    rows: Path,
    lengths: Path,
    decided: Sequence[Path],
    parts: int,
    settings: BlendsSettings,
    seed: int,
    folder: Path,
    task: int,
) -> None:
    """The one task of this phase: ``plan.parquet`` (``PLAN``) and ``report.json``.

    A response that repeats an earlier one to the same prompt is in no blend.

    Args:
        rows: folder of the sorted rows.
        lengths: folder of ``rebalance.count_part``.
        decided: folders of all steps that took rows out, rebalancing as well.

    Raises:
        ValueError: sizes that are none of nested blends.
        TooFew: fewer prompts or responses than they want; the message says which settings work.
    """
    wanted = wanted_of(settings)
    live = live_prompts(rows, decided, parts).select("id").unique()
    known = read_lengths(lengths, parts).join(live, on="id", how="semi")
    distinct = known.filter(pl.col("repeats").is_null())
    scales = _scale(settings.prompts_scale), _scale(settings.responses_scale)
    plan = plan_blends(distinct, wanted, settings.strata, seed, *scales)
    table = distinct.join(plan.members, on=["id", "sample"]).sort("id", "sample")
    write_table(folder / "plan.parquet", table.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(PLAN))
    counts = distinct.group_by("domain").agg(prompts=pl.col("id").n_unique(), samples=pl.len())
    there = {domain: (prompts, samples) for domain, prompts, samples in counts.iter_rows()}
    report = blend_report(plan, wanted.names, there, known.height - distinct.height)
    write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class BlendInputs:
    """Where the texts and the plan of the blends lie."""

    rows: Path
    samples: Path
    plan: Path
    """Folder of ``plan_task``."""
    decided: tuple[Path, ...]
    parts: int
    teacher: TeacherSettings
    """For its instructions."""


def write_task(
    inputs: BlendInputs, names: Sequence[str], command: Sequence[str], output: Path, folder: Path, task: int
) -> None:
    """One blend: ``OUTPUT/NAME/`` with ``NAME.jsonl``, ``train-*.parquet``, the card, its counts and its picture.

    Rows stand in the order of id and sample. The texts are read and written a few at a time.

    Args:
        names: of the blends, smallest first.
        command: words of the command line behind the program's name, for the card.
        output: folder of all blends.
        folder: of the phase; receives the counts, ``NAME.json``.
        task: number of the blend.
    """
    name = names[task]
    own = output / name
    members = read_plan(inputs.plan).filter(pl.col("first") <= task)
    shards = _shard_names(members.height)
    for stale in set(own.glob("train-*.parquet")) - {own / shard for shard in shards}:
        stale.unlink()
    content, teachers = hashlib.sha256(), Counter[str]()
    with atomic_file(own / f"{name}.jsonl") as lines, _Shards(own, shards) as tables:
        for row in _rows(inputs, members):
            line = row.json_line()
            lines.write(line)
            tables.add(row)
            teachers[row.teacher] += 1
            content.update(_content_of(row))
    report = json.loads((inputs.plan / "report.json").read_text(encoding="utf-8"))
    made = Made(
        name=name,
        contains=tuple(names[:task]),
        prompts_scale=report["prompts_scale"],
        responses_scale=report["responses_scale"],
        missing=report["domains_without_samples"],
        command=reproducing(PROGRAM, command),
        teachers=teachers,
        content_sha256=content.hexdigest(),
    )
    facts = card_facts(members)
    rows_of = {f"{name}.jsonl": members.height}
    rows_of |= {shard: min(SHARD_ROWS, members.height - place * SHARD_ROWS) for place, shard in enumerate(shards)}
    files = [
        CardFile(file, count, (own / file).stat().st_size, file_sha256(own / file)) for file, count in rows_of.items()
    ]
    from recipes.reporting.length_histogram import length_histogram_png  # matplotlib, which other steps need not load

    lengths = {domain: members.filter(pl.col("domain") == domain)["tokens"].to_numpy() for domain in facts["domains"]}
    with atomic_file(own / PICTURE, "wb") as picture:
        picture.write(length_histogram_png(lengths, name))
    hashes = {file.name: file.sha256 for file in files}
    content_of = {**facts, "teachers": dict(sorted(teachers.items())), "files": hashes}
    text = json.dumps({"blend": name, **content_of, "content_sha256": made.content_sha256}, indent=1) + "\n"
    write_text(own / FACTS, text)
    write_text(own / CARD, card_markdown(facts, made, files, PICTURE))
    write_text(folder / f"{name}.json", text)


def _scale(setting: float | str) -> Scale:
    return None if isinstance(setting, str) else float(setting)


def _rows(inputs: BlendInputs, members: pl.DataFrame) -> Iterator[SftRow]:
    """The rows of a blend in the order of the plan.

    Raises:
        ValueError: the plan names a sample that is not there.
    """
    columns = ("id", "sample", "domain", "source", "licence", "prompt_tokens", "tokens")
    planned = members.select(columns).iter_rows(named=True)
    waiting = next(planned, None)
    for part in range(inputs.parts):
        for rows_of_prompt, samples in prompts_with_samples(
            inputs.rows, inputs.samples, inputs.decided, part, _ROW_COLUMNS, ("response", "teacher")
        ):
            prompt = rows_of_prompt[0]
            if waiting is None or waiting["id"] != prompt["id"]:
                continue
            instruction = instruction_of(prompt["domain"], json.loads(prompt["metadata"]), inputs.teacher)
            for sample in samples:
                if waiting is None or (waiting["id"], waiting["sample"]) != (sample["id"], sample["sample"]):
                    continue
                yield SftRow(
                    **waiting,
                    problem=prompt["problem"],
                    instruction=instruction,
                    answer=prompt["answer"],
                    response=sample["response"],
                    teacher=sample["teacher"],
                )
                waiting = next(planned, None)
    if waiting is not None:
        raise ValueError(
            f"{inputs.samples}: sample {waiting['sample']} of {waiting['id']} is in the plan and not there; expected "
            "the samples that were counted: give the command again"
        )


def _content_of(row: SftRow) -> bytes:
    """The row's part of the content hash: every text behind its length, so that no two rows give equal bytes."""
    texts = [text.encode() for text in (row.id, str(row.sample), row.problem, row.instruction, row.response)]
    return b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def _shard_names(rows: int) -> list[str]:
    count = max(1, -(-rows // SHARD_ROWS))
    return [f"train-{place:05d}-of-{count:05d}.parquet" for place in range(count)]


class _Shards:
    """Parquet files of ``SHARD_ROWS`` rows, each whole or not there."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self._rows = 0
        self._open = ExitStack()
        self._table: StreamedTable | None = None

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def add(self, row: SftRow) -> None:
        """One row, to the next file where this one is full."""
        if self._table is None or self._rows % SHARD_ROWS == 0:
            self._open.close()
            path = self._folder / self._names[self._rows // SHARD_ROWS]
            self._table = self._open.enter_context(streamed_table(path, _SHARD))
        self._table.add({name: getattr(row, name) for name in COLUMNS})
        self._rows += 1


def read_plan(plan: Path) -> pl.DataFrame:
    """``PLAN`` as it was written."""
    frame = pl.from_arrow(pq.read_table(plan / "plan.parquet"))
    assert isinstance(frame, pl.DataFrame)
    return frame
