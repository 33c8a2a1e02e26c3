"""The rules of ``selection``, one word each, and what is wrong with them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from recipes.settings.bounds import RANGES, Range
from recipes.settings.errors import SettingsProblem
from recipes.settings.prepare_schema import SelectionSettings

STAGES: dict[str, Literal["math", "code"]] = {
    "math1": "math",
    "math2": "math",
    "math3": "math",
    "math4": "math",
    "code1": "code",
    "code2": "code",
}
"""RL stage -> the domain of its problems."""


@dataclass(frozen=True, slots=True)
class StageRules:
    """The rules of one stage; those of ``recipes.settings.schema.PromptSettings`` first, then how many stay."""

    min_solve_rate: float | None = None
    max_solve_rate: float | None = None
    min_response_tokens: int | None = None
    max_response_tokens: int | None = None
    max_difficulty: int | None = None
    unseen: Literal["keep", "drop"] = "keep"
    share: float | None = None
    """Part of what the rules above leave that stays, at random."""
    at_most: int | None = None
    """Problems that stay, at random."""


_OWN_RANGES = {"share": Range(0, 0.5, high=1, above_low=True), "at_most": Range(1, 2500)}
_NAMES = tuple(field.name for field in fields(StageRules))
_WHOLE = frozenset({"min_response_tokens", "max_response_tokens", "max_difficulty", "at_most"})


def parse_rules(words: Sequence[str]) -> StageRules:
    """``["min_response_tokens:2000", "share:0.5"]`` as rules.

    Raises:
        ValueError: the first word that is no rule, or a rule that is there twice; what it is and what is expected.
    """
    found: dict[str, float | int | str] = {}
    for word in words:
        name, _, value = word.partition(":")
        if name not in _NAMES:
            near = (difflib.get_close_matches(name, _NAMES, 1, 0.4) or _NAMES)[0]
            raise ValueError(
                f"no rule {word!r}; expected NAME:VALUE with one of {', '.join(_NAMES)}, such as {near}:..."
            )
        if name in found:
            raise ValueError(f"rule {name} is there twice; expected once")
        found[name] = _value(name, value)
    return StageRules(**found)  # type: ignore[arg-type]


def rules_of(selection: SelectionSettings, stage: str) -> StageRules:
    """Those of a stage; raises as ``parse_rules``."""
    return parse_rules(getattr(selection, stage))


def selection_problems(selection: SelectionSettings) -> Iterator[SettingsProblem]:
    """Words that are no rules, of every stage."""
    for stage in STAGES:
        words: list[str] = getattr(selection, stage)
        try:
            parse_rules(words)
        except ValueError as error:
            found, _, expected = str(error).partition("; expected ")
            fix = f"selection.{stage}=[min_response_tokens:2000,unseen:keep]"
            yield SettingsProblem(f"selection.{stage}", found, expected, fix)


def _value(name: str, text: str) -> float | int | str:
    if name == "unseen":
        if text not in ("keep", "drop"):
            raise ValueError(f"{name}:{text}; expected keep or drop")
        return text
    allowed = _OWN_RANGES.get(name) or RANGES[f"prompts.{name}"]
    try:
        value = int(text) if name in _WHOLE else float(text)
    except ValueError:
        value = math.nan
    if value not in allowed:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise ValueError(f"{name}:{text}; expected {kind} {str(allowed).removeprefix('a number ')}")
    return value
