"""From Hydra's untyped tree to the dataclasses of the schema, leaf by leaf, so that every problem is found."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from recipes.settings.bounds import CHOICES, RANGES
from recipes.settings.errors import SettingsProblem
from recipes.settings.fields import Field, fields_of
from recipes.settings.overrides import nearest

CONF = Path(__file__).resolve().parents[2] / "conf"

_EXAMPLES = {
    "int": "1",
    "float": "0.5",
    "str": "TEXT",
    "float or str": "0.5",
    "str or null": "TEXT",
    "int or null": "1",
    "float or null": "0.5",
    "true or false": "true",
    "list of float": "[0.9,0.999]",
    "list of int": "[1,2]",
    "list of str": "[sft,math1]",
}
_WEIGHTS = dict.fromkeys(("model.restore_from", "curriculum.initial_model"), "FILE.nemo")
"""Keys that the command line gives where the model is a pretrained one -> what to type."""
_NOT_SET = "not set"


def typed_values(
    config: DictConfig, schema: type, unread: Collection[str] = (), given: Collection[str] = ()
) -> tuple[dict[str, Any], list[SettingsProblem]]:
    """Every leaf of the schema resolved and converted to its type, and what could not be.

    Args:
        config: the composed tree, references unresolved.
        schema: dataclass whose leaves must all be there, and no others.
        unread: keys that may be unset; they become None.
        given: keys whose value comes from the command line; a problem of any other key names the file and line.

    Returns:
        Dotted key -> value, whole where the second part is empty; and the problems. One that only follows from another
        (a reference to a key that is wrong itself) is left out.
    """
    fields = fields_of(schema)
    written = leaves(config)
    values: dict[str, Any] = {}
    problems = [_unknown_in_files(key, fields) for key in written if key not in fields]
    following: list[SettingsProblem] = []
    nodes = {owner: OmegaConf.structured(owner) for owner in {field.owner for field in fields.values()}}
    for key, field in fields.items():
        text = written.get(key, "???")
        if text == "???":
            if key in unread:
                values[key] = None
            else:
                problems.append(_unset(field))
            continue
        try:
            value = OmegaConf.select(config, key, throw_on_missing=True)
            if OmegaConf.is_list(value):  # its members may be references
                value = OmegaConf.to_container(value, resolve=True)
        except InterpolationKeyError as error:
            problems += _dangling(key, str(text), str(error), fields)
            following.append(_unresolved(key, text, error))
            continue
        except OmegaConfBaseException as error:
            following.append(_unresolved(key, text, error))
            continue
        try:
            values[key] = converted(field, value, nodes[field.owner])
        except OmegaConfBaseException:
            problems.append(_wrong_type(field, value, text))
    return values, [_located(problem, written, given) for problem in problems or following]


def build(schema: type, values: Mapping[str, Any]) -> Any:
    """The dataclass of the schema, sections included, from dotted key -> value."""
    arguments: dict[str, Any] = {}
    sections: dict[str, tuple[type, dict[str, Any]]] = {}
    for key, field in fields_of(schema).items():
        section, _, name = key.rpartition(".")
        if section:
            sections.setdefault(section, (field.owner, {}))[1][name] = values[key]
        else:
            arguments[name] = values[key]
    return schema(**arguments, **{name: owner(**inside) for name, (owner, inside) in sections.items()})


def leaves(config: DictConfig) -> dict[str, Any]:
    """Dotted key -> value as written, references unresolved; a list is one value."""
    found: dict[str, Any] = {}

    def walk(prefix: str, node: Mapping[Any, Any]) -> None:
        for name, value in node.items():
            if isinstance(value, dict) and value:
                walk(f"{prefix}{name}.", value)
            else:
                found[f"{prefix}{name}"] = value

    container = OmegaConf.to_container(config, resolve=False)
    assert isinstance(container, dict)
    walk("", container)
    return found


def converted(field: Field, value: Any, node: DictConfig) -> Any:
    """The value as the type of its field, by OmegaConf's rules ("4" is an int, 4.5 is not).

    Args:
        node: structured form of the dataclass that owns the field; it takes the value.
    """
    if field.type is bool and isinstance(value, int | float) and not isinstance(value, bool):
        raise OmegaConfBaseException(f"{value} is no flag")
    if float in get_args(field.type) and type(value) is int:  # a union takes no other number for a float
        value = float(value)
    OmegaConf.update(node, field.name, value)
    typed = node[field.name]
    return list(typed) if OmegaConf.is_list(typed) else typed


def _meaning(field: Field) -> str:
    return f"{field.type_name}: {field.doc}" if field.doc else field.type_name


def is_open(problem: SettingsProblem, schema: type) -> bool:
    """Whether the problem is a key that may be null and that nobody has given: the rest can be looked at without it."""
    field = fields_of(schema).get(problem.key)
    return problem.found == _NOT_SET and field is not None and type(None) in get_args(field.type)


def _unset(field: Field) -> SettingsProblem:
    if field.key in _WEIGHTS:
        return SettingsProblem(field.key, _NOT_SET, field.doc, f"{field.key}={_WEIGHTS[field.key]}")
    return SettingsProblem(field.key, _NOT_SET, _meaning(field), f"{field.key}=VALUE")


def _wrong_type(field: Field, value: Any, written: Any) -> SettingsProblem:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    found = "null" if plain is None else f"{plain!r} ({type(plain).__name__})"
    if isinstance(written, str) and "${" in written:
        found += f" from {written}"
    fix = f"{field.key}={_example(field)}"
    return SettingsProblem(field.key, found, _meaning(field), fix)


def _unresolved(key: str, written: Any, error: Exception) -> SettingsProblem:
    reason = str(error).partition("\n")[0]
    return SettingsProblem(key, str(written), f"a value ({reason})", f"{key}=VALUE")


def _unknown_in_files(key: str, fields: Mapping[str, Field]) -> SettingsProblem:
    near = nearest(key, fields)
    expected = f"the nearest right one is {' or '.join(near)}" if near else "a key of recipes/settings/schema.py"
    fix = f"rename it to {near[0]}" if near else "remove it"
    return SettingsProblem(key, "no such key", expected, fix)


def _dangling(key: str, written: str, error: str, fields: Mapping[str, Field]) -> list[SettingsProblem]:
    """A reference to a key that does not exist; empty where the reference stands in another key's value."""
    match = re.search(r"Interpolation key '([^']+)' not found", error)
    if match is None or f"${{{match[1]}}}" not in written:
        return []
    near = nearest(match[1], fields)
    expected = f"a reference to a key that exists, such as {near[0]}" if near else "a reference to a key that exists"
    fix = f"{key}='{written.replace(match[1], near[0])}'" if near else f"{key}=VALUE"
    return [SettingsProblem(key, written, expected, fix)]


def _example(field: Field) -> str:
    if field.key in RANGES:
        return str(RANGES[field.key].works)
    if field.key not in CHOICES:
        return _EXAMPLES[field.type_name]
    first = CHOICES[field.key][0]
    return f"[{first}]" if field.type_name.startswith("list") else first


def _located(problem: SettingsProblem, written: Mapping[str, Any], given: Collection[str]) -> SettingsProblem:
    """The problem with the file and line in ``conf/`` that the wrong value stands in, where it stands in one."""
    key = problem.key
    if key in given or written.get(key, "???") == "???":
        return problem
    name = key.rpartition(".")[2]
    for path in sorted(CONF.rglob("*.yaml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            label, colon, value = line.strip().partition(":")
            if colon and label == name and str(written[key]).lower() in value.lower():
                place = f"{path.relative_to(CONF.parent).as_posix()}:{number}"
                return dataclasses.replace(problem, found=f"{problem.found} ({place})")
    return problem
