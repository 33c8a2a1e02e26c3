"""The schema read as data: dotted keys, their types and the docstrings below them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a schema."""

    key: str
    """Dotted, for instance ``grpo.temperature``."""
    owner: type
    """The dataclass that declares it."""
    name: str
    """Last part of the key."""
    type: Any
    """Resolved annotation."""
    doc: str
    """Its docstring on one line; empty where the name says it all."""

    @property
    def type_name(self) -> str:
        """The type in a user's words, for instance ``true or false`` or ``str or null``."""
        return _type_name(self.type)


def fields_of(schema: type) -> Mapping[str, Field]:
    """Dotted key -> field of every leaf of a dataclass schema, in the order of the schema."""
    return _fields_of(schema)


@cache
def _fields_of(schema: type) -> dict[str, Field]:
    found: dict[str, Field] = {}
    hints = typing.get_type_hints(schema)
    docs = _docstrings(schema)
    for entry in dataclasses.fields(schema):
        hint = hints[entry.name]
        if dataclasses.is_dataclass(hint):
            for inner in fields_of(typing.cast(type, hint)).values():
                key = f"{entry.name}.{inner.key}"
                found[key] = dataclasses.replace(inner, key=key)
        else:
            found[entry.name] = Field(entry.name, schema, entry.name, hint, docs.get(entry.name, ""))
    return found


@cache
def sections_of(schema: type) -> dict[str, type]:
    """Section name -> dataclass of every nested section of a schema."""
    hints = typing.get_type_hints(schema)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and dataclasses.is_dataclass(hint)}


def _docstrings(schema: type) -> dict[str, str]:
    """Attribute docstrings, which Python keeps in the source only."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(schema)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            docs[statement.target.id] = " ".join(str(following.value.value).replace("``", "").split())
    return docs


def _type_name(hint: Any) -> str:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return " or ".join(_type_name(part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        return f"list of {_type_name(typing.get_args(hint)[0])}"
    return {bool: "true or false", type(None): "null"}.get(hint, getattr(hint, "__name__", str(hint)))
