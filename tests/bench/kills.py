"""2,000 requests to a server that fails, the client killed ten times: nothing lost, nothing doubled, the same scores.

    python -m tests.bench.kills [--problems 250] [--n 8] [--kills 10] [--faults 0.3] [--seed 1]

Both runs are ``python -m evaluation.run``: one against a steady server, one killed at random moments against a server
with 500s, 429s, stalls, cut and dropped streams, nonsense and empty replies. Ends with 1 where they differ.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from recipes.data.jsonl import write_jsonl
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

CONCURRENCY = 64


def command(url: str, benchmark: Path, output: Path, n: int) -> list[str]:
    """The evaluation of the benchmark."""
    engine = ["engine=openai", f"engine.url={url}", f"engine.model={MODEL}", f"engine.concurrency={CONCURRENCY}"]
    patience = ["engine.stall_seconds=2", "engine.attempts=60"]
    what = ["benchmark=local", "benchmark.grader=math", f"benchmark.path={benchmark}", f"n={n}", f"output={output}"]
    return [sys.executable, "-m", "evaluation.run", *engine, *patience, *what, "evaluation.report=false"]


def finish(words: list[str]) -> None:
    """Run a command to its end."""
    ended = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(ended.stderr[-3000:])


def kept(output: Path) -> int:
    """Bytes of samples that are there."""
    return sum(part.stat().st_size for part in output.glob("local/.samples.part_*.jsonl"))


def killed(words: list[str], output: Path, moment: float) -> bool:
    """Start the command and kill it so many seconds after its first new sample; False: it had ended by then."""
    before = kept(output)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and kept(output) == before:
        time.sleep(0.01)
    time.sleep(moment)
    if process.poll() is not None:
        return False
    process.kill()
    process.wait()
    return True


def rows(output: Path) -> list[tuple[str, int, int, str, str]]:
    """What was sampled, in the order of the file."""
    lines = (output / "local" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    keys = ("problem_id", "sample", "seed", "text", "verdict")
    return [tuple(json.loads(line)[key] for key in keys) for line in lines]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=250)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        benchmark, log = root / "benchmark.jsonl", root / "served.jsonl"
        numbers = range(given.problems)
        write_jsonl(benchmark, ({"id": f"p{i}", "problem": f"What is {i}?", "answer": str(i % 10)} for i in numbers))
        with fault_server("--faults", "0") as url:
            finish(command(url, benchmark, root / "steady", given.n))
        kills = 0
        faults = ("--faults", str(given.faults), "--seconds", "0.3", "--seed", str(given.seed), "--log", str(log))
        with fault_server(*faults) as url:
            words = command(url, benchmark, root / "killed", given.n)
            for number in range(given.kills):
                kills += killed(words, root / "killed", moments.uniform(0, 1.2))
                print(f"kill {number + 1}: {kept(root / 'killed'):,} bytes of samples kept", flush=True)
            finish(words)
        steady, after = rows(root / "steady"), rows(root / "killed")
        wanted = [(f"p{i}", sample) for i in numbers for sample in range(given.n)]
        served = Counter((row["prompt"], row["seed"]) for row in map(json.loads, log.open()) if not row["fault"])
        same = [(root / one / "scores.json").read_bytes() for one in ("steady", "killed")]
        answers = {
            "nothing lost, nothing doubled": [row[:2] for row in after] == wanted,
            "the same responses and verdicts": after == steady,
            "scores.json equal to the byte": same[0] == same[1],
            "asked twice: only what was under way": sum(served.values()) - len(wanted) <= kills * CONCURRENCY,
        }
    print(f"{len(wanted):,} samples, {given.faults:.0%} faults, {kills} kills")
    print(f"asked again after a kill\t{sum(served.values()) - len(served)}")
    for what, holds in answers.items():
        print(f"{what}\t{'yes' if holds else 'NO'}")
    sys.exit(0 if all(answers.values()) else 1)


if __name__ == "__main__":
    main()
