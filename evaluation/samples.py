"""One record per sample, and the file that holds a benchmark's (``evaluation.store``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes.data.jsonl import write_jsonl
from recipes.records import CodeVerdictName, MathVerdict


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled response, graded or not yet."""

    problem_id: str
    sample: int
    """Index among the problem's samples, 0..n-1."""
    seed: int
    """Seed of the batch that it was drawn in, or of its request."""
    text: str
    """Decoded response without the end token."""
    tokens: int | None
    """Length of the response, the end token included; None where a server does not tell."""
    truncated: bool
    """The length budget was reached without an end token."""
    seconds: float
    """Wall seconds from the start of its batch or request until it was complete."""
    verdict: MathVerdict | CodeVerdictName | None = None
    """None: not graded yet."""
    extracted: str | None = None
    """The answer that was compared, None when there was none."""
    first_failure: Mapping[str, Any] | None = None
    """Of a program: the first test that failed."""

    @property
    def solved(self) -> bool:
        """The answer is right (every test passes) and the response ended within the budget, as in the training reward.

        Raises:
            ValueError: the sample is not graded.
        """
        if self.verdict is None:
            raise ValueError(f"sample {self.sample} of {self.problem_id} is not graded")
        return self.verdict in ("correct", "pass") and not self.truncated


class SamplesError(ValueError):
    """A samples file that does not hold what was asked of it."""


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Replace ``path``; atomic."""
    write_jsonl(path, map(asdict, samples))
