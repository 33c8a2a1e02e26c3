"""A curriculum as the commands of its stages, each composed and checked before the first one starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

from recipes.settings.checks import file_problems, value_problems
from recipes.settings.commands import COMMANDS
from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.overrides import group_options, literal, nearest
from recipes.settings.schema import Settings
from recipes.settings.stage_words import of_stage, split_words
from recipes.settings.typed import CONF

GENERATED = "data"
"""Folder of the generated problems, below the run's."""


@dataclass(frozen=True, slots=True)
class StageCommand:
    """One stage of a curriculum, ready to start once its first weights are known.

    Example: ``python -m {module} {overrides} model.restore_from=CHECKPOINT``.
    """

    name: str
    command: SettingsCommand
    """``sft`` or ``grpo``."""
    overrides: tuple[str, ...]
    """Words of its command line, without ``model.restore_from``."""
    settings: Settings
    """As composed from them; ``model.restore_from`` is None."""

    @property
    def module(self) -> str:
        """What ``python -m`` runs."""
        return COMMANDS[self.command].module


def stage_commands(overrides: Sequence[str]) -> list[StageCommand]:
    """The stages of the curriculum that ``overrides`` choose, in order.

    Args:
        overrides: the words of ``python -m recipes.run_curriculum``, flags removed; each stage gets them all, so
            ``grpo.max_steps=2`` shortens every RL stage, and below ``run.directory`` a folder of its own name. A word
            that begins with a stage's name (``math2.grpo.max_steps=2``) is that stage's alone and wins over the others.

    Raises:
        SettingsError: everything that is wrong in any stage; a stage's own problems name the stage.
    """
    settings = compose("curriculum", overrides)
    stages = settings.curriculum.stages
    given = split_words(overrides, group_options(CONF))
    problems = [*_misplaced(given.shared), *_unknown_stages(stages), *_left_out(given.own, stages)]
    if problems:
        raise SettingsError(problems)
    keys = {word.partition("=")[0] for word in given.shared}
    preset = [word for word in COMMANDS["curriculum"].preset if word.partition("=")[0] not in keys]
    commands: list[StageCommand] = []
    found: dict[tuple[str, str], SettingsProblem] = {}
    for stage in stages:
        own = given.own.get(stage, [])
        words = (*preset, *given.shared, *own, *_own_words(settings, stage))
        command: SettingsCommand = "sft" if OmegaConf.load(_file(stage)).stage.kind == "sft" else "grpo"
        try:
            composed = compose(command, [*words, "model.restore_from=null"])
            problems = value_problems(composed, command)
            commands.append(StageCommand(stage, command, words, composed))
        except SettingsError as error:
            problems = list(error.problems)
        own_keys = {word.partition("=")[0] for word in own}
        for problem in problems:
            better = of_stage(problem, stage) if problem.key in own_keys else None
            better = better or replace(problem, key=f"{problem.key} (stage {stage})")
            found.setdefault((problem.key, problem.found), better)
    if found:
        raise SettingsError(list(found.values()))
    return commands


def generates_data(settings: Settings) -> bool:
    """Whether data and first weights are the project's own."""
    own = Path(settings.run.directory, GENERATED)
    return settings.curriculum.initial_model is None and Path(settings.data.directory) == own


def missing_inputs(settings: Settings, stages: Sequence[StageCommand]) -> list[SettingsProblem]:
    """Files of the user's that are not there, each once; what earlier steps write is not among them."""
    if generates_data(settings):
        return []
    problems = file_problems(settings, "curriculum")
    for stage in stages:  # rollouts of earlier stages are not there yet; the stage that reads them looks for them
        problems += [p for p in file_problems(stage.settings, stage.command) if p.key != "prompts.ledgers"]
    problems += [p for p in file_problems(last_evaluation(stages), "evaluate") if p.key != "engine.checkpoint"]
    return list(dict.fromkeys(problems))


def last_evaluation(stages: Sequence[StageCommand]) -> Settings:
    """Of the last stage; its checkpoint is not there yet."""
    return compose("evaluate", [*stages[-1].overrides, "engine.checkpoint=later"])


def _own_words(settings: Settings, stage: str) -> Iterator[str]:
    """What tells one stage from the next: its folder lies in the curriculum's, the data are shared."""
    yield f"stage={stage}"
    yield f"run.name={stage}"
    yield literal("run.directory", f"{settings.run.directory}/{stage}")
    yield literal("data.directory", settings.data.directory)


def _file(stage: str) -> Path:
    return CONF / "stage" / f"{stage}.yaml"


def _misplaced(overrides: Sequence[str]) -> Iterator[SettingsProblem]:
    """Words that one stage understands and a whole curriculum sets itself."""
    instead = {"stage": "curriculum.stages=[{}]", "model.restore_from": "curriculum.initial_model={}"}
    for word in overrides:
        key, _, value = word.partition("=")
        if key in instead:
            yield SettingsProblem(
                key, word, "nothing: the curriculum gives it to each stage", instead[key].format(value)
            )


def _left_out(own: Mapping[str, Sequence[str]], stages: Sequence[str]) -> Iterator[SettingsProblem]:
    """Words for a stage that this curriculum does not have."""
    for stage, words in own.items():
        if stage not in stages:
            expected = f"words for its stages, {', '.join(stages)}"
            found = f"{stage}, no stage of this curriculum"
            fix = f"leave the word out, or curriculum.stages=[{','.join([*stages, stage])}]"
            yield from (SettingsProblem(f"{stage}.{word.partition('=')[0]}", found, expected, fix) for word in words)


def _unknown_stages(stages: Sequence[str]) -> Iterator[SettingsProblem]:
    known = group_options(CONF)["stage"]
    if not stages:
        yield SettingsProblem("curriculum.stages", "[]", "at least one stage", "curriculum.stages=[sft,math1]")
    for stage in stages:
        if stage not in known:
            better = [(nearest(name, known) or [known[0]])[0] if name not in known else name for name in stages]
            fix = f"curriculum.stages=[{','.join(better)}]"
            yield SettingsProblem("curriculum.stages", f"{stage}, no such stage", f"among {', '.join(known)}", fix)
