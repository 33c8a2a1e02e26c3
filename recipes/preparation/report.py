"""``report.json``: the counts that add up and what each step found; ``manifest.json``: where it came from.

The report follows from the rows alone: the order of the inputs and the number of workers do not show in it. Places,
times and versions stand in the manifest.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recipes.atomic_files import write_text
from recipes.checkpoints.manifest import file_sha256
from recipes.checkpoints.provenance import git_state
from recipes.preparation.decontaminate import contamination_report
from recipes.preparation.selection_checks import check_counts
from recipes.preparation.teacher_keeping import teacher_counts
from recipes.settings.prepare_checks import chosen_steps
from recipes.settings.prepare_schema import PrepareSettings

PLACES = 1000
"""Rejected rows whose place the manifest has; the rest are counted."""
_LIBRARIES = ("polars", "pyarrow", "rensa", "datatrove", "datasets", "numpy")


def report_task(
    settings: PrepareSettings, work: Path, published: Path, command: tuple[str, ...], folder: Path, task: int
) -> None:
    """The one task of this phase."""
    output = Path(settings.output)
    report = json.loads((published / "counts.json").read_text(encoding="utf-8"))
    for step in chosen_steps(settings):
        if step in _STEPS:
            report[step] = _STEPS[step](settings, work)
    write_text(output / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    manifest = {
        "command": command,
        "settings": dataclasses.asdict(settings),
        "inputs": [_file(path) for path in settings.data.inputs],
        "against": [_file(path) for path in settings.data.against],
        "rejected_at_reading": _places(work / "collect.read"),
        "git": None if (state := git_state()) is None else dataclasses.asdict(state),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_text(output / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _deduplicate(settings: PrepareSettings, work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "deduplicate.decide" / "report.json").read_text(encoding="utf-8"))
    return {"ngram": settings.deduplicate.ngram, "threshold": settings.deduplicate.threshold, **found}


def _decontaminate(settings: PrepareSettings, work: Path) -> dict[str, Any]:
    details = list(_details(work / "decontaminate.scan"))
    rule = settings.decontaminate
    found = contamination_report(details, work / "decontaminate.benchmarks" / "texts.parquet")
    ngrams = Counter(one["ngram"] for one in details)
    commonest = sorted(ngrams.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    return {
        "ngram": rule.ngram,
        "code_ngram": rule.code_ngram,
        "stock_phrase": rule.stock_phrase,
        "benchmarks": found,
        "commonest_ngrams": [{"ngram": ngram, "prompts": count} for ngram, count in commonest],
    }


def _keep(settings: PrepareSettings, work: Path) -> dict[str, Any]:
    counts: dict[str, Any] = dict(teacher_counts(work / "keep.choose", settings.parts.count))
    return {"teacher": settings.teacher.model, "keep": settings.teacher.keep, **counts}


def _of_file(path: str) -> Callable[[PrepareSettings, Path], dict[str, Any]]:
    """A step whose report a task wrote."""

    def read(settings: PrepareSettings, work: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((work / path).read_text(encoding="utf-8"))
        return found

    return read


def _select(settings: PrepareSettings, work: Path) -> dict[str, Any]:
    found = _of_file("select.choose/selection.json")(settings, work)
    files = _of_file("select.write/counts.json")(settings, work)
    return {"checks": check_counts(work / "select.check", settings.parts.count), **found, "files": files}


_STEPS: dict[str, Callable[[PrepareSettings, Path], dict[str, Any]]] = {
    "deduplicate": _deduplicate,
    "decontaminate": _decontaminate,
    "keep": _keep,
    "rebalance": _of_file("rebalance.decide/report.json"),
    "blend": _of_file("blend.plan/report.json"),
    "sft": _of_file("sft.write/report.json"),
    "select": _select,
}


def _details(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.parquet")):
        yield from map(json.loads, pq.read_table(path, columns=["detail"])["detail"].to_pylist())


def _file(path: str) -> dict[str, Any]:
    return {"path": path, "bytes": Path(path).stat().st_size, "sha256": file_sha256(Path(path))}


def _places(read_folder: Path) -> dict[str, Any]:
    """The first rows that could not be read: where they stand, and why."""
    places: list[str] = []
    count = 0
    for path in sorted(read_folder.glob("*/rejected.parquet")):
        table = pq.read_table(path, columns=["place", "reason"])
        count += len(table)
        places += [f"{row['place']}: {row['reason']}" for row in table.slice(0, PLACES - len(places)).to_pylist()]
    return {"rows": count, "first": places}
