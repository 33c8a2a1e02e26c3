"""A problem's responses, whether a teacher was asked for them or its rows carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.data.thinking import END, START, thinking_response
from recipes.preparation.teacher_store import Key, TeacherStore


@dataclass(frozen=True, slots=True)
class Given:
    """One response, its text aside."""

    key: Key
    """Of its verdict."""
    sample: int
    """0 .. in the order of the rows, or as asked."""
    row: int | None
    """Of the row that carries it; None for one that was asked for."""
    tokens: int | None
    """As the teacher's server counted them."""
    truncated: bool | None
    """None: not known."""
    teacher: str
    """Model, or the source of the row."""
    place: tuple[Path, int] | None
    """In the store."""


@dataclass(frozen=True, slots=True)
class Responses:
    """Those to the problems of one part."""

    store: TeacherStore
    places: Mapping[Key, tuple[Path, int]]
    wanted: int
    """For each problem that carries none."""
    model: str

    def of(self, group: Sequence[Mapping[str, Any]]) -> list[tuple[Given, str]]:
        """Each response to a problem with its text as it came.

        Args:
            group: all live rows of the problem, in order.
        """
        carried = [row for row in group if row["response"] is not None]
        if carried:
            return [(_carried(row, index), row["response"]) for index, row in enumerate(carried)]
        found = []
        for sample in range(self.wanted):
            key = (group[0]["id"], str(sample))
            if (place := self.places.get(key)) is not None:
                one = self.store.read(place)
                given = Given(key, sample, None, one.tokens, one.finish == "length", self.model, place)
                found.append((given, one.text))
        return found


def _carried(row: Mapping[str, Any], index: int) -> Given:
    """A source does not say what its teacher's budget ended, but a response that never ends its thinking does."""
    text = row["response"]
    truncated = True if START in text and END not in text else None
    return Given((row["id"], row["digest"]), index, row["row"], None, truncated, row["source"], None)


def published_text(given: Given, text: str) -> str:
    """What training sees: a teacher's response in one form of thinking, a source's as the source has it."""
    return text if given.place is None else thinking_response(text)
