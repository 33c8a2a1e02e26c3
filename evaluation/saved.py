"""The benchmarks that an evaluation left in its folder, with the settings of then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from evaluation.grading_record import recorded_words
from evaluation.samples import SamplesError
from evaluation.tasks import Task, content_hash, read_task
from recipes.settings.saved import saved_settings


def saved_tasks(words: Sequence[str], *, to_grade: bool = True) -> list[Task]:
    """The tasks of a folder that ``evaluation.sample`` wrote.

    Args:
        words: ``output=DIR`` and, at will, ``benchmark=a,b`` (all that there are, without it) and ``key=value`` words
            that change the settings of then, for instance ``grading.workers=16``.
        to_grade: the machine must be able to grade them.

    Raises:
        SamplesError: no such folder or benchmark, or a benchmark's problems are not those that were sampled.
        SettingsError: words that are no settings.
    """
    output, names, overrides = _split(words)
    there = sorted(path.parent.name for path in output.glob("*/sampling.json"))
    shards = sorted({path.parents[2].name for path in output.glob("*/shards/*/sampling.json")})
    if waiting := [name for name in names or shards if name in shards]:
        raise SamplesError(
            f"{output}: {', '.join(waiting)} lies there in shards; first: python -m evaluation.merge output={output}"
        )
    if not there:
        raise SamplesError(f"output={output}: no samples there; expected a folder that evaluation.sample wrote")
    if unknown := [name for name in names or [] if name not in there]:
        raise SamplesError(f"benchmark={','.join(unknown)}: not in {output}, which has {', '.join(there)}")
    moved = f'evaluation.output="{output}"'
    return [saved_task(output / name, [*overrides, moved], to_grade) for name in names or there]


def _split(words: Sequence[str]) -> tuple[Path, list[str] | None, list[str]]:
    output, names, overrides = None, None, []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("output", "evaluation.output"):
            output = Path(value.strip("\"'"))
        elif key == "benchmark":
            names = [name for name in value.split(",") if name]
        else:
            overrides.append(word)
    if output is None:
        raise SamplesError("output=DIR is missing: the folder that evaluation.sample wrote")
    return output, names, overrides


def saved_task(folder: Path, overrides: Sequence[str], to_grade: bool) -> Task:
    """The benchmark that was sampled into ``folder``; raises as ``saved_tasks``."""
    settings = saved_settings(folder / "settings.yaml", [*recorded_words(folder), *overrides])
    task = read_task(settings, to_grade=to_grade)
    sampled = json.loads((folder / "sampling.json").read_text(encoding="utf-8"))["problems_sha256"]
    if content_hash(task.problems) != sampled:
        raise SamplesError(
            f"{settings.benchmark.path}: not the problems that {folder} was sampled with (sha256 {sampled[:12]}...); "
            f"bring that file back, or name its place: benchmark.path=FILE"
        )
    return task
