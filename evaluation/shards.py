"""The samples of a benchmark shared out over jobs of their own, which are put together by ``evaluation.merging``.

DIR/<benchmark>/shards/003_of_008/    a folder like DIR/<benchmark>, with the samples of one shard
DIR/<benchmark>/shards/003_of_008/shard.json    which samples are its own, and whether it is finished
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.samples import SamplesError
from evaluation.store import Key
from recipes.atomic_files import write_text
from recipes.settings.evaluation_schema import EvaluationSettings

FOLDER = "shards"
"""Below a benchmark's folder."""
PLAN = "shard.json"


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of several parts of an evaluation."""

    index: int
    """0..count - 1."""
    count: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.index:03d}_of_{self.count:03d}"

    def __str__(self) -> str:
        return f"shard {self.index} of {self.count}"

    def own_keys(self, problem_ids: Sequence[str], n: int) -> list[Key]:
        """Its samples where each is drawn by a seed of its own: every shard gets its share of every problem's samples.

        So a problem with long responses is work for all shards. It does not depend on ``n``.
        """
        return [
            (problem, sample)
            for place, problem in enumerate(problem_ids)
            for sample in range(n)
            if (place + sample) % self.count == self.index
        ]

    def own_batches(self, batches: Sequence[Iterable[Key]]) -> list[Key]:
        """Its samples where they are drawn in batches: whole ones, which draw the same whoever draws the others."""
        return [key for batch in batches[self.index :: self.count] for key in batch]


def shard_of(evaluation: EvaluationSettings) -> Shard | None:
    """The shard that the settings ask for, None for everything."""
    if evaluation.shards is None or evaluation.shard is None:
        return None
    return Shard(evaluation.shard, evaluation.shards)


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What a shard is to draw."""

    shard: Shard
    n: int
    keys: tuple[Key, ...]
    """In the order of the benchmark."""
    finished: bool
    """All of them are there, and nobody writes to the folder any more."""

    def write(self, folder: Path) -> None:
        """Replace the plan in a shard's folder; atomic."""
        own: dict[str, list[int]] = {}
        for problem, sample in self.keys:
            own.setdefault(problem, []).append(sample)
        content = {
            "shard": self.shard.index,
            "shards": self.shard.count,
            "n": self.n,
            "finished": self.finished,
            "samples": own,
        }
        write_text(folder / PLAN, json.dumps(content, ensure_ascii=False) + "\n")


def finish(folder: Path) -> None:
    """Say that all samples of a shard are in its folder."""
    replace(read_plan(folder), finished=True).write(folder)


def read_plan(folder: Path) -> ShardPlan:
    """The plan of a shard's folder.

    Raises:
        SamplesError: there is none, or something else.
    """
    path = folder / PLAN
    try:
        row: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shard = Shard(row["shard"], row["shards"])
        keys = tuple((problem, sample) for problem, samples in row["samples"].items() for sample in samples)
        return ShardPlan(shard, row["n"], keys, row["finished"] is True)
    except FileNotFoundError:
        raise SamplesError(f"{folder}: no {PLAN}, so no shard that evaluation.run began; remove the folder") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SamplesError(
            f"{path}: no plan of a shard ({error!r}); remove the folder and start the shard again"
        ) from error


def shard_folders(benchmark: Path) -> list[Path]:
    """Of every shard that was begun and is not merged, below a benchmark's folder."""
    return sorted(path.parent for path in (benchmark / FOLDER).glob(f"*/{PLAN}"))


def require_same_division(benchmark: Path, shard: Shard | None) -> None:
    """A folder holds the shards of one division, or no shards.

    Raises:
        SamplesError: it has those of another, or shards where the whole is to be drawn.
    """
    found = [path.name for path in shard_folders(benchmark)]
    others = [name for name in found if shard is None or not name.endswith(f"_of_{shard.count:03d}")]
    if others:
        count = others[0].rpartition("_")[2].lstrip("0")
        raise SamplesError(
            f"{benchmark / FOLDER} holds {', '.join(others)}, and {shard or 'the whole'} is to be drawn; go on with "
            f"evaluation.shards={count}, or merge them (python -m evaluation.merge output={benchmark.parent}), or "
            f"remove {benchmark / FOLDER}"
        )
