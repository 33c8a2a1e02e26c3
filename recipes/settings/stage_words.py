"""Words of a curriculum that go to one stage alone: ``math2.grpo.overlong_filtering=false``.

A key has two parts (``grpo.overlong_filtering``); the name of a stage before it makes it that stage's own. A section
and a stage are called ``sft``: ``sft.epochs=2`` is the section's key, ``sft.optimizer.learning_rate=1e-5`` the stage's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recipes.settings.errors import SettingsProblem
from recipes.settings.fields import fields_of, sections_of
from recipes.settings.overrides import GROUPS, nearest, sort_overrides
from recipes.settings.schema import Settings

_OF_THE_CURRICULUM = {
    "run.directory": "run.directory={value}, for all stages",
    "run.name": "run.name={value}, for all stages",
    "data.directory": "data.directory={value} for all stages, or {stage}.data.train=FILE",
    "model.restore_from": "curriculum.initial_model={value}, with curriculum.stages=[{stage},...]",
}


@dataclass(slots=True)
class CurriculumWords:
    """The words of a curriculum's command line by where they go."""

    shared: list[str] = field(default_factory=list)
    """For every stage, in the order given."""
    own: dict[str, list[str]] = field(default_factory=dict)
    """Stage -> its own words, without its name: ``{"math2": ["grpo.overlong_filtering=false"]}``."""
    problems: list[SettingsProblem] = field(default_factory=list)
    """Unknown stages, unknown keys, and keys that no single stage may set."""


def split_words(overrides: Sequence[str], options: Mapping[str, Sequence[str]]) -> CurriculumWords:
    """Tell the words of single stages from those for all.

    Args:
        overrides: words of ``python -m recipes.run_curriculum``.
        options: group -> its options, ``stage`` among them.
    """
    words, stages = CurriculumWords(), options["stage"]
    for text in overrides:
        split = split_stage(text, stages)
        if split is None:
            words.shared.append(text)
            continue
        stage, word = split
        problems = _problems(stage, word, text, stages)
        if problems:
            words.problems += problems
        else:
            words.own.setdefault(stage, []).append(word)
    return words


def split_stage(text: str, stages: Sequence[str]) -> tuple[str, str] | None:
    """``math2.grpo.top_p=1`` -> ``("math2", "grpo.top_p=1")``, of a misspelled stage too; None for every other word."""
    key = text.partition("=")[0]
    head, _, rest = key.partition(".")
    if not rest or not head.isidentifier():
        return None
    sections = sections_of(Settings)
    own = head in stages if head not in sections else head in stages and rest.partition(".")[0] in sections
    misspelled = head not in stages and head not in sections and "." in rest
    return (head, text[len(head) + 1 :]) if own or misspelled else None


def of_stage(problem: SettingsProblem, stage: str) -> SettingsProblem:
    """The problem of a stage's own word: key and fix with the stage's name."""
    fix = problem.fix if problem.fix.startswith(("-", "quoted")) else f"{stage}.{problem.fix}"
    return replace(problem, key=f"{stage}.{problem.key}", fix=fix)


def _problems(stage: str, word: str, text: str, stages: Sequence[str]) -> list[SettingsProblem]:
    key, _, value = word.partition("=")
    if stage not in stages:
        near = (nearest(stage, stages) or [stages[0]])[0]
        expected = f"the name of a stage, one of {', '.join(stages)}"
        return [SettingsProblem(f"{stage}.{key}", f"{stage}, no such stage", expected, f"{near}.{word}")]
    if key in _OF_THE_CURRICULUM or key.startswith("curriculum."):
        fix = _OF_THE_CURRICULUM.get(key, f"{word}, for all stages").format(stage=stage, value=value)
        return [SettingsProblem(f"{stage}.{key}", text, "nothing: the curriculum gives it to each stage", fix)]
    if key in GROUPS:
        keys = [name for name in fields_of(Settings) if name.startswith(f"{key}.")]
        expected = f"a key such as {stage}.{keys[0]}: files of a group are chosen for all stages"
        return [SettingsProblem(f"{stage}.{key}", text, expected, word)]
    _, problems = sort_overrides([word], Settings, {})
    return [of_stage(problem, stage) for problem in problems]
