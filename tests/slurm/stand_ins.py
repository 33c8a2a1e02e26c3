"""Programs that stand for Slurm's and for Python, so that a script of ``launcher/`` can be watched within a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.cluster import LAUNCHER, clean_environment

_RECORD = 'printf "%s\\0" "$@" >>"$FOLDER/{name}"; printf "\\n" >>"$FOLDER/{name}"'
SAVES = """
import os, pathlib, signal, sys
folder = pathlib.Path(os.environ["FOLDER"])
run = folder / "a run"
def save(*_):
    (run / "interrupted.json").write_text("{}")
    sys.exit(int(os.environ["STATUS"]))
run.mkdir(exist_ok=True)
signal.signal(signal.SIGUSR1, save)  # ranks start with the signal ignored, and a shell could not trap it any more
(folder / "listening").touch()
while True:
    signal.pause()
"""
PROGRAMS = {
    "srun": f"""{_RECORD.format(name="srun.calls")}
while [[ $1 == -* ]]; do shift; done
exec "$@"
""",
    "scontrol": f"""{_RECORD.format(name="scontrol.calls")}
case "$1 $2" in
  "show hostnames") printf 'n1\\nn2\\n' ;;
  "show node") echo "NodeName=$3 NodeAddr=127.0.0.1 Port=1" ;;
esac
""",
    "python": f"""{_RECORD.format(name="python.calls")}
echo "${{RANK:--}} ${{LOCAL_RANK:--}} ${{WORLD_SIZE:--}}" >>"$FOLDER/python.ranks"
if [[ " $* " == *" recipes.preflight "* ]]; then
  printf 'RUN_DIRECTORY=%q NODES=%q DEVICES_PER_NODE=%q AFTER=%q\\n' "$FOLDER/a run" \\
    "$WANTED_NODES" "$WANTED_DEVICES" "$WANTED_AFTER"
  exit "$PREFLIGHT_STATUS"
fi
case $COMMAND_DOES in
  finish) # a stage whose ranks finish it; called again, its export has the status
    if [ -e "$FOLDER/a run/manifest.json" ]; then exit "$STATUS"; fi
    mkdir -p "$FOLDER/a run" && touch "$FOLDER/a run/manifest.json"
    ;;
  exit)
    echo "$MESSAGE"
    exit "$STATUS"
    ;;
  save) exec {sys.executable} -c "$SAVES" ;;
  ignore) # as an evaluation
    touch "$FOLDER/listening"
    sleep 1
    exit "$STATUS"
    ;;
esac
""",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A script that has ended."""

    status: int
    said: str
    """stdout and stderr."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """An allocation of two nodes with two tasks each, and what was called in it."""

    folder: Path

    def install(self) -> None:
        """Write the programs."""
        for name, text in PROGRAMS.items():
            path = self.folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/usr/bin/env bash\n{text}")
            path.chmod(0o755)

    def start(self, script: str, *words: str, **variables: str) -> subprocess.Popen[str]:
        """The script as the batch shell of a job; ``variables`` win over those of the job."""
        # Slurm sets SLURM_TASK_PID to the batch shell's own process.
        command = ["bash", "-c", 'export SLURM_TASK_PID=$$; exec bash "$@"', "batch", str(LAUNCHER / script), *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *words: str, usr1: bool = False, **variables: str) -> Ended:
        """Until it ends; with ``usr1`` it gets the signal once its command runs."""
        process = self.start(script, *words, **variables)
        if usr1:
            deadline = time.monotonic() + 60
            while not (self.folder / "listening").exists():
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
                time.sleep(0.02)
            process.send_signal(signal.SIGUSR1)
        said, _ = process.communicate(timeout=120)
        return Ended(process.returncode, said)

    def calls(self, program: str) -> list[list[str]]:
        """The words of every call of a program."""
        path = self.folder / f"{program}.calls"
        lines = path.read_text().split("\0\n")[:-1] if path.exists() else []
        return [line.split("\0") for line in lines]

    def _environment(self) -> Mapping[str, str]:
        return {
            **clean_environment(),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "FOLDER": str(self.folder),
            "PYTHON": str(self.folder / "bin" / "python"),
            "COMMAND_DOES": "exit",
            "SAVES": SAVES,
            "STATUS": "0",
            "MESSAGE": "",
            "PREFLIGHT_STATUS": "0",
            "WANTED_NODES": "2",
            "WANTED_DEVICES": "2",
            "WANTED_AFTER": "",
            "SLURM_JOB_ID": "41",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_CPUS_ON_NODE": "64",
            "SLURM_JOB_NODELIST": "n[1-2]",
        }
