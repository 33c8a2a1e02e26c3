"""The schema as data, and the tables that must follow it."""

from __future__ import annotations

from typing import get_args, get_origin

import pytest

from recipes.settings import typed
from recipes.settings.bounds import CHOICES, RANGES
from recipes.settings.commands import COMMANDS
from recipes.settings.fields import fields_of, sections_of
from recipes.settings.schema import ExportSettings, PrepareSettings, Settings

ALL_FIELDS = {**fields_of(Settings), **fields_of(ExportSettings), **fields_of(PrepareSettings)}


def test_a_field_has_its_key_type_and_docstring() -> None:
    field = fields_of(Settings)["grpo.rollouts_per_prompt"]
    assert (field.key, field.name, field.type_name) == ("grpo.rollouts_per_prompt", "rollouts_per_prompt", "int")
    assert field.owner is sections_of(Settings)["grpo"]
    assert field.doc == "G (8 or 16 in the paper)."


def test_a_field_without_docstring_does_not_take_its_neighbours() -> None:
    fields = fields_of(Settings)
    assert fields["model.name"].doc == ""
    assert fields["model.architecture"].doc.startswith("qwen2 (bias on QKV)")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("model.restore_from", "str or null"),
        ("run.resume", "true or false"),
        ("optimizer.betas", "list of float"),
        ("curriculum.stages", "list of str"),
        ("format", "str"),
    ],
)
def test_types_in_a_users_words(key: str, name: str) -> None:
    assert ALL_FIELDS[key].type_name == name


def test_every_number_has_a_range_and_every_entry_a_key() -> None:
    numbers = {key for key, field in ALL_FIELDS.items() if {int, float} & {field.type, *get_args(field.type)}}
    numbers -= {key for key in numbers if get_origin(ALL_FIELDS[key].type) is list}
    assert set(RANGES) == numbers
    assert {key for key in CHOICES if ALL_FIELDS[key].type not in (str, str | None, list[str])} == set()


def test_proposed_numbers_are_inside_their_ranges() -> None:
    assert [key for key, allowed in RANGES.items() if allowed.works not in allowed] == []


def test_every_type_has_an_example_to_propose() -> None:
    assert {field.type_name for field in ALL_FIELDS.values()} <= set(typed._EXAMPLES)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_name_keys_that_exist(command) -> None:
    keys = fields_of(command.schema)
    assert [key for key in (*command.main_keys, *command.unread) if key not in keys] == []
    # An unread key becomes None, which its type must allow.
    assert [key for key in command.unread if "null" not in keys[key].type_name] == []
