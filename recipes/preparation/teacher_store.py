"""The teacher's responses on disk, as they came, and the verdicts on them: dear, so nothing but the user removes them.

::

    STORE/teacher.json                                 what the responses are drawn from
    STORE/responses.00003_of_00016.jsonl               a line a response, of the problems of one part
    STORE/verdicts.1f2e3d4c.00003_of_00016.jsonl       a line a verdict, of graders with these options

Files are only ever added to, each by one process. Part 3 of 16 holds a range of ids; with another number of parts
whoever reads looks into all files whose range meets its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.appended import AppendedFile, appended_rows, differences, row_at
from recipes.data.tables import part_of

Key = tuple[str, str]
"""Id of the problem; index of a response that was asked for, or digest of the row that carries one."""
_NAME = re.compile(r"(?P<what>[a-z]+(?:\.[0-9a-f]{8})?)\.(?P<part>\d{5})_of_(?P<parts>\d{5})\.jsonl")


class OtherTeacher(ValueError):
    """The responses in a store were drawn otherwise."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response as the server gave it."""

    id: str
    """Of the problem."""
    sample: int
    """0 .. k-1."""
    seed: int
    text: str
    tokens: int | None
    """Of the teacher's tokenizer, as the server counted them; None where it does not tell."""
    finish: str
    """``stop``, or ``length``: the budget ended it."""
    seconds: float
    """Wall seconds of the request that succeeded."""


@dataclass(frozen=True, slots=True)
class TeacherStore:
    """The files of one part."""

    folder: Path
    part: int
    parts: int

    def responses(self) -> dict[Key, tuple[Path, int]]:
        """Where the responses of this part lie: the first one of each key."""
        return {key: place for key, place, _ in self._rows("responses", lambda row: str(row["sample"]))}

    def read(self, place: tuple[Path, int]) -> Response:
        """One response."""
        return Response(**row_at(*place))

    def append_responses(self) -> AppendedFile:
        """Where this part's process adds responses."""
        return self._file("responses")

    def verdicts(self, grading: str) -> dict[Key, dict[str, Any]]:
        """What graders with these options said, by the key of the response.

        Args:
            grading: eight hexadecimal digits.
        """
        return {key: row for key, _, row in self._rows(f"verdicts.{grading}", lambda row: str(row["of"]))}

    def append_verdicts(self, grading: str) -> AppendedFile:
        """Where this part's process adds verdicts."""
        return self._file(f"verdicts.{grading}")

    def _file(self, what: str) -> AppendedFile:
        self.folder.mkdir(parents=True, exist_ok=True)
        return AppendedFile(self.folder / f"{what}.{self.part:05d}_of_{self.parts:05d}.jsonl")

    def _rows(
        self, what: str, name: Callable[[dict[str, Any]], str]
    ) -> Iterator[tuple[Key, tuple[Path, int], dict[str, Any]]]:
        seen: set[Key] = set()
        for path in sorted(self.folder.glob(f"{what}.*.jsonl")):
            found = _NAME.fullmatch(path.name)
            if found is None or found["what"] != what or not self._meets(int(found["part"]), int(found["parts"])):
                continue
            for place, row in appended_rows(path):
                key = (row["id"], name(row))
                if key not in seen and part_of(row["id"], self.parts) == self.part:
                    seen.add(key)
                    yield key, (path, place), row

    def _meets(self, part: int, parts: int) -> bool:
        return part * self.parts < (self.part + 1) * parts and self.part * parts < (part + 1) * self.parts


def claim(folder: Path, identity: Mapping[str, Any]) -> None:
    """Say what the responses of a store are drawn from. One process at a time.

    Raises:
        OtherTeacher: names all that differs from what it holds.
    """
    require_same(folder, identity)
    write_text(folder / "teacher.json", json.dumps(identity, indent=1, ensure_ascii=False) + "\n")


def require_same(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuse as ``claim`` does; writes nothing, and a store that is not there yet is right."""
    path = folder / "teacher.json"
    if path.is_file() and (differing := differences(json.loads(path.read_text(encoding="utf-8")), identity)):
        raise OtherTeacher(
            f"{folder} holds responses that were drawn otherwise: {'; '.join(differing)}. Give the old words to go on, "
            f"teacher.store=OTHER for new responses, or remove the folder"
        )
