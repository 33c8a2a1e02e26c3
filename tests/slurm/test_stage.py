"""``sbatch launcher/stage_code2.sh`` on two nodes of two tasks: whole, interrupted and requeued, failing, refused."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import manifest_problems, read_manifest
from recipes.settings.overrides import literal
from tests.functional.small_curriculum import weights_digest
from tests.slurm.chain import Chain
from tests.slurm.cluster import LAUNCHER, Job, Slurm
from tests.slurm.small_data import words

NAME = """a "quoted" name, 'twice'"""
STEPS = 10
SHAPE = ("--nodes=2", "--ntasks-per-node=2")
SCRIPT = LAUNCHER / "stage_code2.sh"


@dataclass(frozen=True, slots=True)
class Stage:
    """Code II from the weights of the chain's SFT."""

    slurm: Slurm
    folder: Path
    """The directory of the ``sbatch`` calls."""
    words: list[str]

    def of(self, run: Path) -> list[str]:
        """Words of one run."""
        return [*self.words, literal("run.directory", run)]


@pytest.fixture(scope="module")
def stage(slurm: Slurm, data: Path, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    weights = literal("model.restore_from", chain.root / "sft" / "model.nemo")
    given = [*words(data, steps=STEPS), weights, literal("run.name", NAME)]
    return Stage(slurm, tmp_path_factory.mktemp("else where"), given)


@pytest.fixture(scope="module")
def whole(stage: Stage) -> Path:
    """The run directory of an uninterrupted job."""
    run = stage.folder / "whole"
    done = stage.slurm.run("sbatch", "--wait", *SHAPE, SCRIPT, *stage.of(run), cwd=stage.folder)
    (log,) = stage.folder.glob("code2-*.out")
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text()[-6000:]}"
    return run


def test_a_job_from_another_directory_ends_in_a_complete_manifest(whole: Path) -> None:
    assert manifest_problems(whole / "model.nemo") == []
    manifest = read_manifest(whole / "manifest.json")
    assert (manifest.complete, manifest.steps, manifest.stage) == (True, STEPS, "code2")
    assert manifest.settings["run"]["name"] == NAME
    (attempt,) = manifest.attempts
    assert (attempt["nodes"], attempt["devices_per_node"], attempt["data_parallel"]) == (2, 2, 4)
    (log,) = (whole / "slurm").iterdir()
    assert log.name == f"{attempt['slurm_job_id']}-0.log"
    assert "code2" in log.read_text()
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert any(row["groups_with_signal"] for row in rows), "weights that never move would be the same by themselves"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A job that got USR1 after its first steps, and another that was started beside it."""

    run: Path
    log: Path
    number: str
    second: Job
    second_log: Path


@pytest.fixture(scope="module")
def interrupted(stage: Stage) -> Interrupted:
    slurm, run, log = stage.slurm, stage.folder / "interrupted", stage.folder / "interrupted.out"
    number = slurm.submit(*SHAPE, f"--output={log}", SCRIPT, *stage.of(run), cwd=stage.folder)

    def steps() -> int:
        assert slurm.job(number).state in ("PENDING", "RUNNING"), log.read_text()[-6000:]
        attempt = run / "attempts" / "0001.json"
        return json.loads(attempt.read_text())["step_last"] if attempt.is_file() else -1

    slurm.wait_until(lambda: steps() >= 0, "the ranks")  # the run directory is taken
    second_log, one = stage.folder / "second.out", ("--nodes=1", "--ntasks-per-node=1")
    second = slurm.submit(*one, f"--output={second_log}", SCRIPT, *stage.of(run), cwd=stage.folder)
    slurm.wait_until(lambda: steps() >= 1, "the first steps")
    assert slurm.run("scancel", "--signal=USR1", "--batch", number).returncode == 0
    return Interrupted(run, log, number, slurm.ended(second), second_log)


def test_usr1_saves_requeues_and_ends_in_the_same_weights(stage: Stage, interrupted: Interrupted, whole: Path) -> None:
    run, number = interrupted.run, interrupted.number
    job, said = stage.slurm.ended(number), interrupted.log.read_text()
    assert (job.exit_code, job.restarts) == ("0:0", 1), said[-6000:]
    assert "start 1: grpo" in said, "the log of the first start is still there"
    assert "saved, requeueing: restart 1 of at most 20" in said
    assert "start 2: grpo" in said
    assert {f"{number}-0.log", f"{number}-1.log"} == {path.name for path in (run / "slurm").iterdir()}
    assert not (run / "interrupted.json").exists()
    first, second = read_manifest(run / "manifest.json").attempts
    assert (first["end"], second["end"], second["step_last"]) == ("interrupted", "finished", STEPS)
    assert 0 < first["step_last"] == second["step_first"] < STEPS
    assert weights_digest(run / "model.nemo") == weights_digest(whole / "model.nemo")


def test_a_second_job_on_the_same_run_directory_is_refused(interrupted: Interrupted) -> None:
    assert (interrupted.second.state, interrupted.second.exit_code) == ("FAILED", "2:0")
    said = interrupted.second_log.read_text()
    assert f"Slurm job {interrupted.number}" in said
    assert f"end it (scancel {interrupted.number})" in said


def test_a_failing_rank_is_a_failing_job_that_names_it(stage: Stage) -> None:
    """srun gives the highest status of its tasks: that of the rank, or 143 of those that it ended thereupon."""
    python = stage.folder / "python"
    python.write_text(f'#!/bin/sh\n[ "$SLURM_PROCID" != 3 ] || exit 7\nexec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    run, log = stage.folder / "failing", stage.folder / "failing.out"
    sbatch = ("sbatch", "--wait", *SHAPE, f"--output={log}", SCRIPT)
    done = stage.slurm.run(*sbatch, *stage.of(run), cwd=stage.folder, PYTHON=str(python))
    assert done.returncode in (7, 143), log.read_text()[-3000:]
    assert "task 3: Exited with exit code 7" in log.read_text()
    assert f"error: exit status {done.returncode}" in log.read_text()
    assert not (run / "manifest.json").exists()
