"""The rows that a command will read: well-formed, gradable, short enough, and enough of them for a batch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from evaluation.benchmarks.reading import read_benchmark
from evaluation.benchmarks.sources import HUB, WAY_OUT, SourceUnavailable
from recipes.data.jsonl import MAX_REPORTED, DataFileError, read_demonstrations, read_problems
from recipes.data.prompts import ChatTokenizer, instruction_of, prompt_ids, user_turn
from recipes.grading.graders import GradingOptions, require_graders
from recipes.grading.sandbox_command import SandboxUnavailable
from recipes.preflighting.findings import Findings
from recipes.records import Demonstration, Problem
from recipes.settings.errors import SettingsProblem
from recipes.settings.evaluation_schema import BenchmarkSettings
from recipes.settings.schema import GradingSettings, Settings

READ_BYTES = 2**28
"""Rows within the first 256 MiB of a file are read: two or three seconds."""
TOKENIZING_SECONDS = 5.0
"""Longest time that one file's rows are tokenized."""
LAST_ROW_BYTES = 2**26
NAMED_LINES = 200
LONGEST = 20
"""Texts of most characters, among which the one of most tokens is looked for."""

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

    def benchmark(self, key: str, benchmark: BenchmarkSettings) -> tuple[list[Problem], Findings]:
        """The problems of a benchmark, all of them: its count and its hash are those of the whole."""
        name, place = repr(benchmark), benchmark.path or benchmark.source
        if name not in self._problems:
            rows, findings = [], Findings()
            try:
                rows = read_benchmark(benchmark)
                findings.looked_at.append(f"{place}: {len(rows):,} rows")
            except SourceUnavailable as error:
                fix = f"{WAY_OUT}; the same command where there is a network fills the cache"
                problem = SettingsProblem(key, f"{place} cannot be had: {error.reason}", HUB, fix)
                findings.problems.append(problem)
            except DataFileError as error:
                findings.problems.append(_defects_problem(key, place, error.defects))
                findings.looked_at.append(f"{place}: {len(error.defects)} defects")
            self._problems[name] = rows, findings
        return self._problems[name]

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
        lines = list(dict.fromkeys(rest))
        named = ", ".join(lines[:NAMED_LINES]) + (" ..." if len(lines) > NAMED_LINES else "")
        shown.append(f"and {len(rest):,} more, in the lines {named}")
    count = "1 defect" if len(defects) == 1 else f"{len(defects):,} defects"
    expected = "one JSON object a line, with the keys that recipes/data/jsonl.py names"
    word = key.split(" ")[0]  # "benchmark.path of aime24" is no key
    fix = f"correct these lines, or {word}=PATH of another file"
    return SettingsProblem(key, "\n".join([f"{path}: {count}", *shown]), expected, fix)


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


def hugging_face_room(
    settings: Settings, problems: Sequence[Problem], tokenizer: ChatTokenizer | None, instruction: str
) -> list[SettingsProblem]:
    """A Hugging Face folder says itself how many positions its model has."""
    config = Path(str(settings.engine.checkpoint), "config.json")
    key, budget = "evaluation.max_response_length", settings.evaluation.max_response_length
    try:
        positions = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError) as error:
        fix = "engine.checkpoint=FOLDER that python -m recipes.export wrote"
        found = f"{config}: cannot be read ({type(error).__name__})"
        return [SettingsProblem("engine.checkpoint", found, "a Hugging Face model folder", fix)]
    if positions is None or tokenizer is None or not problems:
        return []
    longest = sorted((user_turn(p.problem, instruction_of(p, instruction)) for p in problems), key=len)[-LONGEST:]
    prompt = max(len(prompt_ids(turn, tokenizer, "")) for turn in longest)
    if prompt + budget <= positions:
        return []
    room = positions - prompt
    if room <= 0:
        expected = f"fewer than the {positions} positions of {config}"
        fix = "engine.checkpoint=FOLDER of a model with more positions, or a benchmark with shorter problems"
        return [SettingsProblem("engine.checkpoint", f"a prompt of {prompt} tokens alone", expected, fix)]
    return [
        SettingsProblem(
            key,
            f"{budget} tokens, {prompt + budget} with a prompt of {prompt}",
            f"at most the {positions} positions of {config} together",
            f"{key}={room}",
        )
    ]
