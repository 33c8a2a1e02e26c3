"""What every source of training data becomes: one row for all, with an id that its content gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from recipes.data.jsonl import content_id

Domain = Literal["math", "code"]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a source: a problem, what its responses are graded by, and a response where the source has one."""

    domain: Domain
    problem: str
    """The user's turn, without the evaluation instruction and without the chat template; not empty."""
    source: str
    """Where it comes from, for instance ``numinamath``."""
    licence: str
    """As the source states it; ``not stated`` where it does not."""
    answer: str = ""
    """The gold answer; empty for a code problem, and where the source has none."""
    tests: Mapping[str, Any] | None = None
    """The tests of a code problem (``recipes.grading.code_test_format``); None for a math problem."""
    response: str | None = None
    """The teacher's whole response, from ``<think>`` on; None where the source has problems only."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the row carried that JSON can hold, for instance ``source_id``, ``difficulty``, ``solution``."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the SHA-256 of problem and answer (or tests)."""
        return content_id(
            self.problem, self.answer or ("" if self.tests is None else json.dumps(self.tests, sort_keys=True))
        )

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of the SHA-256 of the whole row: equal for equal rows alone."""
        parts = (self.domain, self.problem, self.source, self.licence, self.answer, canonical(self.tests))
        whole = canonical([*parts, self.response, dict(self.metadata)])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used."""

    reason: str
    """What was found and what is expected, without the place."""
    content: str
    """The row as it was read, or its first ``REJECTED_CHARACTERS`` characters."""
    place: str
    """``file:line``, or the data set's name and the number of the row."""
    source: str


REJECTED_CHARACTERS = 20_000


def canonical(value: Any) -> str:
    """JSON that is equal for equal values: sorted keys, no blanks.

    Raises:
        TypeError, ValueError: JSON cannot hold it.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
