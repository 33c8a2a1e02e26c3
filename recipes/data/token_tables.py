"""Demonstrations as token ids on disk: written once for a run, memory-mapped by every rank of each of its starts.

``NAME.arrow`` holds one row for each demonstration (Arrow's file format), ``NAME.json`` what it was made from; a table
counts only where its JSON file is there, and says so. The pages of a table are shared by the processes of a machine, so
a rank costs the lengths alone (4 bytes a demonstration), whatever the texts hold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recipes.atomic_files import write_text

SCHEMA = pa.schema(
    [
        ("tokens", pa.list_(pa.int32())),  # prompt, then response with its end token
        ("prompt_tokens", pa.int32()),  # how many of them are the prompt's
    ]
)
PATIENCE_SECONDS = 600.0
"""How long a rank waits for a table that does not grow."""


@dataclass(frozen=True, slots=True)
class TableRecord:
    """Content of ``NAME.json``."""

    made_from: Mapping[str, Any]
    """What decides the content; another value of it is another table."""
    demonstrations: int
    digest: str
    """``prompts.TokenDigest`` of all rows in their order."""
    overlong: int
    """Demonstrations left out, longer than the limit."""
    longest: int
    """Tokens of the longest of those; 0 where there is none."""
    bytes: int
    """Of ``NAME.arrow``."""


class TokenTable(Sequence[tuple[Any, Any]]):
    """(prompt ids, response ids) of each demonstration that fits, int32, in the order of the file."""

    def __init__(self, arrow: Path, record: TableRecord) -> None:
        self.record = record
        self._mapped = pa.memory_map(str(arrow))
        table = pa.ipc.open_file(self._mapped).read_all()
        self._tokens = table.column("tokens").chunks
        self._prompts = table.column("prompt_tokens").to_numpy()
        self._starts = np.cumsum([0, *map(len, self._tokens)])
        self.lengths = np.concatenate([np.diff(chunk.offsets.to_numpy()) for chunk in self._tokens])
        """Tokens of prompt and response, int32 [demonstrations]."""

    def __len__(self) -> int:
        return self.record.demonstrations

    def __getitem__(self, index: Any) -> Any:
        chunk = int(np.searchsorted(self._starts, index, side="right")) - 1
        if not 0 <= index < len(self):
            raise IndexError(index)
        row = self._tokens[chunk][int(index - self._starts[chunk])].values.to_numpy()
        return row[: self._prompts[index]], row[self._prompts[index] :]

    def report(self) -> str:
        """One line for the log."""
        record, limit = self.record, self.record.made_from["max_sequence_length"]
        total = record.demonstrations + record.overlong
        line = f"{record.demonstrations:,} of {total:,} demonstrations fit {limit} tokens"
        if record.overlong:
            share = record.overlong / total
            line += f"; {record.overlong:,} left out ({share:.1%}), the longest {record.longest} tokens"
        return line


def table_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """``NAME.arrow`` and ``NAME.json``."""
    return folder / f"{name}.arrow", folder / f"{name}.json"


def stored_table(folder: Path, name: str, made_from: Mapping[str, Any]) -> TokenTable | None:
    """The table of that content, where it is there and whole."""
    arrow, told = table_paths(folder, name)
    try:
        record = TableRecord(**json.loads(told.read_text(encoding="utf-8")))
        if record.made_from != made_from or arrow.stat().st_size != record.bytes:
            return None
        return TokenTable(arrow, record)
    except (OSError, TypeError, ValueError, pa.ArrowInvalid):  # absent, torn, or not on this node yet
        return None


def write_record(folder: Path, name: str, record: TableRecord) -> None:
    """The last file of a table; from now on it counts."""
    write_text(table_paths(folder, name)[1], json.dumps(asdict(record), indent=2) + "\n")


def wait_for_table(
    folder: Path, name: str, made_from: Mapping[str, Any], patience_seconds: float = PATIENCE_SECONDS
) -> TokenTable:
    """The table that the first rank of this start is writing.

    Raises:
        ValueError: nothing has changed in the folder for ``patience_seconds``.
    """
    state, since = None, time.monotonic()
    while time.monotonic() - since < patience_seconds:
        if (table := stored_table(folder, name, made_from)) is not None:
            return table
        if (now := _state(folder)) != state:
            state, since = now, time.monotonic()
        time.sleep(0.2)
    raise ValueError(
        f"{folder}: the first rank of this start has not written {name}.arrow, and nothing was written there for "
        f"{patience_seconds:g} s; expected a folder that all nodes share: look at its log, or set run.directory"
    )


def _state(folder: Path) -> list[tuple[str, int]]:
    """Files and sizes."""
    try:
        return sorted((path.name, path.stat().st_size) for path in folder.iterdir())
    except OSError:  # no folder yet, or a file that was renamed meanwhile
        return []
