"""The rows that a command will read: well-formed, gradable, short enough, and enough of them for a batch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from recipes.data.jsonl import MAX_REPORTED, DataFileError, read_demonstrations, read_problems
from recipes.data.prompts import ChatTokenizer, instruction_of, prompt_ids, response_ids, user_turn
from recipes.grading.graders import GradingOptions, require_graders
from recipes.grading.sandbox_command import SandboxUnavailable
from recipes.preflighting.findings import Findings
from recipes.records import Demonstration, Problem
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import GradingSettings, Settings

READ_BYTES = 2**28
"""Rows within the first 256 MiB of a file are read: two or three seconds."""
TOKENIZING_SECONDS = 5.0
"""Longest time that one file's rows are tokenized."""
LAST_ROW_BYTES = 2**26
SAMPLED_DEMONSTRATIONS = 200
MANY_LEFT_OUT = 0.25
"""Fraction of too long demonstrations that is warned of."""

Row = TypeVar("Row", Problem, Demonstration)


@dataclass(slots=True)
class DataFiles:
    """Reads each file once, however many stages name it."""

    read_bytes: int = READ_BYTES
    _problems: dict[str, tuple[list[Problem], Findings]] = field(default_factory=dict)
    _demonstrations: dict[str, tuple[list[Demonstration], Findings]] = field(default_factory=dict)

    def problems(self, key: str, path: str) -> tuple[list[Problem], Findings]:
        """The problems that were read; none where a row is wrong."""
        if path not in self._problems:
            self._problems[path] = _read(key, path, read_problems, self.read_bytes)
        return self._problems[path]

    def demonstrations(self, key: str, path: str) -> tuple[list[Demonstration], Findings]:
        """The demonstrations that were read; none where a row is wrong."""
        if path not in self._demonstrations:
            self._demonstrations[path] = _read(key, path, read_demonstrations, self.read_bytes)
        return self._demonstrations[path]

    def whole(self, path: str) -> bool:
        """Whether every row of the file is read."""
        return Path(path).stat().st_size <= self.read_bytes


def _read(
    key: str, path: str, read: Callable[[str, int | None], list[Row]], read_bytes: int
) -> tuple[list[Row], Findings]:
    findings, size = Findings(), Path(path).stat().st_size
    rows: list[Row] = []
    defects: list[str] = []
    try:
        rows = read(path, read_bytes)
    except DataFileError as error:
        defects += error.defects
    if size > read_bytes:
        defects += _last_row_defects(Path(path), size)
    if defects:
        findings.problems.append(_defects_problem(key, path, defects))
        rows = []
    amount = f"{len(rows):,} rows" if rows else f"{len(defects)} defects"
    part = "" if size <= read_bytes else f" in the first {read_bytes / size:.0%} of {size / 2**30:,.1f} GiB"
    findings.looked_at.append(f"{path}: {amount}{part}")
    return rows, findings


def _defects_problem(key: str, path: str, defects: Sequence[str]) -> SettingsProblem:
    shown = [defect.removeprefix(f"{path}:") for defect in defects[:MAX_REPORTED]]
    shown = [f"line {defect}" if defect[:1].isdigit() else defect.strip() for defect in shown]
    if rest := [defect.removeprefix(f"{path}:").partition(":")[0] for defect in defects[MAX_REPORTED:]]:
        shown.append(f"and {len(rest):,} more, in the lines {', '.join(rest[:200])}{' ...' if len(rest) > 200 else ''}")
    count = "1 defect" if len(defects) == 1 else f"{len(defects):,} defects"
    expected = "one JSON object a line, with the keys that recipes/data/jsonl.py names"
    return SettingsProblem(
        key, "\n".join([f"{path}: {count}", *shown]), expected, f"correct these lines, or {key}=PATH of another file"
    )


def _last_row_defects(path: Path, size: int) -> list[str]:
    """A copy that was cut short ends in the middle of a row."""
    with path.open("rb") as file:
        file.seek(max(0, size - LAST_ROW_BYTES))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        json.loads(last)
    except ValueError:
        return [f"{path}: the last row is no complete JSON object; expected a file that was copied to its end"]
    return []


def gradable(key: str, path: str, problems: Iterable[Problem], grading: GradingSettings) -> Findings:
    """Whether the graders of these problems can run here."""
    findings, options = Findings(), dict[str, Any](vars(grading))
    try:
        require_graders(problems, GradingOptions(**options))
    except ValueError as error:
        fix = f"correct or remove these problems, or {key}=PATH of another file"
        findings.problems.append(SettingsProblem(key, f"{path}: {error}", "tests that the grader can run", fix))
    except (SandboxUnavailable, ImportError) as error:
        fix = "install or allow what is named there; grading.sandbox=none only for programs that you trust"
        findings.problems.append(SettingsProblem("grading.sandbox", str(error), "graders that can run here", fix))
    return findings


def prompt_lengths(
    key: str, problems: Sequence[Problem], tokenizer: ChatTokenizer, instruction: str, limit: int
) -> Findings:
    """Prompts of more than ``data.max_prompt_length`` tokens.

    A token holds at least one byte of the text, so only prompts of more bytes than the limit are tokenized, the longest
    ones first, for ``TOKENIZING_SECONDS`` at most.
    """
    findings, started = Findings(), time.monotonic()
    template = len(prompt_ids("", tokenizer, ""))
    turns = {problem.id: user_turn(problem.problem, instruction_of(problem, instruction)) for problem in problems}
    suspects = sorted(
        (p for p in problems if len(turns[p.id].encode()) + template > limit), key=lambda p: -len(turns[p.id])
    )
    long: list[tuple[str, int]] = []
    for seen, problem in enumerate(suspects):
        if time.monotonic() - started > TOKENIZING_SECONDS:
            findings.looked_at.append(f"{key}: the {seen:,} longest of {len(problems):,} prompts tokenized")
            break
        tokens = len(prompt_ids(turns[problem.id], tokenizer, ""))
        if tokens > limit:
            long.append((problem.id, tokens))
    if long:
        named = ", ".join(f"{name} ({tokens})" for name, tokens in long[:10])
        findings.problems.append(
            SettingsProblem(
                "data.max_prompt_length",
                f"{limit} tokens; {len(long):,} of {len(problems):,} prompts of {key} are longer: {named}"
                f"{', ...' if len(long) > 10 else ''}",
                "every prompt within it",
                f"data.max_prompt_length={max(tokens for _, tokens in long)}, or remove these problems",
            )
        )
    return findings


def demonstration_lengths(
    settings: Settings, rows: Sequence[Demonstration], tokenizer: ChatTokenizer, *, whole: bool
) -> Findings:
    """Whether a batch of demonstrations fits ``sft.max_sequence_length``, and how many of them do not."""
    findings, limit, batch = Findings(), settings.sft.max_sequence_length, settings.sft.global_batch_size
    template = len(prompt_ids("", tokenizer, ""))

    def tokens(row: Demonstration) -> int:
        instruction = instruction_of(row.problem, settings.data.instruction)
        prompt = prompt_ids(row.problem.problem, tokenizer, instruction)
        return len(prompt) + len(response_ids(row.response, tokenizer))

    def at_most(row: Demonstration) -> int:
        turn = user_turn(row.problem.problem, instruction_of(row.problem, settings.data.instruction))
        return template + len(turn.encode()) + len(row.response.encode()) + 1

    suspects = [row for row in rows if at_most(row) > limit]
    fitting, started = len(rows) - len(suspects), time.monotonic()
    tokenized = overlong = 0
    few = fitting < batch
    step = 1 if few else max(1, len(suspects) // SAMPLED_DEMONSTRATIONS)
    for row in suspects[::step]:
        if time.monotonic() - started > TOKENIZING_SECONDS:
            break
        tokenized += 1
        overlong += tokens(row) > limit
    if whole and few and tokenized == len(suspects) and len(rows) - overlong < batch:
        findings.problems.append(
            SettingsProblem(
                "sft.global_batch_size",
                f"{batch}, with {len(rows) - overlong} demonstrations that fit sft.max_sequence_length={limit}",
                f"at most {max(len(rows) - overlong, 1)}",
                f"sft.global_batch_size={max(len(rows) - overlong, 1)}, or more demonstrations",
            )
        )
    elif suspects and tokenized and (share := overlong / tokenized * len(suspects) / len(rows)) > MANY_LEFT_OUT:
        findings.warnings.append(
            SettingsProblem(
                "sft.max_sequence_length",
                f"{limit} tokens; about {share:.0%} of the demonstrations are longer and will be left out",
                "most demonstrations within it",
                f"sft.max_sequence_length={min(2 * limit, settings.model.max_position_embeddings)}",
            )
        )
    return findings
