"""Deduplication and decontamination of made-up prompts: rows per second, peak memory, and what is found.

    python -m tests.bench.data_preparation [--rows 1000000] [--seed 1] [--methods ours,open-r1,datatrove] [--folder DIR]

Three methods look at the same rows, one after the other: the command ``python -m recipes.prepare_data``, the method of
open-r1's ``scripts/decontaminate.py`` with equal prompts dropped, and datatrove's MinHash deduplication, which does not
decontaminate. Seconds are those of the whole command, with reading and writing. Memory is the largest sum of resident
memory of its processes, seen ten times a second. A planted copy is found where not both it and its original are
kept; a row that was made alone and is dropped is a false drop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.other_deduplication import METHODS, lines
from tests.bench.synthetic_prompts import NEAR, write_prompts

OURS = "ours"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def command(method: str, folder: Path) -> list[str]:
    """What runs the method on ``folder``."""
    if method != OURS:
        return [sys.executable, "-m", "tests.bench.other_deduplication", method, str(folder)]
    inputs = [f"data.inputs=[{folder / 'rows.jsonl'}]", f"data.against=[{folder / 'benchmark.jsonl'}]"]
    words = ["data=local", *inputs, "steps=[deduplicate,decontaminate]", f"output={folder / OURS}"]
    return [sys.executable, "-m", "recipes.prepare_data", *words]


def measured(words: list[str]) -> tuple[float, int]:
    """Seconds, and the most bytes of memory that the command and its processes held together."""
    started, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(words, stdout=told, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        if process.returncode != 0:
            told.seek(0)
            sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{told.read()[-3000:].decode()}")
    return seconds, most


def memory(root: int) -> int:
    """Bytes of resident memory of a process and all below it; what they share counts for each."""
    parents: dict[int, int] = {}
    pages: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                pages[int(entry.name)] = int((entry / "statm").read_text().split()[1])
            except (OSError, IndexError):  # it has ended
                continue
    below, found = {root}, 0
    while len(below) != found:
        found = len(below)
        below |= {pid for pid, parent in parents.items() if parent in below}
    return sum(pages.get(pid, 0) for pid in below) * _PAGE


def kept_rows(method: str, folder: Path) -> set[int]:
    """Numbers of the rows that the method keeps."""
    if method == OURS:
        return {row["number"] for row in lines(folder / OURS / "problems.jsonl")}
    with (folder / f"{method}.kept").open(encoding="utf-8") as file:
        return set(map(int, file))


def judged(kept: set[int], rows: int, folder: Path) -> dict[str, tuple[int, int]]:
    """What was planted -> how many of how many were found; and the false drops among the rows that were made alone."""
    found: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    touched: set[int] = set()
    for one in lines(folder / "truth.jsonl"):
        name = "near" if one["kind"] in NEAR else one["kind"]
        planted[name] += 1
        found[name] += one["number"] not in kept or one.get("of", one["number"]) not in kept
        touched |= {one["number"], one.get("of", one["number"])}
    alone = rows - len(touched)
    dropped = alone - sum(number not in touched for number in kept)
    return {**{name: (found[name], count) for name, count in sorted(planted.items())}, "false drops": (dropped, alone)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--methods", default=",".join((OURS, *METHODS)))
    parser.add_argument("--folder", type=Path, help="keep everything there; an empty or new folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        write_prompts(folder, given.rows, given.seed)
        size = (folder / "rows.jsonl").stat().st_size
        print(f"{given.rows:,} rows, {size / 1e6:,.0f} MB, {os.cpu_count()} cores", flush=True)
        results = {}
        for method in given.methods.split(","):
            seconds, most = measured(command(method, folder))
            results[method] = judged(kept_rows(method, folder), given.rows, folder)
            print(
                f"{method:<10} {given.rows / seconds:>9,.0f} rows/s  {seconds:>7.1f} s  {most / 1e9:>5.2f} GB",
                flush=True,
            )
            for name, (found, count) in results[method].items():
                print(f"{'':<10} {name:<15} {found:>8,} of {count:>8,}  {found / max(count, 1):>8.2%}", flush=True)
        print(json.dumps({"rows": given.rows, "found": results}))


if __name__ == "__main__":
    main()
