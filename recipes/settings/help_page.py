"""``--help``: what a command does, what can be chosen, and the keys that matter with their present values."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from recipes.settings.commands import Command
from recipes.settings.fields import fields_of

_WIDTH = 110

_GROUP_MEANING = {
    "stage": "the paper's stages, small diffs of conf/base",
    "model": "architecture and weights; the cluster names the default",
    "cluster": "the machine: devices, precision, kernels",
    "scale": "what a model changes in a stage where Megatron runs it; follows the other groups by itself",
    "benchmark": "held-out problems, several with commas",
    "engine": "what an evaluation samples from",
    "curriculum": "the stages of recipes.run_curriculum, in order",
    "data": "what goes in",
}


def help_page(
    command: Command, description: str, values: Mapping[str, Any], options: Mapping[str, Sequence[str]]
) -> str:
    """The text of ``--help``.

    Args:
        command: whose keys and examples are shown.
        description: what the command does; the docstring of its module will do.
        values: dotted key -> present value; a key without a value is shown as one to give.
        options: group -> its options; a star marks the one in use.
    """
    program = f"python -m {command.module}"
    groups = " [GROUP=OPTION ...]" if options else ""
    parts = [inspect.cleandoc(description).replace("``", ""), ""]
    parts += [f"Usage: {program}{groups} [KEY=VALUE ...] [--dry-run] [--help]", ""]
    if options:
        parts += ["Groups (files of conf/GROUP; * is in use)", *_groups(values, options), ""]
    parts += ["Keys used most, with their present values", *_keys(command, values), ""]
    parts += ["Examples", *(f"  {program} {example}" for example in command.examples), ""]
    if command.short is not None:
        prefix = f"{command.short}."
        key = next(key for key in command.main_keys if key.startswith(prefix))
        parts += [f"The prefix {prefix} may be left out: {key.removeprefix(prefix)}=VALUE is {key}=VALUE.", ""]
    parts += [
        "--dry-run prints every key with its value as YAML, and the plan, and starts nothing.",
        "Words follow Hydra's grammar: null empties a key, [a,b] is a list, and a value with '=', ',' or brackets is",
        f"quoted twice, as in 'data.train=\"a=b.jsonl\"'. conf/{command.values} has every key with unit and source.",
    ]
    return "\n".join(parts)


def _groups(values: Mapping[str, Any], options: Mapping[str, Sequence[str]]) -> list[str]:
    lines = []
    for group, names in options.items():
        used = [values.get(f"{group}.name"), *values.get(f"{group}.others", [])]
        if group == "scale":
            model = f"{values.get('engine.name')}/{values.get('model.name')}/"
            used = [f"{model}{values.get('stage.name')}"]
            names = [name for name in names if name.startswith(model)]
        marked = "  ".join(f"{name}*" if name in used else name for name in names)
        lines += [f"  {group:<11}{_GROUP_MEANING[group]}"]
        lines += textwrap.wrap(
            marked or "(none here)",
            _WIDTH,
            initial_indent=" " * 13,
            subsequent_indent=" " * 13,
        )
    return lines


def _keys(command: Command, values: Mapping[str, Any]) -> list[str]:
    fields = fields_of(command.schema)
    lines = []
    for key in command.main_keys:
        field = fields[key]
        value = _shown(values[key]) if key in values else "(give one)"
        lines.append(f"  {key}={value}  [{field.type_name}]")
        lines += textwrap.wrap(field.doc, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if value == "":
        return "''"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(map(str, value)) + "]"
    return str(value)
