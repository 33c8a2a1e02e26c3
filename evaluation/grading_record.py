"""Which settings the verdicts of a folder were given with, so that one score never mixes two graders.

DIR/<benchmark>/grading.json    the settings that change a verdict

A folder without it was graded with its ``settings.yaml``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from evaluation.json_files import read_object
from evaluation.samples import Sample, SamplesError
from evaluation.shards import FOLDER
from evaluation.store import Key, SampleStore
from recipes.atomic_files import write_text
from recipes.settings.grading_schema import VERDICT_KEYS
from recipes.settings.schema import Settings

FILE = "grading.json"
_REPLACING = "replacing"
"""Stands in the file while all verdicts are exchanged: a kill there leaves some of each kind."""


def grading_of(settings: Settings) -> dict[str, Any]:
    """What the verdicts on ``settings.benchmark`` depend on beside samples and problems; JSON values."""
    found = {name: getattr(settings.grading, name) for name in VERDICT_KEYS[settings.benchmark.grader]}
    return {name: list(value) if isinstance(value, list | tuple) else value for name, value in found.items()}


def recorded_words(folder: Path) -> list[str]:
    """``grading.key=value`` words of the verdicts in ``folder``; none without a record."""
    found = _read(folder / FILE)
    return [] if _REPLACING in found else [_word(name, value) for name, value in found.items()]


def write_grading(folder: Path, settings: Settings) -> None:
    """Say that every verdict in ``folder``, present and to come, is given with these settings; atomic."""
    _write(folder, grading_of(settings))


def replacing_verdicts(folder: Path) -> None:
    """Before verdicts of other settings are exchanged; ``write_grading`` follows once they are."""
    _write(folder, {_REPLACING: True})


def differs(folder: Path, settings: Settings) -> bool:
    """The verdicts of ``folder``, if any, were given otherwise than with these settings."""
    found = _found(folder)
    return _REPLACING in found or bool(_differing(found, grading_of(settings)))


def require_same_grading(folder: Path, settings: Settings) -> None:
    """Refuse to add to the verdicts of ``folder`` some of other settings.

    Args:
        folder: of a benchmark or of a shard; it may have no verdicts, or not exist.
        settings: that the next verdicts would be given with.

    Raises:
        SamplesError: names both values of every setting that differs, and the ways to go on.
    """
    if not differs(folder, settings) or not has_verdicts(folder):
        return
    wanted = grading_of(settings)
    found = _found(folder)
    shard = folder.parent.name == FOLDER
    output = folder.parents[2] if shard else folder.parent
    require_one_grading(folder, settings)
    differing = _differing(found, wanted)
    old, new = (" ".join(shlex.quote(_word(name, values[name])) for name in differing) for values in (found, wanted))
    again = f"python -m evaluation.merge {shlex.quote(f'output={output}')} {new}, once all shards are drawn with {old}"
    raise SamplesError(
        f"{folder}: its verdicts were given with {old}, and {new} is asked for; one score does not mix the two. Go on "
        f"with {old}, or grade again what is there and then give this command again: "
        f"{again if shard else _grade_again(output, settings, new)}"
    )


def require_one_grading(folder: Path, settings: Settings) -> None:
    """Refuse verdicts of which some may have been exchanged and others not.

    Raises:
        SamplesError: says how to grade all of them again.
    """
    if _REPLACING in _found(folder):
        raise SamplesError(
            f"{folder}: a grading of everything was killed as it exchanged the verdicts, so two kinds may stand there. "
            f"Grade all of them again: {_grade_again(folder.parent, settings, '')}"
        )


def without_other_verdicts(folder: Path, samples: Mapping[Key, Sample], settings: Settings) -> dict[Key, Sample]:
    """``samples`` of ``folder``, where verdicts of other settings than these count as not given."""
    if not differs(folder, settings):
        return dict(samples)
    return {key: replace(one, verdict=None, extracted=None, first_failure=None) for key, one in samples.items()}


def keep_grading(folder: Path, settings: Settings) -> None:
    """Before ``settings.yaml`` is written anew without any grading: what the verdicts were given with stays known."""
    if not differs(folder, settings):
        return
    if not has_verdicts(folder):
        (folder / FILE).unlink(missing_ok=True)
    elif not (folder / FILE).is_file():
        _write(folder, {name: value for name, value in _found(folder).items() if name in grading_of(settings)})


def has_verdicts(folder: Path) -> bool:
    """Some sample of ``folder`` is graded."""
    return any(one.verdict is not None for one in SampleStore(folder).load().values())


def _grade_again(output: Path, settings: Settings, words: str) -> str:
    place = shlex.quote(f"output={output}")
    return (
        f"python -m evaluation.grade {place} benchmark={settings.benchmark.name} {words}{' ' if words else ''}--again"
    )


def _found(folder: Path) -> dict[str, Any]:
    """The record, or ``grading`` of the folder's settings; empty where there is neither."""
    if (folder / FILE).is_file():
        return _read(folder / FILE)
    path = folder / "settings.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    grading = settings.get("grading") if isinstance(settings, dict) else None
    return dict(grading) if isinstance(grading, dict) else {}


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """A key that older folders do not name counts as unchanged."""
    return [name for name, value in wanted.items() if name in found and found[name] != value]


def _read(path: Path) -> dict[str, Any]:
    return read_object(path, "remove it and grade with evaluation.grade --again") if path.is_file() else {}


def _write(folder: Path, content: Mapping[str, Any]) -> None:
    write_text(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _word(name: str, value: Any) -> str:
    return f"grading.{name}={json.dumps(value, ensure_ascii=False)}"
