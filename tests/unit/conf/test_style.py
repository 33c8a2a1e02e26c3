"""How the files of ``conf/`` are written: one default for each key, small diffs, a unit and a source on every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.settings.fields import fields_of, sections_of
from recipes.settings.overrides import SHARED
from recipes.settings.prepare_schema import PrepareSettings, SourceSettings
from recipes.settings.schema import ExportSettings, Settings
from recipes.settings.typed import CONF

FILES = sorted(path for path in CONF.rglob("*.yaml") if path.name != "recipe.yaml")
SCHEMAS = {
    "export.yaml": ExportSettings,
    "prepare.yaml": PrepareSettings,
    "prepare": PrepareSettings,
    "data": PrepareSettings,
}
"""Of the files, or folders of files, that are not those of the root ``recipe``."""
DIFFS = [
    path for path in FILES if path.parent.name in ("stage", "cluster", "curriculum") or path.parents[2].name == "scale"
]
TAG = re.compile(r"# (?P<unit>[^;#]+); (?P<tag>source: (1\.1|1\.0|card)\b.*|substitute: .{6,}|set by: .+)$")


def name_of(path: Path) -> str:
    return path.relative_to(CONF).as_posix()


@cache
def leaves(path: Path) -> dict[str, Any]:
    """Dotted key -> value as written, the package of the file's header or folder in front."""
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content.pop("defaults", None)
    header = re.match(r"# @package (\S+)", text)
    package = header[1] if header else path.parent.name
    prefix = "" if package == "_global_" or path.parent == CONF else f"{package}."
    return {f"{prefix}{key}": value for key, value in flat(content)}


def flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def value_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Key and line index of every value."""

    def walk(node: yaml.Node) -> Iterator[tuple[str, int]]:
        assert isinstance(node, yaml.MappingNode)
        for key, value in node.value:
            if isinstance(value, yaml.MappingNode):
                yield from walk(value)
            elif key.value != "defaults":
                yield key.value, key.start_mark.line

    root = yaml.compose(path.read_text(encoding="utf-8"))
    assert root is not None
    yield from walk(root)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_value_has_a_unit_and_a_source(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = list(value_lines(path))
    assert found, "a file without a value"
    for key, line in found:
        above = lines[line - 1].strip() if line else ""
        comment = lines[line][lines[line].find(" # ") + 1 :] if " # " in lines[line] else above
        assert TAG.match(comment), f"{name_of(path)}:{line + 1}: {key} needs `# unit; source: ...`, found {comment!r}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_keys_of_the_schema(path: Path) -> None:
    if path.parent.name == "source":
        assert {key.partition(".")[2] for key in leaves(path)} <= set(fields_of(SourceSettings))
        return
    known = fields_of(SCHEMAS.get(name_of(path)) or SCHEMAS.get(path.parent.name) or Settings)
    assert [key for key in leaves(path) if key not in known] == []


def test_every_key_has_exactly_one_default_in_base() -> None:
    for section in sections_of(Settings):
        keys = [key for key in fields_of(Settings) if key.startswith(f"{section}.")]
        assert list(leaves(CONF / "base" / f"{section}.yaml")) == keys, "the section's keys, in the schema's order"
    own = [key for key in fields_of(ExportSettings) if "." not in key]
    assert list(leaves(CONF / "export.yaml")) == own, "the rest is that of the other commands"
    for section in sections_of(PrepareSettings):
        keys = [key for key in fields_of(PrepareSettings) if key.startswith(f"{section}.")]
        assert list(leaves(CONF / "prepare" / f"{section}.yaml")) == keys, "the section's keys, in the schema's order"
    own = [key for key in fields_of(PrepareSettings) if "." not in key]
    assert list(leaves(CONF / "prepare.yaml")) == own


def base() -> dict[str, Any]:
    return {key: value for path in (CONF / "base").glob("*.yaml") for key, value in leaves(path).items()}


@pytest.mark.parametrize("path", DIFFS, ids=name_of)
def test_a_diff_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("group", ["stage", "model", "cluster", "curriculum"])
def test_a_diff_never_repeats_base(group: str) -> None:
    for path in (CONF / group).glob("*.yaml"):
        assert [key for key, value in leaves(path).items() if value == base()[key]] == [], name_of(path)


@pytest.mark.parametrize("path", [path for path in DIFFS if path.parents[2].name == "scale"], ids=name_of)
def test_a_scale_never_repeats_its_parents(path: Path) -> None:
    shared_file, model = path.parent / f"{SHARED}.yaml", CONF / "model" / f"{path.parent.name}.yaml"
    shared = leaves(shared_file) if shared_file.is_file() else {}

    def parents(stage: str) -> dict[str, Any]:
        files = (CONF / "stage" / f"{stage}.yaml", model, CONF / "cluster/cpu.yaml")
        return {**base(), **{key: value for file in files for key, value in leaves(file).items()}}

    if path.stem == SHARED:  # it serves every stage, so each value must change at least one of them
        stages = [stage.stem for stage in (CONF / "stage").glob("*.yaml")]
        idle = [key for key, value in shared.items() if all(parents(stage)[key] == value for stage in stages)]
    else:
        before = {**parents(path.stem), **shared}
        idle = [key for key, value in leaves(path).items() if before[key] == value]
    assert idle == []


def test_the_tag_pattern_refuses_what_it_should() -> None:
    assert TAG.match("# tokens; source: 1.1 §3.2.1")
    assert TAG.match("# tokens; substitute: not published")
    for wrong in ("", "# tokens", "# source: 1.1", "# tokens; source: a blog", "# tokens; substitute: no"):
        assert not TAG.match(wrong), wrong
