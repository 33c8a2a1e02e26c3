"""A benchmark's samples on disk, whatever ends the process that draws them.

DIR/<benchmark>/samples.jsonl             every sample, problem by problem
DIR/<benchmark>/.samples.part_000.jsonl   what one process has drawn since, a line a sample, and its verdicts
DIR/<benchmark>/sampling.json             what the samples were drawn from and how

A part is only ever appended to. A kill leaves at most a torn last line, which counts as not drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from evaluation.json_files import read_identity
from evaluation.samples import Sample, SamplesError, write_samples
from recipes.atomic_files import write_text
from recipes.data.appended import AppendedFile, differences
from recipes.records import Verdict

_LAST = 999
Key = tuple[str, int]
"""Problem id and index of the sample."""
_MODEL = ("engine", "weights", "model", "api")
"""Keys of an identity that tell one model from another."""
_NAMES = tuple(field.name for field in fields(Sample))
_FIELDS = frozenset(_NAMES)
_GRADE = frozenset({"problem_id", "sample", "verdict", "extracted", "first_failure"})


class SampleStore:
    """The samples of one benchmark in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "samples.jsonl"
        self._identity = folder / "sampling.json"

    def claim(self, identity: Mapping[str, Any], *, replace: bool) -> None:
        """Say what the samples of this folder are drawn from; a folder of other samples is refused, or emptied.

        Args:
            identity: JSON values; equal means that old and new samples may stand side by side.
            replace: remove samples that were drawn otherwise.

        Raises:
            SamplesError: names everything that differs.
        """
        self.require_same(identity, replace=replace)
        if self.differences(identity):
            for path in (self._file, *self._parts()):
                path.unlink(missing_ok=True)
        write_text(self._identity, json.dumps(identity, indent=1, ensure_ascii=False) + "\n")

    @property
    def identity(self) -> dict[str, Any]:
        """What the samples are drawn from, as ``claim`` was told; raises as ``read_identity``."""
        return read_identity(self.folder)

    def require_same(self, identity: Mapping[str, Any], *, replace: bool) -> None:
        """Refuse as ``claim`` does; writes nothing."""
        if (differing := self.differences(identity)) and not replace:
            known = self.identity
            other_model = any(known.get(name) != identity.get(name) for name in _MODEL)
            how = "of another model (weights: the manifest's SHA-256, or a path)" if other_model else "drawn otherwise"
            raise SamplesError(
                f"{self.folder} holds samples {how}: {'; '.join(differing)}. Give the old "
                f"words to go on, output=OTHER for new samples, or replace=true to remove these"
            )

    def differences(self, identity: Mapping[str, Any]) -> list[str]:
        """What the samples of this folder were drawn from otherwise; none for a folder without samples."""
        if not self._identity.is_file():
            return []
        return differences(self.identity, identity)

    def load(self) -> dict[Key, Sample]:
        """Every sample that is there, by its key; verdicts of parts included.

        Raises:
            SamplesError: names file and line of a row that is none.
        """
        found: dict[Key, Sample] = {}
        for path in (self._file, *self._parts()):
            if path.is_file():
                _read_into(found, path)
        return found

    def part(self, number: int) -> SamplePart:
        """Where one process of the evaluation appends; each has a number of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return SamplePart(self.folder / f".samples.part_{number:03d}.jsonl")

    def verdicts(self) -> SamplePart:
        """Where verdicts on samples of any part are appended: the last part, since a verdict follows its sample."""
        return self.part(_LAST)

    def settle(self, samples: Sequence[Sample]) -> None:
        """Put these samples, all that there are, into ``samples.jsonl`` and remove the parts."""
        write_samples(self._file, samples)
        for path in self._parts():
            path.unlink()

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob(".samples.part_*.jsonl"))


class SamplePart:
    """One process's file (``recipes.data.appended``): a line a sample, and their verdicts. From any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AppendedFile(path)

    def __enter__(self) -> SamplePart:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def append(self, sample: Sample) -> None:
        """One sample, graded or not."""
        self._file.append(
            {name: getattr(sample, name) for name in _NAMES}
        )  # asdict copies deeply: a tenth of a client's time

    def grade(self, sample: Sample, verdict: Verdict) -> None:
        """The verdict on a sample that was appended."""
        self._file.append(
            {
                "problem_id": sample.problem_id,
                "sample": sample.sample,
                "verdict": verdict.verdict,
                "extracted": verdict.extracted,
                "first_failure": verdict.first_failure,
            }
        )


def in_order(samples: Mapping[Key, Sample], problem_ids: Sequence[str]) -> list[Sample]:
    """Problem by problem, then by index.

    Raises:
        SamplesError: a sample of a problem that the benchmark does not have.
    """
    rank = {problem: place for place, problem in enumerate(problem_ids)}
    if unknown := sorted({problem for problem, _ in samples} - rank.keys()):
        raise SamplesError(f"samples of {', '.join(unknown[:5])}, which the benchmark does not have")
    return sorted(samples.values(), key=lambda one: (rank[one.problem_id], one.sample))


def _read_into(found: dict[Key, Sample], path: Path) -> None:
    """Rows of a file laid over those that are known; the first of two samples with one key stays."""
    torn = path.name.startswith(".")
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            if torn:
                continue
            raise SamplesError(
                f"{path}:{number}: malformed JSON ({error}); remove the line to sample it again"
            ) from error
        keys = set(row) if isinstance(row, dict) else set()
        if keys and not (isinstance(row.get("problem_id"), str) and type(row.get("sample")) is int):
            keys = set()
        if keys == _FIELDS:
            found.setdefault((row["problem_id"], row["sample"]), Sample(**row))
        elif keys == _GRADE and torn:
            key = (row["problem_id"], row["sample"])
            if key in found:
                found[key] = replace(
                    found[key], **{name: row[name] for name in ("verdict", "extracted", "first_failure")}
                )
        else:
            raise SamplesError(
                f"{path}:{number}: expected an object with the keys {', '.join(sorted(_FIELDS))}; "
                "remove the line to sample it again"
            )
