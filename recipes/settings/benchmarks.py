"""The benchmarks of one evaluation: the one that the settings hold in full, and those that they name beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from recipes.settings.errors import SettingsProblem
from recipes.settings.evaluation_schema import BenchmarkSettings
from recipes.settings.overrides import group_options, nearest
from recipes.settings.schema import Settings
from recipes.settings.typed import CONF


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
    """Names in ``benchmark.others`` that are no benchmark, or the same one twice."""
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
