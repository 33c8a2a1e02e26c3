"""A curriculum that ``launcher/curriculum.sh`` submits, call after call."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.overrides import literal
from tests.slurm.cluster import ENDED, LAUNCHER, Slurm

STAGES = ("sft", "math1", "math2", "code1")
"""Of the paper's seven: each adds two jobs, and the graph of all jobs is looked at in ``test_dry_run``."""

INTERPRETER = """#!/usr/bin/env bash
# Python, but the training of a stage that BROKEN names fails.
if [ -e {broken!r} ]; then
  case " $* " in *" recipes.run_grpo "*" stage=$(cat {broken!r}) "*) exit 9 ;; esac
fi
exec {python!r} "$@"
"""


@dataclass(slots=True)
class Chain:
    """The jobs of one run directory."""

    slurm: Slurm
    folder: Path
    words: list[str]

    @property
    def root(self) -> Path:
        """The run directory; its name needs quoting."""
        return self.folder / "a run"

    @property
    def broken(self) -> Path:
        """While this file is there, the stage that it names fails."""
        return self.folder / "broken"

    def call(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """``launcher/curriculum.sh`` with these flags, from a directory that is not the checkout."""
        python = self.folder / "python"
        python.write_text(INTERPRETER.format(broken=str(self.broken), python=sys.executable))
        python.chmod(0o755)
        words = [*self.words, literal("run.directory", self.root)]
        return self.slurm.run(LAUNCHER / "curriculum.sh", *flags, *words, cwd=self.folder, PYTHON=str(python))

    def submit(self, *flags: str) -> str:
        """Like ``call``, which must succeed; its output."""
        done = self.call(*flags)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Name -> id of the jobs of the newest call."""
        lines = (self.root / "slurm" / "jobs.tsv").read_text().splitlines()
        return {name: number for number, name in (line.split("\t") for line in lines)}

    def states(self) -> dict[str, str]:
        """Name -> state of the jobs of the newest call."""
        now = self.slurm.jobs()
        return {name: now[number].state for name, number in self.jobs().items()}

    def wait(self) -> None:
        """Until all jobs of the newest call have ended."""
        self.slurm.wait_until(lambda: all(state in ENDED for state in self.states().values()), "the chain", 1800)

    def logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        files = sorted((self.root / "slurm").glob("*.out"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-2000:]}" for file in files)
