"""The folder that a command writes: not a file, and not below one."""

from __future__ import annotations

from pathlib import Path

from recipes.atomic_files import file_in_the_way
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import AnySettings, Settings


def folder_problems(settings: AnySettings, command: str) -> list[SettingsProblem]:
    """What lies where the folder should be; nothing is made."""
    if isinstance(settings, Settings):
        place = ("evaluation.output", settings.evaluation.output)
        if command != "evaluate":
            place = ("run.directory", settings.run.directory)
    else:
        place = ("output", settings.output)
    problem = folder_problem(*place)
    return [problem] if problem else []


def folder_problem(key: str, directory: str) -> SettingsProblem | None:
    """A path that is a file, or that has one among its parents.

    Args:
        key: the settings key of the folder.
        directory: the folder, which need not be there.
    """
    other = file_in_the_way(Path(directory).absolute())
    if other is None:
        return None
    return SettingsProblem(
        key, f"{directory}: {other} is a file", "a folder, or a path where one can be made", f"{key}=NEW_FOLDER"
    )
