"""``launcher/curriculum.sh --dry-run`` on a machine without Slurm, data or weights."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.settings.compose import compose
from tests.slurm.cluster import LAUNCHER, clean_environment
from tests.slurm.small_data import STAGES

RL = STAGES[1:]
PAPER = ("cluster=h100", "curriculum=acereason_1_1")


def dry_run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """From a directory of its own, with no program of Slurm on PATH."""
    bare = folder / "bin"
    bare.mkdir(exist_ok=True)
    for program in (
        "bash",
        "sed",
        "awk",
        "grep",
        "head",
        "tail",
        "date",
        "dirname",
        "readlink",
        "mkdir",
        "timeout",
        "cat",
    ):
        if not (bare / program).exists():
            (bare / program).symlink_to(subprocess.check_output(["which", program], text=True).strip())
    return subprocess.run(
        [LAUNCHER / "curriculum.sh", "--dry-run", *words],
        cwd=folder,
        env={**clean_environment(), "PATH": str(bare), "PYTHON": sys.executable, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def submissions(printed: str) -> dict[str, list[str]]:
    """Variable of a job's id -> words of its sbatch line."""
    found = re.findall(r"^ID_(\w+)=\$\((sbatch .*)\)$", printed, re.MULTILINE)
    return {name: shlex.split(line) for name, line in found}


def test_every_job_of_the_papers_curriculum_with_its_gpu_hours(tmp_path: Path) -> None:
    site = tmp_path / "site.sh"
    site.write_text("NODES=4 TIME=08:00:00 ACCOUNT='my account' PARTITION=batch SBATCH_FLAGS=(--qos=long)\n")
    words = (*PAPER, """run.name='a "quoted" name'""", "run.directory=runs/x", "math2.grpo.overlong_filtering=false")
    done = dry_run(tmp_path, *words, SITE_FILE=str(site))
    assert done.returncode == 0, done.stderr
    jobs = {name.removeprefix("a_quoted_name_"): line for name, line in submissions(done.stdout).items()}
    stages = [name for stage in STAGES for name in (stage, f"{stage}_evaluation")]
    assert list(jobs) == [*stages, "export", "engine", "report"]
    assert {"--ntasks-per-node=1", "--gpus-per-node=1", "format=trtllm"} <= set(jobs["engine"])
    assert "--dependency=afterok:$ID_a_quoted_name_export" in jobs["engine"]
    assert not [word for word in jobs["export"] if word.startswith("--gpus")]
    for name in stages:
        assert {"--nodes=4", "--ntasks-per-node=8", "--gpus-per-node=8", "--time=08:00:00"} <= set(jobs[name])
    for line in jobs.values():
        assert {"--account=my account", "--partition=batch", "--qos=long", "--parsable"} <= set(line)
        waits = [word for word in line if word.startswith("--dependency=")]
        assert bool(waits) == ("--kill-on-invalid-dep=yes" in line) == (line is not jobs["sft"])
    for before, stage in zip(STAGES, RL, strict=False):
        assert f"--dependency=afterok:$ID_a_quoted_name_{before}" in jobs[stage]
        script = next(index for index, word in enumerate(jobs[stage]) if word.endswith(f"launcher/stage_{stage}.sh"))
        settings = compose("grpo", jobs[stage][script + 1 :])
        assert settings.model.restore_from == f"runs/x/{before}/model.nemo"
        assert settings.cluster.nodes == 4
        assert settings.export.on_finish == [], "the last weights alone are exported"
        if stage == "math2":
            assert not settings.grpo.overlong_filtering
    # 7 stages and 7 evaluations, each 4 nodes x 8 GPUs x 8 hours; one GPU for an hour builds the engine
    assert done.stdout.count(": 256.0 GPU hours (4 nodes x 8 x 08:00:00)\n") == 7
    assert done.stdout.count(": 256.0 GPU hours (4 nodes x 8 x 08:00:00), at most 21 times\n") == 7
    assert "engine: 1.0 GPU hours (1 nodes x 1 x 01:00:00)\n" in done.stdout
    with_requeues = 7 * 21 * 256.0 + 7 * 256.0 + 1.0  # evaluations and the engine do not requeue themselves
    assert (
        f"# one time limit each: 3585.0 GPU hours; with every requeue (MAX_RESTARTS=20) at most {with_requeues}, "
        "node failures apart\n"
    ) in done.stdout
    assert "missing: curriculum.initial_model" in done.stderr
    assert "missing: data.train: data/code2.jsonl" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "site.sh"], "nothing is written"


def test_the_site_says_how_often_a_stage_requeues_itself(tmp_path: Path) -> None:
    site = tmp_path / "site.sh"
    site.write_text("NODES=1 TIME=01:00:00 MAX_RESTARTS=2\n")
    done = dry_run(tmp_path, *PAPER, "--from=math4", SITE_FILE=str(site))
    assert "# one time limit each: 17.0 GPU hours; with every requeue (MAX_RESTARTS=2) at most 33.0, " in done.stdout
    site.write_text("MAX_RESTARTS=often\n")
    refused = dry_run(tmp_path, *PAPER, SITE_FILE=str(site))
    assert refused.returncode == 2 and "MAX_RESTARTS=often: a whole number is expected" in refused.stderr


def test_the_printed_lines_are_a_script_that_submits_the_chain(tmp_path: Path) -> None:
    done = dry_run(tmp_path, *PAPER, f"run.directory={tmp_path / 'run'}", "--from=code2", "--to", "math4")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text('#!/bin/sh\necho "$*" >>"$0.calls"\necho "7$(wc -l <"$0.calls")"\n')
    (programs / "sbatch").chmod(0o755)
    environment = {**clean_environment(), "PATH": f"{programs}:{clean_environment()['PATH']}"}
    subprocess.run(["bash", "-eu"], input=done.stdout, env=environment, text=True, check=True, timeout=60)
    calls = (programs / "sbatch.calls").read_text().splitlines()
    names = [re.search(r"--job-name=acereason_1_1-(\S+)", call)[1] for call in calls]  # type: ignore[index]
    assert names == ["code2", "code2-evaluation", "math4", "math4-evaluation", "export", "engine", "report"]
    depends = [re.findall(r"--dependency=(\S+)", call) for call in calls]
    chain = ["71", "71", "73", "73:74", "75", "72:74:75:76"]
    assert depends == [[], *([f"afterok:{ids}"] for ids in chain)]


def test_without_a_cluster_it_prints_what_would_run_here(tmp_path: Path) -> None:
    done = dry_run(tmp_path, f"run.directory={tmp_path / 'run'}", "--to", "sft")
    assert done.returncode == 0, done.stderr
    assert "no Slurm here" in done.stderr
    scripts = [Path(word).name for word in re.findall(r"^bash (\S+)", done.stdout, re.MULTILINE)]
    assert scripts == ["sft.sh", "evaluate.sh", "report.sh"]
    assert done.stdout.startswith("# before: the data and the first weights are generated")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*PAPER, "grpo.max_step=3"), "fix:      grpo.max_steps=3"),
        ((*PAPER, "mth2.grpo.max_steps=3"), "fix:      math2.grpo.max_steps=3"),
        ((*PAPER, "--from", "math9"), "--from math9: no stage of this curriculum"),
        (("--form", "math1"), "--form: no such flag; --dry-run, --local, --from STAGE, --to STAGE or KEY=VALUE"),
        (("--from",), "--from: the name of a stage is missing"),
    ],
)
def test_what_is_wrong_ends_with_2_and_the_fix(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = dry_run(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr
