"""The benchmarks of one evaluation: the one that the settings hold in full, and those that they name beside it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from recipes.settings.errors import SettingsProblem
from recipes.settings.evaluation_schema import BenchmarkSettings
from recipes.settings.overrides import group_options, nearest, quoted
from recipes.settings.schema import Settings
from recipes.settings.typed import CONF

LONGEST_NAME = 100
_NAME = re.compile(rf"(?![. ])[\w .-]{{1,{LONGEST_NAME}}}")
_OUTPUTS = ("scores.json", "scores.csv", "report.html", "report.json", "tracking.json", "logs")
"""What else an evaluation writes to its folder."""


def benchmarks(settings: Settings) -> list[BenchmarkSettings]:
    """``settings.benchmark``, then the files of ``conf/benchmark`` that ``benchmark.others`` names, in order.

    References in a file (``${data.directory}``) are those of the settings.

    Raises:
        FileNotFoundError: there is no such file; ``benchmark_problems`` finds that beforehand.
    """
    around = dataclasses.asdict(settings)
    return [settings.benchmark, *(_from_files(name, around) for name in settings.benchmark.others)]


def published(name: str) -> BenchmarkSettings:
    """A file of ``conf/benchmark`` by itself, one without references to other settings.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return _from_files(name, {})


def _from_files(name: str, around: Mapping[str, Any]) -> BenchmarkSettings:
    tree = OmegaConf.create(dict(around))
    base, own = (
        OmegaConf.load(CONF / folder / f"{file}.yaml") for folder, file in (("base", "benchmark"), ("benchmark", name))
    )
    tree.benchmark = OmegaConf.merge(base, own)
    values = OmegaConf.to_container(tree.benchmark, resolve=True)
    assert isinstance(values, dict)
    return BenchmarkSettings(**{str(key): value for key, value in values.items()})


def settings_of_each(settings: Settings) -> list[Settings]:
    """The settings once for each benchmark: ``benchmark`` is that one, and ``evaluation.n`` is a number."""
    return [
        replace(settings, benchmark=one, evaluation=replace(settings.evaluation, n=settings.evaluation.n or one.n))
        for one in benchmarks(settings)
    ]


def benchmark_problems(settings: Settings) -> Iterator[SettingsProblem]:
    """A name that is no folder's, names in ``benchmark.others`` that are no benchmark, or the same one twice."""
    yield from _name_problems(settings.benchmark.name, "benchmark.name")
    known = group_options(CONF)["benchmark"]
    names = [settings.benchmark.name, *settings.benchmark.others]
    for name in settings.benchmark.others:
        if name not in known:
            near = (nearest(name, known) or list(known))[0]
            fix = f"benchmark.others=[{','.join(near if other == name else other for other in names[1:])}]"
            yield SettingsProblem("benchmark.others", name, f"among {', '.join(known)}", fix)
        elif names.count(name) > 1:
            once = [other for other in dict.fromkeys(names[1:]) if other != names[0]]
            yield SettingsProblem(
                "benchmark.others", name, "each benchmark once", f"benchmark.others=[{','.join(once)}]"
            )
        else:
            yield from _name_problems(
                _from_files(name, dataclasses.asdict(settings)).name, f"conf/benchmark/{name}.yaml"
            )


def _name_problems(name: str, key: str) -> Iterator[SettingsProblem]:
    """A benchmark's name is the folder of its samples below ``evaluation.output``."""
    if _NAME.fullmatch(name) and name not in _OUTPUTS:
        return
    clean = re.sub(r"[^\w .-]+", "_", name).lstrip(". ").rstrip()[:LONGEST_NAME].strip("_") or "mine"
    clean = f"{clean}_1" if clean in _OUTPUTS else clean
    yield SettingsProblem(
        key,
        name if name.strip() else repr(name),
        f"the name of a folder of its own in evaluation.output: letters, digits, '_', '.', '-' and blanks, no dot or "
        f"blank first, at most {LONGEST_NAME}",
        f"benchmark.name={clean}" if " " not in clean else quoted("benchmark.name", clean),
    )
