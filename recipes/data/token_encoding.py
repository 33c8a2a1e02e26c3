"""A JSONL file of demonstrations -> a table of token ids, in processes, in the order of the file.

The file is read once, a few megabytes at a time, and no text is kept: the paper's 2.2 million long responses are more
than a machine holds. What is wrong with any row is told with all the rest, after the whole file.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from tqdm import tqdm

from recipes.atomic_files import atomic_file
from recipes.data.jsonl import (
    DemonstrationKeys,
    DemonstrationsBefore,
    numbered_lines,
    read_demonstration,
    require_sound,
)
from recipes.data.lengths import response_encoder, tokenizer_state
from recipes.data.prompts import TokenDigest, instruction_of, prompt_ids
from recipes.data.token_tables import SCHEMA, TableRecord, TokenTable, stored_table, table_paths, write_record
from recipes.data.tokenizer import load_tokenizer
from recipes.parent_death import end_with_pool

FORMAT = 1
"""Of the table and of how rows become tokens; a table of another number is written again."""
PART_BYTES = 1 << 22
"""Of the lines that are encoded together."""
SEVERAL_PROCESSES_BYTES = 1 << 25
"""A smaller file is encoded in this process: starting others takes longer."""


class EncoderDied(RuntimeError):
    """A process ended without a word; the message says what may help."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become tokens."""

    tokenizer: str
    """Folder."""
    instruction: str
    """Of problems that carry none of their own."""
    max_sequence_length: int
    """Longer demonstrations are left out and counted."""

    def made_from(self, path: Path) -> dict[str, Any]:
        """What decides a table's content: the file by size and time, tokenizer by content, and the numbers.

        Raises:
            FileNotFoundError: there is no such file.
        """
        stat = path.stat()
        return {
            "format": FORMAT,
            "bytes": stat.st_size,
            "modified_ns": stat.st_mtime_ns,
            "tokenizer": tokenizer_state(self.tokenizer),
            "versions": {name: version(name) for name in ("transformers", "tokenizers")},
            "instruction": self.instruction,
            "max_sequence_length": self.max_sequence_length,
        }


@dataclass(frozen=True, slots=True)
class _Part:
    """What became of some lines of the file."""

    rows: pa.RecordBatch
    """``token_tables.SCHEMA``."""
    keys: list[tuple[int, DemonstrationKeys, int]]
    """Line, keys and tokens of every sound demonstration, also of those that are too long."""
    defects: list[str]
    bytes: int


class _Encoder:
    """Lines -> tokens; one a process."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._path, self._encoding = path, encoding
        self._tokenizer = load_tokenizer(encoding.tokenizer)
        self._encode = response_encoder(self._tokenizer)

    def __call__(self, lines: Sequence[tuple[int, bytes]]) -> _Part:
        """Raises:
        ValueError: as in ``prompts.instruction_of``.
        """
        defects: list[str] = []
        read = [(number, read_demonstration(self._path, number, raw, defects)) for number, raw in lines]
        found = [(number, demonstration) for number, demonstration in read if demonstration is not None]
        keys: list[tuple[int, DemonstrationKeys, int]] = []
        tokens: list[list[int]] = []
        prompts: list[int] = []
        responses = self._encode([demonstration.response for _, demonstration in found])
        for (number, demonstration), response in zip(found, responses, strict=True):
            problem = demonstration.problem
            prompt = prompt_ids(problem.problem, self._tokenizer, instruction_of(problem, self._encoding.instruction))
            row = [*prompt, *response, self._tokenizer.eos_token_id]
            keys.append((number, DemonstrationKeys.of(demonstration), len(row)))
            if len(row) <= self._encoding.max_sequence_length:
                tokens.append(row)
                prompts.append(len(prompt))
        rows = pa.record_batch([pa.array(tokens, SCHEMA.field(0).type), pa.array(prompts, pa.int32())], schema=SCHEMA)
        return _Part(rows, keys, defects, sum(len(raw) for _, raw in lines))


def token_table(path: Path, folder: Path, name: str, encoding: Encoding, workers: int | None = None) -> TokenTable:
    """The table of a file of demonstrations; made where the folder has none of this content. One writer at a time.

    Args:
        folder: where ``NAME.arrow`` and ``NAME.json`` lie.
        workers: processes; None: one for each core that this process may use, for a large file.

    Raises:
        DataFileError: names every line that is no demonstration, contradicts or repeats another.
        ValueError: no demonstration is short enough; and as in ``prompts.instruction_of``.
        EncoderDied: the system ended a process.
    """
    if not path.is_file():
        next(numbered_lines(path))  # says what is there instead
    made_from = encoding.made_from(path)
    if (table := stored_table(folder, name, made_from)) is not None:
        return table
    arrow, told = table_paths(folder, name)
    told.unlink(missing_ok=True)
    with ExitStack() as stack:
        out = stack.enter_context(atomic_file(arrow, "wb"))
        encode = _parts(path, encoding, made_from["bytes"], workers, stack)
        record = _write(out, path, encode, made_from)
    write_record(folder, name, record)
    return TokenTable(arrow, record)


def _write(out: IO[bytes], path: Path, parts: Iterator[_Part], made_from: Mapping[str, Any]) -> TableRecord:
    before, digest, defects = DemonstrationsBefore(path), TokenDigest(), list[str]()
    limit, fit, overlong, longest = made_from["max_sequence_length"], 0, 0, 0
    shortest: int | None = None
    size = made_from["bytes"]
    bar = tqdm(total=size, desc=f"tokens of {path.name}", unit="B", unit_scale=True, dynamic_ncols=True, delay=2)
    with bar, pa.ipc.new_file(out, SCHEMA) as writer:
        for part in parts:
            defects += part.defects
            for number, keys, tokens in part.keys:
                if defect := before.defect(number, keys):
                    defects.append(defect)
                overlong += tokens > limit
                longest = max(longest, tokens if tokens > limit else 0)
                shortest = tokens if shortest is None else min(shortest, tokens)
            _update(digest, part.rows)
            fit += part.rows.num_rows
            if part.rows.num_rows:  # with defects too: the other ranks see that the file grows
                writer.write_batch(part.rows)
            bar.update(part.bytes)
    require_sound(
        path, fit + overlong, sorted(defects, key=lambda defect: int(defect[len(f"{path}:") :].split(":")[0]))
    )
    if fit == 0:
        raise ValueError(
            f"none of {overlong} demonstrations of {path} fits sft.max_sequence_length={limit} tokens; "
            f"the shortest has {shortest}"
        )
    return TableRecord(made_from, fit, digest.hexdigest(), overlong, longest, out.tell())


def _update(digest: TokenDigest, rows: pa.RecordBatch) -> None:
    tokens = rows.column(0)
    for place, prompt in enumerate(rows.column(1).to_pylist()):
        row = tokens[place].values.to_numpy()
        digest.update(row[:prompt], row[prompt:])


def _parts(path: Path, encoding: Encoding, size: int, workers: int | None, stack: ExitStack) -> Iterator[_Part]:
    """Every part of the file, in its order."""
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if size >= SEVERAL_PROCESSES_BYTES else 1
    if workers == 1:
        return map(_Encoder(path, encoding), _lines(path))
    # spawn: a forked child would share the threads of Arrow and of the tokenizer
    pool = stack.enter_context(
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(path, encoding))
    )
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return _in_order(pool, path, 2 * workers)


def _in_order(pool: ProcessPoolExecutor, path: Path, ahead: int) -> Iterator[_Part]:
    waiting: deque[Any] = deque()
    try:
        for lines in _lines(path):
            waiting.append(pool.submit(_encode, lines))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise EncoderDied(
            f"{path}: a process that encodes was ended from outside, most often for want of memory; the same command "
            "tries again"
        ) from error


def _lines(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    lines: list[tuple[int, bytes]] = []
    size = 0
    for number, raw in numbered_lines(path):
        lines.append((number, raw))
        size += len(raw)
        if size >= PART_BYTES:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


_own: Callable[[Sequence[tuple[int, bytes]]], _Part]
"""Of a process of the pool."""


def _begin(path: Path, encoding: Encoding) -> None:
    global _own
    end_with_pool()
    for number in (signal.SIGINT, signal.SIGUSR1):  # sent to all of a job; the process that waits decides
        signal.signal(number, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _own = _Encoder(path, encoding)


def _encode(lines: Sequence[tuple[int, bytes]]) -> _Part:
    return _own(lines)
