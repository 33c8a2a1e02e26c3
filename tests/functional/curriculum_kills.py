"""SIGKILL to every process of a curriculum at random moments, and the same command again until it ends.

    python -m tests.functional.curriculum_kills FOLDER [--kills 20] [--seed N]

The curriculum (``tests.functional.small_curriculum``) runs once undisturbed, then under fire: after every kill the
folder is looked at, and the same command starts again. A run that ends before all kills are spent is compared with the
undisturbed one, and the next one begins in a folder of its own. Prints what was killed when; writes
``FOLDER/report.json``; exit status 1 when anything was lost, torn or different.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from recipes.checkpoints.manifest import file_sha256, manifest_problems
from recipes.checkpoints.store import CheckpointStore
from tests.functional.small_curriculum import STAGES, differences, read, results, words, write_data

TAG = "KILLED_TOGETHER"
"""Environment variable that every process of an attempt inherits, whatever session it moves to."""


@dataclass(slots=True)
class Kill:
    """One kill and what it left."""

    run: int
    seconds: float
    """After the start of the command."""
    at: str
    """The step of the curriculum that was at work."""
    processes: int
    """Killed together."""
    saving: bool
    """In the middle of a checkpoint or of a stage's weights."""
    steps: dict[str, int]
    """Stage -> updates in its newest checkpoint."""
    finished: list[str]
    """Stages with a manifest."""


@dataclass(slots=True)
class Report:
    """Of the whole command."""

    seed: int
    reference_seconds: float = 0.0
    runs: int = 0
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; random when not given")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    report = Report(secrets.randbelow(10**6) if arguments.seed is None else arguments.seed)
    print(f"--seed {report.seed} draws the same delays again", flush=True)
    write_data(folder / "data")
    command = [sys.executable, "-m", "recipes.run_curriculum", *words(folder / "data")]

    started = time.monotonic()
    with (folder / "undisturbed.txt").open("w") as output:
        subprocess.run([*command, f"run.directory={folder / 'undisturbed'}"], stdout=output, stderr=output, check=True)
    report.reference_seconds = time.monotonic() - started
    print(f"undisturbed: {report.reference_seconds:.0f} s", flush=True)
    expected = results(folder / "undisturbed")
    steps = read(folder / "undisturbed" / "curriculum.json")["seconds"].values()
    # Few kills are spread over the whole run; of many, half must come later than a step takes, or a run never ends.
    mean = max(report.reference_seconds / (arguments.kills + 1), median(steps))
    dice = random.Random(report.seed)
    delays = [dice.uniform(0.0, 2 * mean) for _ in range(arguments.kills)]
    while delays:
        report.runs += 1
        root = folder / f"killed_{report.runs}"
        _under_fire([*command, f"run.directory={root}"], root, delays, report)
        if not report.problems:
            report.problems += [f"{root.name}: {text}" for text in differences(expected, results(root))]
            report.problems += [f"{root.name}: left behind: {path}" for path in leftovers(root)]
        if report.problems:
            break
    (folder / "report.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    print(
        *report.problems, f"{len(report.kills)} kills in {report.runs} runs, {len(report.problems)} problems", sep="\n"
    )
    return bool(report.problems)


def _under_fire(command: list[str], root: Path, delays: list[float], report: Report) -> None:
    """One run to its end; takes a delay from ``delays`` for every attempt."""
    log = root.with_suffix(".txt")
    finished: dict[str, str] = {}
    while True:
        delay = delays.pop(0) if delays else None
        with log.open("a") as output:
            print(f"--- attempt, killed after {delay} s", file=output, flush=True)
            tag, started = secrets.token_hex(8), time.monotonic()
            process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, env={**os.environ, TAG: tag}
            )
            status: int | None
            try:
                status = process.wait(delay)
            except subprocess.TimeoutExpired:
                status = None
        if status is None:
            report.kills.append(_kill(process, tag, root, report.runs, time.monotonic() - started))
            print(report.kills[-1], flush=True)
        elif delay is not None:
            delays.insert(0, delay)  # it came through before its kill was due
        finished = _look(root, finished, report.problems)
        if status is None and not report.problems:
            continue
        if status not in (0, None):
            report.problems.append(f"{root.name}: exit status {status}; the end of {log} says why")
        if "it is left out" in log.read_text():
            report.problems.append(f"{root.name}: a torn checkpoint had a checkpoint's name, see {log}")
        return


def _kill(process: subprocess.Popen[bytes], tag: str, root: Path, run: int, seconds: float) -> Kill:
    found = set(processes_of(process.pid, tag))
    count = len(found)
    while found:  # a fork may have been under way
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.01)
        found = {pid for pid in set(processes_of(process.pid, tag)) | found if _alive(pid)}
    process.wait()
    steps = {stage: _newest(root / stage) for stage in STAGES}
    saving = any(root.glob("*/checkpoints/.step_*.partial")) or any(root.glob("*/.model.nemo.*partial*"))
    done = [stage for stage in STAGES if (root / stage / "manifest.json").is_file()]
    titles = [line for line in root.with_suffix(".txt").read_text().splitlines() if line.startswith(("[", "--- "))]
    at = titles[-1].split(":")[0] if titles[-1].startswith("[") else "before the first step"
    return Kill(run, round(seconds, 1), at, count, saving, steps, done)


def processes_of(root: int, tag: str) -> Iterator[int]:
    """Those of the session of ``root``, all descendants, and whoever inherited the tag."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pid = int(folder.name)
            parents[pid], sessions[pid] = int(fields[1]), int(fields[3])
            if f"{TAG}={tag}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                sessions[pid] = root
    for pid in parents:
        ancestors: set[int] = set()
        at = pid
        while at in parents and at not in ancestors:
            ancestors.add(at)
            at = parents[at]
        if root in ancestors or sessions[pid] == root:
            yield pid


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _look(root: Path, finished: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """What is finished stays as it is, and what has a checkpoint's name is whole."""
    found: dict[str, str] = {}
    for stage in STAGES:
        folder = root / stage
        for file in (folder / "manifest.json", folder / "evaluation" / "scores.json"):
            if file.is_file():
                found[str(file)] = file_sha256(file)
        if (folder / "manifest.json").is_file():
            problems += [f"{root.name}: {problem}" for problem in manifest_problems(folder / "model.nemo")]
        whole = {checkpoint.directory for checkpoint in CheckpointStore(folder / "checkpoints", 3).complete()}
        problems += [f"{path}: torn" for path in (folder / "checkpoints").glob("step_*") if path not in whole]
    for name, digest in finished.items():
        # An evaluation adds one benchmark after the other; a manifest is written once.
        if name not in found:
            problems.append(f"{name}: was finished, is gone")
        elif name.endswith("manifest.json") and found[name] != digest:
            problems.append(f"{name}: was finished, is changed")
    return found


def _newest(stage: Path) -> int:
    return max((int(path.name[-8:]) for path in (stage / "checkpoints").glob("step_*")), default=0)


def leftovers(root: Path) -> list[Path]:
    """Temporary files of a run that is over."""
    return [path for path in root.rglob(".*") if path.name not in (".lock", ".metadata")]


def describe(report: Mapping[str, Any]) -> str:
    """Its figures, on a line."""
    kills = report["kills"]
    return f"{len(kills)} kills in {report['runs']} runs, {sum(kill['saving'] for kill in kills)} of them in a save"


if __name__ == "__main__":
    sys.exit(main())
