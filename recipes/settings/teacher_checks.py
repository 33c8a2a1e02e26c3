"""What the teacher's step cannot do without."""

from __future__ import annotations

import json
from collections.abc import Iterator

from recipes.settings.errors import SettingsProblem
from recipes.settings.prepare_schema import TeacherSettings


def teacher_problems(teacher: TeacherSettings) -> Iterator[SettingsProblem]:
    """For responses from a server: its address, the model's name, more keys that are JSON."""
    if teacher.url is None or not teacher.url.startswith(("http://", "https://")):
        fix = "teacher.url=http://localhost:8000/v1"
        yield SettingsProblem("teacher.url", str(teacher.url or "null"), "the server's address, up to /v1", fix)
    if teacher.model is None:
        expected = "the server's name for the model (GET URL/models lists them)"
        yield SettingsProblem("teacher.model", "null", expected, "teacher.model=NAME")
    if teacher.extra is not None and not _is_object(teacher.extra):
        yield SettingsProblem("teacher.extra", teacher.extra, "a JSON object", """teacher.extra='{"top_k": 20}'""")
    if "<starter_code>" not in teacher.code_instruction_with_starter:
        key = "teacher.code_instruction_with_starter"
        found = f"{teacher.code_instruction_with_starter[:60]!r}"
        yield SettingsProblem(key, found, "a text with <starter_code> in it", f"{key}='... <starter_code> ...'")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
