"""The scripts of ``launcher/`` with programs that stand for Slurm's: words, flags, exit statuses, requeues."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.settings.compose import compose
from tests.slurm.stand_ins import StandIns

WORDS = (
    "cluster=cpu",
    """run.name='a "quoted" name'""",
    "data.train=a b.jsonl",
    "grpo.max_steps=2",
    "run.seed=$HOME `x`",
)


@pytest.fixture
def job(tmp_path: Path) -> StandIns:
    stand_ins = StandIns(tmp_path)
    stand_ins.install()
    return stand_ins


def test_one_rank_for_each_device_with_the_words_as_given(job: StandIns) -> None:
    ended = job.run("stage_code2.sh", *WORDS)
    assert ended.status == 0, ended.said
    preflight, step = job.calls("srun")
    assert {"--nodes=1", "--ntasks=1", "SLURM_NTASKS_PER_NODE=2"} <= set(preflight)
    assert {"--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--kill-on-bad-exit=1"} <= set(step)
    expected = ["cluster=h100", "cluster.nodes=2", "cluster.devices_per_node=2", "stage=code2", *WORDS]
    _, trained = job.calls("python")
    assert trained == ["-u", "-m", "recipes.run_grpo", *expected]
    assert not [word for word in step if word.startswith("--container")]
    (log,) = (job.folder / "a run" / "slurm").iterdir()
    assert log.name == "41-0.log"


def test_a_container_gets_one_list_of_mounts_and_the_jobs_variables(job: StandIns) -> None:
    site = {"image": "/images/x.sqsh", "mounts": "/data:/data,/runs:/runs"}
    job.run(
        "sft.sh",
        "cluster=cpu",
        CONTAINER_IMAGE=site["image"],
        MOUNTS=site["mounts"],
        CONTAINER_ENV="MY_TOKEN",
        TRANSFORMERS_OFFLINE="1",
        NCCL_SOCKET_IFNAME="bond0",
    )
    root = str(Path(__file__).resolve().parents[2])
    assert len(job.calls("srun")) == 2
    for call in job.calls("srun"):  # preflight looks at the container's files, so it runs there too
        assert call.count(f"--container-image={site['image']}") == 1
        assert [word for word in call if word.startswith("--container-mounts")] == [
            f"--container-mounts={root}:{root},{site['mounts']}"
        ]
        assert f"--container-workdir={root}" in call
        assert {"--mpi=pmix", "--no-container-mount-home", "--container-writable"} <= set(call)
        (names,) = (word for word in call if word.startswith("--container-env="))
        passed = {*names.partition("=")[2].split(",")}
        assert {"MASTER_ADDR", "MASTER_PORT", "NCCL_SOCKET_IFNAME", "MY_TOKEN", "TRANSFORMERS_OFFLINE"} <= passed


@pytest.mark.parametrize(
    ("site", "expected", "unwanted"),
    [
        ("", [], "--mpi"),  # without a container Slurm's own default
        ("MPI_TYPE=pmi2", ["--mpi=pmi2"], "--container"),
        ("CONTAINER_IMAGE=x.sqsh MPI_TYPE=pmix_v4", ["--mpi=pmix_v4", "--container-writable"], "--mpi=pmix "),
        ("CONTAINER_IMAGE=x.sqsh MPI_TYPE=", ["--container-image=x.sqsh"], "--mpi"),
        (
            "CONTAINER_IMAGE=x.sqsh SRUN_FLAGS=(--container-readonly --mpi=none)",
            ["--mpi=pmix", "--container-readonly", "--mpi=none"],  # of two, srun takes the last
            "--container-writable",
        ),
    ],
)
def test_how_a_site_sets_mpi_and_the_container(job: StandIns, site: str, expected: list[str], unwanted: str) -> None:
    path = job.folder / "site.sh"
    path.write_text(site + "\n")
    assert job.run("stage_math1.sh", SITE_FILE=str(path)).status == 0
    for call in job.calls("srun"):
        assert [word for word in call if word in expected] == expected
        assert not [word for word in call if f"{word} ".startswith(unwanted)]


@pytest.mark.parametrize(
    ("script", "wanted", "alone"),
    [
        ("evaluate.sh", {"WANTED_NODES": "1", "WANTED_DEVICES": "1"}, True),
        ("evaluate.sh", {}, False),  # the ranks of a Megatron model
        ("export.sh", {"WANTED_NODES": "1", "WANTED_DEVICES": "1"}, True),
        ("stage_math1.sh", {"WANTED_NODES": "1", "WANTED_DEVICES": "1"}, False),  # its rollouts ask MPI for the rank
        ("stage_math1.sh", {"WANTED_AFTER": "hf trtllm", "COMMAND_DOES": "finish"}, True),  # the export afterwards
    ],
)
def test_one_process_alone_may_start_workers_by_mpi(
    job: StandIns, script: str, wanted: dict[str, str], alone: bool
) -> None:
    assert job.run(script, CONTAINER_IMAGE="x.sqsh", **wanted).status == 0
    call = job.calls("srun")[-1]
    assert ([word for word in call if word.startswith("--mpi=")][-1] == "--mpi=none") is alone
    assert (" env -u SLURM_JOBID -u SLURM_JOB_ID -u SLURM_NODELIST " in " ".join(call)) is alone


def test_preflight_does_not_take_its_step_for_the_job(job: StandIns) -> None:
    """enroot's hook 50-slurm-pytorch.sh sets the ranks' variables in every step, preflight's single task included."""
    hook = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    assert job.run("stage_math1.sh", **hook).status == 0
    assert (job.folder / "python.ranks").read_text().splitlines() == ["- - -", "0 0 1"]  # preflight, then the step


def test_the_site_file_is_read_and_a_missing_one_is_named(job: StandIns) -> None:
    site = job.folder / "my site.sh"
    site.write_text("SRUN_FLAGS=(--mpi=pmix '--comment=a b')\n")
    assert job.run("evaluate.sh", SITE_FILE=str(site)).status == 0
    assert all({"--mpi=pmix", "--comment=a b"} <= set(call) for call in job.calls("srun"))
    ended = job.run("evaluate.sh", SITE_FILE=f"{site}x")
    assert ended.status == 2
    assert f"SITE_FILE={site}x: no such file" in ended.said


@pytest.mark.parametrize("status", [1, 2, 7, 137])
def test_the_commands_exit_status_is_the_jobs(job: StandIns, status: int) -> None:
    ended = job.run("stage_math1.sh", STATUS=str(status))
    assert ended.status == status
    assert f"error: exit status {status}" in ended.said


def test_the_status_of_the_rank_that_failed_and_not_of_those_that_srun_terminated(job: StandIns) -> None:
    said = "srun: error: n2: task 3: Exited with exit code 7\nsrun: error: n2: task 2: Terminated"
    assert job.run("stage_math1.sh", STATUS="143", MESSAGE=said).status == 7
    assert job.run("stage_math2.sh", STATUS="143", SLURM_JOB_ID="42").status == 143


def test_nothing_starts_after_a_preflight_with_problems(job: StandIns) -> None:
    assert job.run("stage_math1.sh", PREFLIGHT_STATUS="2").status == 2
    assert len(job.calls("srun")) == 1


def test_more_nodes_than_the_allocation_has(job: StandIns) -> None:
    ended = job.run("stage_math1.sh", WANTED_NODES="4")
    assert ended.status == 2
    assert "fix: sbatch --nodes=4 --ntasks-per-node=2" in ended.said


def requeues(job: StandIns) -> list[list[str]]:
    return [call for call in job.calls("scontrol") if call[0] == "requeue"]


def test_usr1_saves_and_requeues(job: StandIns) -> None:
    ended = job.run("stage_math1.sh", usr1=True, COMMAND_DOES="save", SLURM_RESTART_COUNT="2")
    assert (ended.status, requeues(job)) == (0, [["requeue", "41"]]), ended.said
    assert "restart 3 of at most 20" in ended.said
    assert [log.name for log in (job.folder / "a run" / "slurm").iterdir()] == ["41-2.log"]


@pytest.mark.parametrize("limit", ["3", "0"])
def test_at_the_limit_of_restarts_it_ends_with_75(job: StandIns, limit: str) -> None:
    ended = job.run("stage_math1.sh", usr1=True, COMMAND_DOES="save", SLURM_RESTART_COUNT="3", MAX_RESTARTS=limit)
    assert (ended.status, requeues(job)) == (75, []), ended.said
    assert f"MAX_RESTARTS={limit}" in ended.said


def test_a_step_that_fails_after_usr1_is_no_saved_one(job: StandIns) -> None:
    ended = job.run("stage_math1.sh", usr1=True, COMMAND_DOES="save", STATUS="1")
    assert (ended.status, requeues(job)) == (1, []), ended.said


def test_an_evaluation_goes_on_after_usr1(job: StandIns) -> None:
    ended = job.run("evaluate.sh", usr1=True, COMMAND_DOES="ignore")
    assert (ended.status, requeues(job)) == (0, []), ended.said
    assert "has nothing to save" in ended.said


def test_each_task_of_a_job_array_evaluates_one_shard(job: StandIns) -> None:
    array = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "8"}
    assert job.run("evaluate.sh", "n=64", **array).status == 0
    _, evaluated = job.calls("python")
    cluster = ["cluster=h100", "cluster.nodes=2", "cluster.devices_per_node=2"]
    assert evaluated[3:] == ["evaluation.shards=8", "evaluation.shard=5", *cluster, "n=64"]
    repeated = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "2"}  # --array=3,5: the words say of how many
    assert job.run("evaluate.sh", "evaluation.shards=8", **repeated).status == 0
    settings = compose("evaluate", job.calls("python")[-1][3:])
    assert (settings.evaluation.shards, settings.evaluation.shard) == (8, 5)
    assert job.run("stage_math1.sh", **array).status == 0
    assert not [word for word in job.calls("python")[-1] if "shard" in word]


def tasks(call: list[str]) -> str:
    (count,) = (word for word in call if word.startswith("--ntasks="))
    return count.partition("=")[2]


def test_what_wants_the_gpus_of_the_ranks_is_exported_by_one_process_after_them(job: StandIns) -> None:
    ended = job.run("stage_math1.sh", COMMAND_DOES="finish", WANTED_AFTER="trtllm")
    assert ended.status == 0, ended.said
    assert [tasks(call) for call in job.calls("srun")] == ["1", "4", "1"]  # preflight, the ranks (two of two), export
    _, trained, exported = job.calls("python")
    assert exported == trained, "the same command finds the stage finished"
    assert "finished; exporting trtllm in a process of its own" in ended.said


def test_without_such_an_export_nothing_follows_the_ranks(job: StandIns) -> None:
    assert job.run("stage_math1.sh", COMMAND_DOES="finish").status == 0
    assert [tasks(call) for call in job.calls("srun")] == ["1", "4"]


def test_a_failed_export_is_the_jobs_status_and_the_same_line_tries_it_alone(job: StandIns) -> None:
    ended = job.run("stage_math1.sh", COMMAND_DOES="finish", WANTED_AFTER="trtllm", STATUS="1")
    assert (ended.status, requeues(job)) == (1, []), ended.said
    again = job.run("stage_math1.sh", COMMAND_DOES="finish", WANTED_AFTER="trtllm", SLURM_JOB_ID="42")
    assert again.status == 0, again.said
    assert [tasks(call) for call in job.calls("srun")][3:] == ["1", "1"], "no ranks for a finished stage"


def test_an_unfinished_stage_exports_nothing(job: StandIns) -> None:
    assert job.run("stage_math1.sh", WANTED_AFTER="trtllm").status == 0
    assert [tasks(call) for call in job.calls("srun")] == ["1", "4"]
