"""Composed settings for tests, composed once for each set of overrides."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings

PRETRAINED = "model.restore_from=weights.nemo"
"""What the models with published weights ask for."""


def composed(command: SettingsCommand = "grpo", *overrides: str) -> Settings:
    """A copy that a test may change."""
    return copy.deepcopy(_composed(command, overrides))


@cache
def _composed(command: SettingsCommand, overrides: tuple[str, ...]) -> Settings:
    return compose(command, overrides)


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """A copy with other values, unchecked: ``changed(settings, {"grpo.top_p": 1.5})``."""
    settings = copy.deepcopy(settings)
    for key, value in values.items():
        section, name = key.split(".")
        assert hasattr(getattr(settings, section), name), key
        setattr(getattr(settings, section), name, value)
    return settings


def by_key(problems: list[SettingsProblem] | tuple[SettingsProblem, ...]) -> dict[str, SettingsProblem]:
    """Problems under their keys, of which there must be one each."""
    found = {problem.key: problem for problem in problems}
    assert len(found) == len(problems), problems
    return found
