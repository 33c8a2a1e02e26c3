"""Two evaluations of the same benchmarks, problem by problem: how far apart, how sure, what was gained and lost.

    python -m evaluation.compare A B [output=FILE.json]

A, B: folders that evaluation.run wrote; differences are B less A, in points of 100. The interval and p are over
problems: would B be ahead on other problems of this kind? The standard error is over new samples of these problems.
Gained: solved by no sample of A, and by one of B or more; lost: the other way round (paper Figure 13). Folders whose
problems differ are refused. output: everything as JSON, the two rates of every problem included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from evaluation.paired import Paired
from evaluation.reporting.folder import compare, sampled_otherwise, scored
from evaluation.reporting.numbers import interval, p_value, points, signed
from evaluation.samples import SamplesError
from evaluation.saved import path_of
from recipes.atomic_files import file_in_the_way, write_text
from recipes.reporting.uncut_table import print_uncut
from recipes.user_input import checked_input

LISTED = 20
"""Gained or lost problems that the screen names."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.compare``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with checked_input("python -m evaluation.compare"):
        folders = [Path(word) for word in words if not word.startswith("output=")]
        files = [path_of(word.removeprefix("output=")) for word in words if word.startswith("output=")]
        if len(folders) != 2 or len(files) > 1:
            raise SamplesError(f"expected two folders and at most one output=FILE.json, found {words}")
        for file in files:
            _require_place(file)
        pairs, notes = compare_folders(*folders)
    _show(folders, pairs, notes)
    if files:
        content = {"a": str(folders[0]), "b": str(folders[1]), "notes": notes}
        rows = {name: found.as_dict() for name, found in pairs.items()}
        write_text(files[0], json.dumps(content | {"benchmarks": rows}, indent=1, ensure_ascii=False) + "\n")


def _require_place(file: Path) -> None:
    if file.is_dir():
        raise SamplesError(f"output={file}: a folder; expected a file: output={file / 'compared.json'}")
    if (other := file_in_the_way(file.parent)) is not None:
        raise SamplesError(f"output={file}: {other} is a file; expected a folder there: name another place")


def compare_folders(a: Path, b: Path) -> tuple[dict[str, Paired], list[str]]:
    """Benchmark -> b against a, and what a reader should know beside the numbers.

    Raises:
        SamplesError: a folder without scores, or no benchmark that both have.
        PairingError: a benchmark whose problems differ, or lack samples.
    """
    ours, theirs = scored(a), scored(b)
    both = [name for name in ours if name in theirs]
    if not both:
        raise SamplesError(f"no benchmark in common: {a} has {', '.join(ours)}; {b} has {', '.join(theirs)}")
    notes = [f"{name}: only in {a}" for name in ours if name not in theirs]
    notes += [f"{name}: only in {b}" for name in theirs if name not in ours]
    for name in both:
        notes += [f"{name}: sampled otherwise, {what}" for what in sampled_otherwise(ours[name], theirs[name])]
        for side in (ours[name], theirs[name]):
            if side.row["missing"]:
                notes.append(f"{name}: {side.row['missing']} samples are missing in {side.folder}")
    return {name: compare(ours[name], theirs[name]) for name in both}, notes


def _show(folders: Sequence[Path], pairs: Mapping[str, Paired], notes: Sequence[str]) -> None:
    console = Console(highlight=False)
    headings = ("benchmark", "problems", "A", "B", "B - A", "±", "95%", "p")
    rows = [
        [
            name, f"{len(found.per_problem):,}", points(found.avg_a), points(found.avg_b),
            signed(found.difference), points(found.stderr_sampling, 2), interval(found.ci95_problems),
            p_value(found.p_value),
        ]
        for name, found in pairs.items()
    ]  # fmt: skip
    console.print(f"A: {folders[0]}\nB: {folders[1]}\n", markup=False, soft_wrap=True)
    print_uncut(console, headings, rows, wrapped="benchmark")
    console.print("points of 100; ±: over new samples; 95% and p: over problems\n(paired t, sign-flip permutations)\n")
    for name, found in pairs.items():
        for what, problems in (("gained", found.gained), ("lost", found.lost)):
            shown = [
                f"{problem} ({points(found.per_problem[problem][0], 0)} -> {points(found.per_problem[problem][1], 0)})"
                for problem in problems[:LISTED]
            ]
            more = [f"{len(problems) - LISTED} more"] if len(problems) > LISTED else []
            named = f": {', '.join(shown + more)}" if problems else ""
            console.print(f"{name}, {what} {len(problems)}{named}", markup=False, soft_wrap=True)
    for note in notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
