"""The benchmarks that an evaluation left in its folder, with the settings of then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yaml import YAMLError

from evaluation.grading_record import recorded_words
from evaluation.json_files import read_identity
from evaluation.samples import SamplesError
from evaluation.tasks import Task, content_hash, read_task
from recipes.settings.overrides import literal
from recipes.settings.saved import saved_settings
from recipes.settings.schema import Settings


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
    moved = literal("evaluation.output", output)
    return [saved_task(output / name, [*overrides, moved], to_grade) for name in names or there]


def _split(words: Sequence[str]) -> tuple[Path, list[str] | None, list[str]]:
    output, names, overrides = None, None, []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("output", "evaluation.output"):
            output = path_of(value)
        elif key == "benchmark":
            names = [name for name in value.split(",") if name]
        else:
            overrides.append(word)
    if output is None:
        raise SamplesError("output=DIR is missing: the folder that evaluation.sample wrote")
    return output, names, overrides


def path_of(value: str) -> Path:
    """The path of a word ``output=DIR``, without the quotes around it that Hydra would take away."""
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return Path(value[1:-1].replace(f"\\{quote}", quote))
    return Path(value)


def saved_task(folder: Path, overrides: Sequence[str], to_grade: bool) -> Task:
    """The benchmark that was sampled into ``folder``; raises as ``saved_tasks``."""
    if named := [word for word in overrides if word.startswith("benchmark.name=")]:
        raise SamplesError(f"{named[0]}: the samples lie in the folder of their benchmark's name; leave the word out")
    settings = _settings(folder / "settings.yaml", [*recorded_words(folder), *overrides])
    task = read_task(settings, to_grade=to_grade)
    sampled = str(read_identity(folder).get("problems_sha256"))
    if content_hash(task.problems) != sampled:
        raise SamplesError(
            f"{settings.benchmark.path}: not the problems that {folder} was sampled with (sha256 {sampled[:12]}...); "
            f"bring that file back, or name its place: benchmark.path=FILE"
        )
    return task


def _settings(path: Path, overrides: Sequence[str]) -> Settings:
    fix = "start the command that sampled it once more, which writes the file anew and draws nothing twice"
    try:
        if path.read_text(encoding="utf-8").strip():
            return saved_settings(path, overrides)
    except FileNotFoundError as error:
        raise SamplesError(f"{path} is missing: the settings that the samples were drawn with; {fix}") from error
    except (UnicodeDecodeError, YAMLError) as error:
        raise SamplesError(f"{path}: no YAML ({' '.join(str(error).split())}); {fix}") from error
    raise SamplesError(f"{path}: an empty file; {fix}")
