"""``parts.executor=slurm``: every phase a job array, through datatrove, and the same bytes as on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

from recipes.prepare_data import main
from tests.conftest import ROOT
from tests.slurm.cluster import Slurm
from tests.unit.preparation.test_pipeline import NAMES, ROWS, words, write


def test_job_arrays_end_in_the_bytes_of_one_machine(slurm: Slurm, tmp_path: Path) -> None:
    folder = write(tmp_path / "data", ROWS)
    output = folder / "array"
    partition = slurm.run("sinfo", "--noheader", "--format=%R").stdout.split()[0]
    how = ["parts.executor=slurm", f"parts.partition={partition}", "parts.memory_gb_per_cpu=1", "parts.count=2"]
    command = [sys.executable, "-m", "recipes.prepare_data", *words(folder, output), *how]
    done = slurm.run(*command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    jobs = done.stdout.partition("Submitted ")[2].partition(":")[0].split(", ")
    assert len(jobs) == 8, "one for each phase"
    second = slurm.run(*command, cwd=ROOT)
    assert second.returncode == 2 and "still in the queue" in second.stderr, second.stdout + second.stderr
    waiting = second.stderr.partition("scancel ")[2].partition(". ")[0].split()
    assert waiting == jobs[-len(waiting) :], "they run one after the other"
    ended = [slurm.ended(number) for number in jobs]
    logs = [path.read_text() for path in sorted((output / "work" / "slurm").rglob("*.out"))]
    assert {job.state for job in ended} == {"COMPLETED"}, "\n".join(logs)
    main(words(folder, folder / "here"))
    for name in NAMES:
        assert (output / name).read_bytes() == (folder / "here" / name).read_bytes(), name
    again = slurm.run(*command, cwd=ROOT)
    assert "Nothing is left to do" in again.stdout, again.stdout + again.stderr
