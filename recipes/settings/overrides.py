"""The words of a command line: which are sound, and what the others should have been."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from hydra.errors import HydraException

from recipes.settings.errors import SettingsProblem
from recipes.settings.fields import fields_of, sections_of

FLAGS = ("--help", "--dry-run")
SHARED = "every_stage"
"""Files of the group ``scale`` that its other files take in, and that nobody chooses."""
MANY = "benchmark"
"""The group of which a word may choose several options, ``benchmark=aime24,aime25``."""
ENGINE_NAME = "engine.name"
"""A key that only its group may set: an engine brings its other values, and whether the model's scale is laid."""
GROUPS = ("stage", "model", "cluster", "scale", "benchmark", "engine", "curriculum")
"""Of the root ``recipe``."""


def group_options(conf: Path, groups: Sequence[str] = GROUPS) -> dict[str, tuple[str, ...]]:
    """Group -> names of its files below ``conf``, nested ones with a slash (``megatron/tiny/math1``)."""
    options: dict[str, tuple[str, ...]] = {}
    for group in groups:
        files = [path.relative_to(conf / group).with_suffix("") for path in (conf / group).rglob("*.yaml")]
        options[group] = tuple(sorted(name.as_posix() for name in files if name.name != SHARED))
    return options


def nearest(word: str, candidates: Collection[str]) -> list[str]:
    """At most three candidates that the word was probably meant to be, best first.

    A key whose last part is right but whose section is wrong or absent counts as near, whatever its spelling distance.
    """
    leaf = word.rpartition(".")[2]
    same_leaf = [candidate for candidate in candidates if candidate.rpartition(".")[2] == leaf]
    same_leaf.sort(key=lambda candidate: -difflib.SequenceMatcher(None, word, candidate).ratio())
    close = difflib.get_close_matches(word, candidates, n=3, cutoff=0.7)
    leaves = {candidate.rpartition(".")[2]: candidate for candidate in candidates}
    close_leaf = [leaves[name] for name in difflib.get_close_matches(leaf, leaves, n=2, cutoff=0.75)]
    return list(dict.fromkeys([*same_leaf, *close, *close_leaf]))[:3]


def lengthened(word: str, section: str, schema: type) -> str:
    """``n=64`` -> ``evaluation.n=64`` for the section ``evaluation``; every other word as it is."""
    key, equals, _ = word.partition("=")
    return f"{section}.{word}" if equals and f"{section}.{key}" in fields_of(schema) else word


def sort_overrides(
    overrides: Sequence[str], schema: type, options: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[SettingsProblem]]:
    """Splits overrides into those that Hydra may have and the problems of the rest.

    Args:
        overrides: words of the command line, for instance ``grpo.temperature=0.85``.
        schema: the dataclass whose dotted keys exist.
        options: group -> its options; empty for a command without groups.
    """
    accepted: list[str] = []
    problems: list[SettingsProblem] = []
    parser = OverridesParser.create()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            problems.append(_unreadable(text, str(error).partition("\n")[0], schema, options))
            continue
        problem = _problem(text, override, schema, options)
        if problem is None:
            accepted += _words(text, override, options)
        else:
            problems.append(problem)
    return accepted, problems


def _problem(
    text: str, override: Override, schema: type, options: Mapping[str, Sequence[str]]
) -> SettingsProblem | None:
    key = override.key_or_group if override.package is None else f"{override.key_or_group}@{override.package}"
    value = text.partition("=")[2]
    if key in options:
        if override.type is not OverrideType.CHANGE:
            return _unknown_option(key, text, options[key])
        chosen = _chosen(override)
        if key != MANY and len(chosen) > 1:
            return SettingsProblem(key, text, "one option", f"{key}={chosen[0]}")
        if len(set(chosen)) < len(chosen):
            return SettingsProblem(key, text, "each option once", f"{key}={','.join(dict.fromkeys(chosen))}")
        unknown = [choice for choice in chosen if choice not in options[key]]
        return _unknown_option(key, text, options[key], unknown[0]) if unknown else None
    if key not in fields_of(schema):
        return _unknown_key(key, value, schema, options)
    if override.type is OverrideType.DEL:
        return SettingsProblem(key, text, "KEY=VALUE: a key cannot be removed", f"{key}=VALUE, or leave the word out")
    if override.type is not OverrideType.CHANGE:
        return SettingsProblem(key, text, "KEY=VALUE: every key exists already", f"{key}={value}")
    if key == ENGINE_NAME and "engine" in options:
        return SettingsProblem(key, text, "the group, which brings the engine's other values too", f"engine={value}")
    if override.is_sweep_override():
        kind = fields_of(schema)[key].type_name
        first = value.partition(",")[0]
        fix = (
            f"{key}=[{value}]" if kind.startswith("list") else quoted(key, value) if "str" in kind else f"{key}={first}"
        )
        return SettingsProblem(key, text, f"{kind}: a comma or a function outside quotes means a sweep", fix)
    return None


def _chosen(override: Override) -> list[str]:
    """The options that a word names: one, or those between commas."""
    value = override.value()
    return [str(choice) for choice in (value.list if isinstance(value, ChoiceSweep) else [value])]


def _words(text: str, override: Override, options: Mapping[str, Sequence[str]]) -> list[str]:
    """A sound word as Hydra gets it: of several benchmarks the first one is the group's, ``others`` has the rest."""
    if override.key_or_group != MANY or MANY not in options:
        return [text]
    first, *others = _chosen(override)
    return [f"{MANY}={first}", f"{MANY}.others=[{','.join(others)}]"]


def _unknown_option(group: str, text: str, options: Sequence[str], value: str | None = None) -> SettingsProblem:
    choices = [name for name in options if "/" not in name] or list(options)
    value = text.partition("=")[2].partition(",")[0] if value is None else value
    near = nearest(value, options) or choices[:1]
    fix = text.replace(value, near[0]) if value and value in text else f"{group}={near[0]}"
    return SettingsProblem(group, f"{text}, no such option", f"one of {', '.join(choices)}", fix)


def _unknown_key(key: str, value: str, schema: type, options: Mapping[str, Sequence[str]]) -> SettingsProblem:
    sections = sections_of(schema)
    if key in sections:
        inside = [name for name in fields_of(schema) if name.startswith(f"{key}.")]
        elsewhere = [name for name in fields_of(schema) if name.endswith(f".{key}")]
        fix = f"{elsewhere[0]}={value}" if elsewhere and value else f"{inside[0]}=VALUE"
        return SettingsProblem(
            key, f"{key}={value}, a section and no key", f"one of {', '.join([*elsewhere, *inside])}", fix
        )
    near = nearest(key, [*fields_of(schema), *options])
    if not near:
        known = [f"{name}.*" for name in sections] or list(fields_of(schema))
        return SettingsProblem(
            key, f"{key}={value}, no such key", f"one of {', '.join(known)}", "--help lists the keys"
        )
    expected = f"the nearest right one is {' or '.join(near)}"
    return SettingsProblem(key, f"{key}={value}, no such key", expected, f"{near[0]}={value or 'VALUE'}")


def _unreadable(text: str, reason: str, schema: type, options: Mapping[str, Sequence[str]]) -> SettingsProblem:
    key, equals, value = text.partition("=")
    if text.startswith("-"):
        near = difflib.get_close_matches(text, FLAGS, n=1, cutoff=0.3) or FLAGS
        return SettingsProblem(text, "an unknown flag", f"{' or '.join(FLAGS)}, or KEY=VALUE", " or ".join(near))
    if not equals:
        keys = [*options, *fields_of(schema)]
        name = key if key in keys else (nearest(key, keys) or ["KEY"])[0]
        return SettingsProblem(text, f"{text!r} without a value", "KEY=VALUE", f"{name}=VALUE")
    return SettingsProblem(key, f"{text} ({reason})", "a value that Hydra can read", f"quoted: {quoted(key, value)}")


def quoted(key: str, value: str) -> str:
    """The override as typed in a shell so that Hydra takes the value as one string."""
    return shlex.quote(literal(key, value))


def literal(key: str, value: str | Path) -> str:
    """The override whose value Hydra takes as one string, whatever blanks and quotes it holds."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), str(value))
    return f'{key}="{escaped}"'
