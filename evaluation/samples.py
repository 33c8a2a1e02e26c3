"""One record per sample, and the file that holds a benchmark's.

DIR/<benchmark>/samples.jsonl                every sample, problem by problem
DIR/<benchmark>/.samples.replica_000.jsonl   what one replica sampled, until the replicas' parts are merged
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
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
    """Seed of the batch that it was drawn in."""
    text: str
    """Decoded response without the end token."""
    tokens: int
    """Length of the response, the end token included."""
    truncated: bool
    """The length budget was reached without an end token."""
    seconds: float
    """Wall seconds from the start of its batch until it was complete."""
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


def read_samples(path: Path) -> list[Sample]:
    """Every sample of a file, in file order.

    Raises:
        SamplesError: names the file and line of a row that is no sample.
    """
    expected = {field.name for field in fields(Sample)}
    samples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SamplesError(f"{path}:{number}: malformed JSON: {error.msg}; sample again") from error
            if not isinstance(row, dict) or set(row) != expected:
                raise SamplesError(f"{path}:{number}: expected an object with the keys {', '.join(sorted(expected))}")
            samples.append(Sample(**row))
    return samples


def part_path(folder: Path, replica: int) -> Path:
    """Where a replica puts its samples before they are merged."""
    return folder / f".samples.replica_{replica:03d}.jsonl"


def merge_parts(folder: Path, replicas: int, problem_ids: Sequence[str]) -> list[Sample]:
    """The samples of all replicas, in the order of ``problem_ids`` and then of the sample index.

    Raises:
        SamplesError: a replica's part is not on this machine's disk.
    """
    parts = [part_path(folder, replica) for replica in range(replicas)]
    missing = [str(path) for path in parts if not path.is_file()]
    if missing:
        raise SamplesError(
            f"no {', '.join(missing)}: every node must see evaluation.output; put it on a shared file system"
        )
    rank = {problem: index for index, problem in enumerate(problem_ids)}
    samples = [sample for path in parts for sample in read_samples(path)]
    return sorted(samples, key=lambda sample: (rank[sample.problem_id], sample.sample))


def remove_parts(folder: Path) -> None:
    """Remove the replicas' files, once their samples are in ``samples.jsonl``."""
    for path in folder.glob(".samples.replica_*.jsonl"):
        path.unlink()
