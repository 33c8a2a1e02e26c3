"""Data sets of the Hugging Face hub, streamed: one read for each of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recipes.data.sources.hub_access import hub_access

ADDRESS = "hf://datasets/"
BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".jsonl.gz": "json"}
WAY_OUT = "fetch it where there is a network, and set the source's path to the folder"


class HubError(ValueError):
    """A data set cannot be had."""


@dataclass(frozen=True, slots=True)
class HubPart:
    """Rows of one layout: files by a pattern, or a split of a configuration."""

    name: str
    revision: str
    """Empty: whatever the hub has."""
    files: str
    """A pattern such as ``data/cot-*.parquet``; empty: ``config`` and ``split``."""
    config: str = ""
    split: str = ""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"hf:{self.name}{at}#{self.files or f'{self.config},{self.split}'}"


def hub_parts(place: str) -> list[HubPart]:
    """``hf:NAME[@REVISION]#A-*.parquet,B.jsonl`` -> a part for each pattern; ``...#CONFIG,SPLIT`` -> one part.

    Raises:
        ValueError: no such place.
    """
    kind, _, rest = place.partition(":")
    where, _, what = rest.partition("#")
    name, _, revision = where.partition("@")
    words = [word.strip() for word in what.split(",")]
    if kind == "hf" and name.count("/") == 1 and all(words):
        if all(word.endswith(tuple(BUILDERS)) for word in words):
            return [HubPart(name, revision, word) for word in words]
        if len(words) == 2 and not any(word.endswith(tuple(BUILDERS)) for word in words):
            return [HubPart(name, revision, "", *words)]
    forms = "hf:OWNER/NAME@REVISION#FILE.parquet,FILE.jsonl or hf:OWNER/NAME@REVISION#CONFIG,SPLIT"
    raise ValueError(f"place is {place!r}; expected {forms}")


def shard_count(part: HubPart) -> int:
    """Files that can be read apart.

    Raises:
        HubError: it cannot be had.
    """
    return int(_stream(part).num_shards)


def hub_rows(part: HubPart, shard: int, shards: int) -> Iterator[Mapping[str, Any]]:
    """Rows of one of ``shards`` files, in order.

    Raises:
        HubError: it cannot be had, or not to its end.
    """
    stream = _stream(part)
    if int(stream.num_shards) != shards:
        raise HubError(f"{part}: found {stream.num_shards} files, {shards} when the work was planned; pin a revision")
    rows = iter(stream.shard(num_shards=shards, index=shard))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # the network, the hub and the file formats each have their own
            raise HubError(f"{part}, file {shard + 1} of {shards}: {_reason(error)}; {WAY_OUT}") from error
        yield row


def _stream(part: HubPart) -> Any:
    from datasets import load_dataset  # seconds to import

    unreachable = None
    try:
        with hub_access() as unreachable:
            if not part.files:
                revision = part.revision or None
                return load_dataset(part.name, part.config, split=part.split, revision=revision, streaming=True)
            builder = next(name for ending, name in BUILDERS.items() if part.files.endswith(ending))
            at = f"@{part.revision}" if part.revision else ""
            files = f"{ADDRESS}{part.name}{at}/{part.files}"
            return load_dataset(builder, data_files=files, split="train", streaming=True)
    except Exception as error:  # as above
        reason = unreachable or _reason(error)
        raise HubError(f"{part} cannot be had ({reason}); expected the hub: {WAY_OUT}") from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
