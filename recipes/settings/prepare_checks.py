"""Checks of ``python -m recipes.prepare_data``: steps, inputs, and what a choice asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf

from recipes.settings.errors import SettingsProblem
from recipes.settings.overrides import nearest
from recipes.settings.prepare_schema import PrepareSettings, SourceSettings
from recipes.settings.stage_rules import selection_problems
from recipes.settings.teacher_checks import teacher_problems
from recipes.settings.typed import CONF

STEPS: dict[str, str] = {
    "deduplicate": "one row for each problem",
    "decontaminate": "no problem of a benchmark",
    "respond": "responses of a teacher from a server",
    "keep": "responses graded, those kept that teacher.keep asks for",
    "rebalance": "prompts by the length of their responses",
    "blend": "the SFT blends, with data cards",
    "sft": "the files of recipes.run_sft",
    "select": "the files of the RL stages, by difficulty",
}
"""The steps that can be chosen, in the order of the pipeline, with what each is for; reading and writing always run."""


def published_benchmarks() -> tuple[str, ...]:
    """What ``data.benchmarks=[all]`` means: the files of ``conf/benchmark`` that say where the problems can be had.

    HumanEval+ says so nowhere, and its statements are those of HumanEval.
    """
    files = sorted((CONF / "benchmark").glob("*.yaml"))
    places = {path.stem: str(OmegaConf.select(OmegaConf.load(path), "source", default="file")) for path in files}
    return tuple(name for name, place in places.items() if not place.startswith("file"))


def known_sources() -> tuple[str, ...]:
    """Names of the files in ``conf/source``."""
    return tuple(sorted(path.stem for path in (CONF / "source").glob("*.yaml")))


def prepare_problems(settings: PrepareSettings) -> list[SettingsProblem]:
    """Names that do not exist, names given twice, a step without what it needs."""
    data = settings.data
    problems = [
        *_names("steps", settings.steps, tuple(STEPS), _sound(settings.steps)),
        *_names("data.sources", data.sources, known_sources()),
        *_names("data.benchmarks", data.benchmarks, ("all", *published_benchmarks())),
        *_once("data.inputs", data.inputs),
        *_once("data.against", data.against),
    ]
    if not data.inputs and not data.sources:
        problems.append(
            SettingsProblem(
                "data.inputs", "neither inputs nor sources", "something to read", "data.inputs=[FILE.jsonl]"
            )
        )
    if "decontaminate" in settings.steps and not data.against and not data.benchmarks:
        fix = "data.against=[BENCHMARK.jsonl], or data.benchmarks=[all]"
        problems.append(SettingsProblem("data.against", "decontaminate against nothing", "a benchmark", fix))
    problems += _needs(settings)
    if settings.parts.executor == "slurm" and settings.parts.partition is None:
        fix = "parts.partition=NAME (`sinfo` lists them)"
        problems.append(SettingsProblem("parts.partition", "null", "the Slurm partition for the job arrays", fix))
    output = str(Path(settings.output).resolve())
    if settings.parts.executor == "slurm" and output.split() != [output]:  # datatrove's scripts do not quote it
        problems.append(SettingsProblem("output", output, "a path without blanks, for job scripts", "output=PATH"))
    return problems


_NEEDS = {"respond": "keep", "rebalance": "keep", "blend": "keep", "sft": "blend"}
"""Step -> the step that it cannot do without, or that makes something of it."""


_FOR_SFT = ("rebalance", "blend", "sft")


def _sound(steps: list[str]) -> list[str]:
    """What was meant, with all that it needs, in the order of the pipeline: nothing of it is refused.

    Of steps that exclude each other RL's stay.
    """
    known = {_nearest(step, tuple(STEPS)) for step in steps}
    wanted = known - set(_FOR_SFT) if "select" in known else known
    while more := {_NEEDS[step] for step in wanted & _NEEDS.keys()} - wanted:
        wanted = wanted | more
    return [step for step in STEPS if step in wanted]


def _needs(settings: PrepareSettings) -> Iterator[SettingsProblem]:
    steps = settings.steps
    sound = f"steps=[{','.join(_sound(steps))}]"
    for step, other in _NEEDS.items():
        if step in steps and other not in steps:
            yield SettingsProblem("steps", f"{step} without {other}", f"{other} as well: {STEPS[other]}", sound)
    for_sft = [step for step in _FOR_SFT if step in steps]
    if "select" in steps and for_sft:
        expected = "either: what SFT trains on and what RL trains on are two outputs"
        fix = f"{sound}, and another command for the other"
        yield SettingsProblem("steps", f"select and {for_sft[0]}", expected, fix)
    if "respond" in steps:
        yield from teacher_problems(settings.teacher)
    if "select" in steps:
        yield from selection_problems(settings.selection)


def prepare_inputs(settings: PrepareSettings) -> Iterator[tuple[str, str, str]]:
    """Key, path and kind of every file that is read."""
    yield from (("data.inputs", path, "file") for path in settings.data.inputs)
    yield from (("data.against", path, "file") for path in settings.data.against)
    if {"rebalance", "blend"} & set(settings.steps):
        yield "rebalance.tokenizer", settings.rebalance.tokenizer, "folder"
    if "select" in settings.steps:
        yield from (("selection.runs", run, "folder") for run in settings.selection.runs)
        if settings.selection.tokenizer is not None:
            yield "selection.tokenizer", settings.selection.tokenizer, "folder"


def chosen_steps(settings: PrepareSettings) -> list[str]:
    """The steps in the order of the pipeline."""
    return [step for step in STEPS if step in settings.steps]


def _names(
    key: str, names: list[str], known: tuple[str, ...], sound: list[str] | None = None
) -> Iterator[SettingsProblem]:
    """Names that are unknown or there twice.

    Args:
        sound: what to give instead; None: each name once, or the nearest known one.
    """
    sound = sound if sound is not None else list(dict.fromkeys(_nearest(name, known) for name in names))
    fix = f"{key}=[{','.join(sound)}]"
    yield from _once(key, names, fix)
    for name in dict.fromkeys(names):
        if name not in known:
            yield SettingsProblem(key, name, f"among {', '.join(known)}", fix)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    """The name itself where it is known."""
    return name if name in known else (nearest(name, known) or [*known, "NAME"])[0]


def _once(key: str, names: list[str], fix: str = "") -> Iterator[SettingsProblem]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            fix = fix or f"{key}=[{','.join(dict.fromkeys(names))}]"
            yield SettingsProblem(key, f"{name} twice", "each once", fix)


def file_size(path: str) -> int:
    """Bytes; 0 where there is no file."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def source_settings(name: str) -> SourceSettings:
    """A file of ``conf/source``.

    Raises:
        FileNotFoundError: there is no such file; ``prepare_problems`` finds that beforehand.
    """
    values = OmegaConf.to_container(OmegaConf.load(CONF / "source" / f"{name}.yaml"), resolve=True)
    assert isinstance(values, dict)
    return SourceSettings(**{str(key): value for key, value in values.items()})
