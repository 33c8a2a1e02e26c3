"""A benchmark as problems, refused unless it is the one that its name says.

Checked: how many problems, their golds (answers or tests) and statements by content hash, known wrong golds, the
contest window, equal tests under different problems. Everything that is wrong is reported at once.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.code_rows import humaneval_row, livecodebench_row, mbpp_row
from evaluation.benchmarks.math_rows import gsm8k_row, math_row
from evaluation.benchmarks.rows import BenchmarkRow, answer_gold
from evaluation.benchmarks.sources import hub_name, rows_of
from recipes.data.jsonl import DataFileError, read_problems
from recipes.records import Problem
from recipes.settings.evaluation_schema import BenchmarkSettings

Reader = Callable[[BenchmarkSettings, int, dict[str, Any]], "BenchmarkRow | None"]

READERS: dict[str, Reader] = {
    "math": lambda benchmark, number, row: math_row(benchmark.name, number, row),
    "gsm8k": lambda benchmark, number, row: gsm8k_row(benchmark.name, number, row),
    "humaneval": lambda benchmark, number, row: humaneval_row(
        benchmark.name, number, row, benchmark.instruction_with_starter
    ),
    "mbpp": lambda benchmark, number, row: mbpp_row(benchmark.name, number, row),
    "livecodebench": lambda benchmark, number, row: livecodebench_row(
        benchmark.name, number, row, benchmark.instruction_with_starter
    ),
}
"""``benchmark.format`` -> reader of one row; None leaves the row out. ``problems`` is the recipe's own layout."""

SAME_TESTS = 3
"""Problems that may share their last test before the file is taken for a broken copy."""


def read_benchmark(benchmark: BenchmarkSettings) -> list[Problem]:
    """The problems of a benchmark, in the order of its rows.

    Raises:
        DataFileError: it is not there, or not what ``benchmark`` says; every defect at once.
    """
    place, rows, defects = _rows(benchmark)
    defects += _defects(benchmark, place, rows, whole=not defects)
    if defects:
        raise DataFileError(place, defects)
    return [row.problem for row in rows]


def golds_sha256(rows: Sequence[BenchmarkRow]) -> str:
    """Hexadecimal SHA-256 of what responses are judged by, whatever the order of the rows and their layout."""
    return _sha256([row.gold for row in rows])


def content_sha256(rows: Sequence[BenchmarkRow]) -> str:
    """Hexadecimal SHA-256 of statements (blanks collapsed) and golds, whatever the order, the layout and the ids."""
    return _sha256([" ".join(row.problem.problem.split()) + "\x1f" + row.gold for row in rows])


def benchmark_rows(benchmark: BenchmarkSettings) -> list[BenchmarkRow]:
    """The rows, looked at one by one only: for the hashes of a copy.

    Raises:
        DataFileError: rows that are wrong by themselves.
    """
    place, rows, defects = _rows(benchmark)
    if defects:
        raise DataFileError(place, defects)
    return rows


def _rows(benchmark: BenchmarkSettings) -> tuple[Path, list[BenchmarkRow], list[str]]:
    if benchmark.format == "problems":
        if benchmark.path is None:
            raise DataFileError(Path("benchmark.path"), [f"{benchmark.name}: expected benchmark.path=FILE.jsonl"])
        found = [BenchmarkRow(problem, answer_gold(problem)) for problem in read_problems(benchmark.path)]
        return Path(benchmark.path), found, []
    place, rows = rows_of(benchmark.name, benchmark.source, benchmark.path)
    read = READERS[benchmark.format]
    wrong_golds = dict("".join(pair.split()).split("=", 1) for pair in benchmark.wrong_golds)
    defects: list[str] = []
    kept: list[BenchmarkRow] = []
    first: dict[str, str] = {}
    for number, (where, raw) in enumerate(rows, start=1):
        try:
            row = read(benchmark, number, raw)
            if row is None or not _in_window(benchmark, row.problem):
                continue
        except (ValueError, SyntaxError, KeyError, TypeError, RecursionError) as error:
            defects.append(f"{where}: {error}")
            continue
        name = row.problem.id
        if name in first:
            defects.append(f"{where}: id {name!r} repeats the one of {first[name]}; expected each id once: remove one")
        first.setdefault(name, where)
        if row.gold in wrong_golds:
            right = wrong_golds[row.gold]
            defects.append(f"{where}: gold {row.gold}, known to be wrong; expected {right}: correct the row")
        kept.append(row)
    return place, kept, defects


def _in_window(benchmark: BenchmarkSettings, problem: Problem) -> bool:
    """Contests from the first day on and before the second; a problem without a date is no part of any window."""
    if benchmark.contest_from is None or benchmark.contest_to is None:
        return True
    date = problem.metadata.get("contest_date")
    if not date:
        raise ValueError(
            f"problem {problem.id!r} has no contest_date; expected one between benchmark.contest_from and contest_to, "
            f"or benchmark.contest_from=null benchmark.contest_to=null for a file that is cut already"
        )
    return benchmark.contest_from <= str(date) < benchmark.contest_to


def _defects(benchmark: BenchmarkSettings, place: Path, rows: Sequence[BenchmarkRow], *, whole: bool) -> Iterator[str]:
    """What is wrong with the benchmark as a whole; its count and hashes only where every row could be read."""
    name = benchmark.name
    if whole and benchmark.problems is not None and len(rows) != benchmark.problems:
        yield (
            f"{place}: found {len(rows)} problems; expected benchmark.problems={benchmark.problems}: another version "
            f"of {name}, or a part of it; get the whole, or name it benchmark=local"
        )
    elif whole:
        yield from _other_content(benchmark, place, rows)
    last = Counter(test for row in rows if (test := _last_test(row.problem)) is not None)
    for test, count in last.most_common(1):
        if benchmark.format == "livecodebench" and count > max(SAME_TESTS, len(rows) // 2):
            yield (
                f"{place}: {count} of {len(rows)} problems end with the same test ({test[:80]}); expected tests of "
                "their own: copies with one problem's private tests under all of them are known; get another copy"
            )


def _other_content(benchmark: BenchmarkSettings, place: Path, rows: Sequence[BenchmarkRow]) -> Iterator[str]:
    """Golds that are not the benchmark's; statements that are not those of a copy that was looked at.

    A data set on the hub may word its statements otherwise than the copies whose hashes are known, so there that is
    a warning.
    """
    name = benchmark.name
    if benchmark.golds_sha256 is not None and (golds := golds_sha256(rows)) != benchmark.golds_sha256:
        yield (
            f"{place}: the golds have sha256 {golds}; expected benchmark.golds_sha256={benchmark.golds_sha256}: at "
            f"least one answer or test is not that of {name}; get another copy, or name it benchmark=local"
        )
    elif benchmark.copies_sha256 and (content := content_sha256(rows)) not in benchmark.copies_sha256:
        message = (
            f"{place}: the golds are those of {name}, but the statements are not those of a known copy (sha256 "
            f"{content}); expected one of benchmark.copies_sha256={','.join(benchmark.copies_sha256)}"
        )
        if hub_name(benchmark.source, benchmark.path) is None:
            yield f"{message}: get another copy, or, if the wording is right, benchmark.copies_sha256=[{content}]"
        else:
            logging.getLogger(__name__).warning("%s; scores on other statements are not quite comparable", message)


def _last_test(problem: Problem) -> str | None:
    tests = problem.tests or {}
    if not tests.get("inputs"):
        return None
    return f"{tests['inputs'][-1]!r} -> {tests['outputs'][-1]!r}"


def _sha256(texts: Sequence[str]) -> str:
    return hashlib.sha256("\x1e".join(sorted(texts)).encode("utf-8", "surrogatepass")).hexdigest()
