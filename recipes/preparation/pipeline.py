"""The steps of data preparation in their order, each as phases (paper §3.1.1)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recipes.data.rows import canonical
from recipes.data.sources.reading import plan_reads
from recipes.preparation.collect import read_task, sort_task
from recipes.preparation.decontaminate import benchmark_texts, scan_part, write_texts
from recipes.preparation.deduplicate import decide_task, sign_task
from recipes.preparation.phases import Phase
from recipes.preparation.publish import publish_task
from recipes.preparation.report import report_task
from recipes.settings.prepare_checks import chosen_steps, source_settings
from recipes.settings.prepare_schema import PrepareSettings

WORK = "work"


class Pipeline:
    """Phases as they are added, and the folders of those that decide about rows."""

    def __init__(self, settings: PrepareSettings) -> None:
        self.settings = settings
        self.output = Path(settings.output).resolve()
        self.work = self.output / WORK
        self.parts = settings.parts.count
        self.phases: list[Phase] = []
        self.decided: list[Path] = []

    @property
    def rows(self) -> Path:
        """Folder of the sorted rows."""
        return self.work / "collect.sort"

    def add(self, name: str, tasks: int, run: Any, **follows_from: Any) -> Path:
        """One more phase; gives its folder."""
        self.phases.append(Phase(name, tasks, run, follows_from))
        return self.work / name


def phases_of(settings: PrepareSettings, command: Sequence[str]) -> list[Phase]:
    """Everything that ``settings`` asks for, down to the published files.

    Args:
        command: for the manifest.

    Raises:
        ValueError: inputs or benchmarks that cannot be read; all of them at once.
    """
    pipeline = Pipeline(settings)
    reads = _collect(pipeline)
    steps = chosen_steps(settings)
    if "deduplicate" in steps:
        _deduplicate(pipeline)
    if "decontaminate" in steps:
        _decontaminate(pipeline)
    _publish(pipeline, reads, command)
    return pipeline.phases


def _collect(pipeline: Pipeline) -> int:
    """Read every source, then bring the rows into the order of their content."""
    data, parts = pipeline.settings.data, pipeline.parts
    reads = plan_reads(data.inputs, data, [source_settings(name) for name in data.sources])
    told = [repr(one) for one in reads]  # with the files' sizes and times
    read = pipeline.add("collect.read", len(reads), partial(read_task, reads, parts), parts=parts, reads=told)
    pipeline.add("collect.sort", parts, partial(sort_task, read, len(reads)))
    return len(reads)


def _deduplicate(pipeline: Pipeline) -> None:
    """One row for each problem."""
    rule, parts = pipeline.settings.deduplicate, pipeline.parts
    signed = pipeline.add(
        "deduplicate.sign", parts, partial(sign_task, pipeline.rows, rule.ngram, rule.permutations),
        ngram=rule.ngram, permutations=rule.permutations,
    )  # fmt: skip
    decided = pipeline.add(
        "deduplicate.decide", 1, partial(decide_task, pipeline.rows, signed, parts, rule.threshold),
        threshold=rule.threshold,
    )  # fmt: skip
    pipeline.decided.append(decided)


def _decontaminate(pipeline: Pipeline) -> None:
    """No prompt that a benchmark has."""
    rule = pipeline.settings.decontaminate
    texts = benchmark_texts(pipeline.settings.data)
    content = canonical([[one.benchmark, one.id, one.text] for one in texts])
    told = pipeline.add(
        "decontaminate.benchmarks", 1, partial(write_texts, texts), sha256=hashlib.sha256(content.encode()).hexdigest()
    )
    scan = partial(scan_part, pipeline.rows, told / "texts.parquet", tuple(pipeline.decided), rule)
    decided = pipeline.add("decontaminate.scan", pipeline.parts, scan, **dataclasses.asdict(rule))
    pipeline.decided.append(decided)


def _publish(pipeline: Pipeline, reads: int, command: Sequence[str]) -> None:
    """The files for people and programs, and the counts."""
    settings, decided = pipeline.settings, tuple(pipeline.decided)
    write = partial(
        publish_task, pipeline.rows, pipeline.work / "collect.read", reads, pipeline.parts, decided, pipeline.output
    )
    published = pipeline.add("publish.rows", 1, write)
    pipeline.add("publish.report", 1, partial(report_task, settings, pipeline.work, published, tuple(command)))


def require_own_folder(output: Path) -> None:
    """Files of somebody else are left as they are.

    Raises:
        ValueError: the folder is not empty and this command did not make it.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"output={output}: found a file; expected a folder or nothing: give another path")
    if output.is_dir() and any(output.iterdir()) and not (output / WORK).is_dir():
        raise ValueError(
            f"output={output}: the folder is not empty and not of an earlier run (no {WORK}/ in it), so it is left as "
            f"it is: give a new folder"
        )
