"""Settings that a run wrote beside its results, read back, with words laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from recipes.settings.bounds import bound_problems
from recipes.settings.errors import SettingsError
from recipes.settings.overrides import sort_overrides
from recipes.settings.schema import Settings
from recipes.settings.typed import build, typed_values


def saved_settings(path: Path, overrides: Sequence[str]) -> Settings:
    """The settings of a ``settings.yaml``, which are resolved and have no groups to choose.

    Args:
        path: written by ``recipes.settings.compose.to_yaml``.
        overrides: ``key=value`` words.

    Raises:
        SettingsError: unknown keys, values of another type or out of range, in the file or in the words.
    """
    accepted, problems = sort_overrides(overrides, Settings, {})
    tree = OmegaConf.load(path)
    assert isinstance(tree, DictConfig)
    parser = OverridesParser.create()
    for word in accepted:
        override = parser.parse_override(word)
        OmegaConf.update(tree, override.key_or_group, override.value())
    given = {word.partition("=")[0] for word in accepted}
    values, more = typed_values(tree, Settings, (), given)
    if problems or more:
        raise SettingsError([*problems, *more])
    settings = build(Settings, values)
    assert isinstance(settings, Settings)
    if found := list(bound_problems(settings)):
        raise SettingsError(found)
    return settings
