"""The local Slurm as tests use it: submit, look at a job, wait for it, signal it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

LAUNCHER = ROOT / "launcher"
LOCAL_SLURM = Path(__file__).with_name("local_slurm.bash")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol", "squeue")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE")
PATIENCE = 600.0
"""Seconds; a busy machine takes minutes for what a quiet one does in one."""


@dataclass(frozen=True, slots=True)
class Job:
    """What Slurm says about a job."""

    state: str
    exit_code: str
    """``7:0``: exit status and signal."""
    restarts: int


@dataclass(frozen=True, slots=True)
class Slurm:
    """A running cluster; its commands find it by their environment."""

    environment: Mapping[str, str]

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command with the cluster in reach."""
        return subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def submit(self, *words: str | Path, cwd: Path, **variables: str) -> str:
        """``sbatch`` with these words; the job's id."""
        done = self.run("sbatch", "--parsable", *words, cwd=cwd, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def jobs(self) -> dict[str, Job]:
        """Id -> job, of all that were ever submitted; one call, since tests look often."""
        lines = self.run("scontrol", "show", "job", "--oneliner").stdout.splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]
        return {job["JobId"]: Job(job["JobState"], job["ExitCode"], int(job["Restarts"])) for job in found if job}

    def job(self, number: str) -> Job:
        """As it is now."""
        return self.jobs()[number]

    def ended(self, number: str, seconds: float = PATIENCE) -> Job:
        """Wait until the job has ended for good."""
        self.wait_until(lambda: self.job(number).state in ENDED, f"job {number} to end", seconds)
        return self.job(number)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Poll; names what did not happen, and the queue."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}\n{self.run('squeue').stdout}"
            time.sleep(0.5)


def clean_environment() -> dict[str, str]:
    """Without what an outer Slurm job, pytest or a site file would hand on to the launchers."""
    site = ("PYTHON", "SITE_FILE", "SUBMIT_PYTHON", "CONTAINER_IMAGE", "MAX_RESTARTS", "REPO_ROOT", "NODES", "TIME")
    kept = {name: value for name, value in os.environ.items() if name not in (*site, "ACCOUNT", "PARTITION")}
    return {name: value for name, value in kept.items() if not name.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
