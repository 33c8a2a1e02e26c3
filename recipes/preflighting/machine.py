"""What the machine must offer: a writable file system with room, devices, cores, the ranks that were started."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from recipes.preflighting.findings import Findings
from recipes.settings.errors import SettingsProblem
from recipes.settings.folder_checks import folder_problem
from recipes.settings.parallelism import world_size
from recipes.settings.plan import parameters
from recipes.settings.schema import Settings

STATE_BYTES = 18
"""A checkpoint's bytes for each parameter: bf16 and fp32 weights, AdamW's moments in fp32, gradients' share."""
TEXT_BYTES = 4
"""Of a rollout in the ledger, for each token."""
EXPECTED_SHARE = 0.5
"""Of the length budget, that a mean response takes."""


def existing(path: Path) -> Path:
    """The path itself, or its nearest parent that is there."""
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def writable(key: str, directory: str) -> Findings:
    """Whether files can be made in a folder, or in the nearest parent that is there; leaves nothing behind."""
    findings, place = Findings(), existing(Path(directory))
    if problem := folder_problem(key, directory):
        findings.problems.append(problem)
        return findings
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        found = f"{directory}: {place} cannot be written to ({error.strerror})"
        fix = f"{key}=FOLDER that you may write, or its permissions"
        findings.problems.append(SettingsProblem(key, found, "a folder that can be made and written", fix))
    return findings


def stage_bytes(settings: Settings, command: str) -> tuple[int, int]:
    """Disk that a stage needs: what stays within bounds, and the rollouts that it will keep (an estimate).

    The first holds checkpoints, final weights and, for SFT, the demonstrations as token ids: as many bytes as their
    texts, since a token has four characters or so and an id four bytes.
    """
    weights = parameters(settings.model)
    model = weights * (2 if settings.cluster.precision == "bf16" else 4)
    if command not in ("sft", "grpo"):
        return 0, 0
    states = STATE_BYTES * weights * (settings.checkpoint.keep + 1)
    if command == "sft":
        return states + model + sum(bytes_of(Path(data)) for data in (settings.data.train, settings.data.validation)), 0
    grpo = settings.grpo
    rollouts = grpo.max_steps * grpo.prompts_per_step * grpo.rollouts_per_prompt
    return states + model, int(rollouts * grpo.max_response_length * EXPECTED_SHARE * TEXT_BYTES)


def disk(key: str, needs: Mapping[str, tuple[int, int]]) -> Findings:
    """Room for everything that will be written.

    Args:
        key: settings key of the folders.
        needs: folder -> bytes that it needs, and bytes of rollouts; what lies there already counts as written.
    """
    findings, by_device = Findings(), dict[int, list[str]]()
    for folder in needs:
        by_device.setdefault(existing(Path(folder)).stat().st_dev, []).append(folder)
    for folders in by_device.values():
        free = shutil.disk_usage(existing(Path(folders[0]))).free
        fixed = sum(max(0, needs[folder][0] - _written(Path(folder))) for folder in folders)
        total = fixed + sum(needs[folder][1] for folder in folders)
        where = os.path.commonpath([str(Path(folder).absolute()) for folder in folders])
        findings.looked_at.append(f"{where}: {size_in_words(free)} free, about {size_in_words(total)} needed")
        expected = (
            f"{size_in_words(fixed)} for checkpoints, weights and tokens, {size_in_words(total - fixed)} for rollouts"
        )
        fix = f"{key}=FOLDER on a larger file system, or checkpoint.keep=1"
        problem = SettingsProblem(key, f"{where}: {size_in_words(free)} free", f"about {expected}", fix)
        if free < fixed:
            findings.problems.append(problem)
        elif free < 1.1 * total:
            findings.warnings.append(problem)
    return findings


def _written(folder: Path) -> int:
    """Bytes of checkpoints, weights and token ids that a stage has written already."""
    return sum(bytes_of(folder / name) for name in ("checkpoints", "tokens", "model.nemo"))


def bytes_of(path: Path) -> int:
    """Of a file, or of all files below a folder; what is not there, or goes meanwhile, counts nothing."""
    files = [path]
    if path.is_dir():
        files = [Path(root, name) for root, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def size_in_words(count: float) -> str:
    """As ``14 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def on_node(environ: Mapping[str, str]) -> bool:
    """Whether this is a machine of the job itself, and no login node."""
    return bool(environ.get("SLURM_JOB_ID"))


def devices(settings: Settings) -> Findings:
    """GPUs of this machine against the processes that it will run."""
    findings, cluster = Findings(), settings.cluster
    if cluster.accelerator != "gpu":
        return findings
    found, source = visible_gpus()
    findings.looked_at.append(f"{found} GPUs here ({source})")
    if found < cluster.devices_per_node:
        findings.problems.append(
            SettingsProblem(
                "cluster.devices_per_node",
                f"{cluster.devices_per_node}, with {found} GPUs to be seen here ({source})",
                "a GPU for each process",
                f"cluster.devices_per_node={found}, or a job with --gpus-per-node={cluster.devices_per_node}"
                if found
                else f"a job with --gpus-per-node={cluster.devices_per_node}, or cluster=cpu",
            )
        )
    return findings


def visible_gpus() -> tuple[int, str]:
    """How many GPUs this process may use, and what says so."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1")]), "CUDA_VISIBLE_DEVICES"
    if tool := shutil.which("nvidia-smi"):
        try:
            ended = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
            return sum(line.startswith("GPU ") for line in ended.stdout.splitlines()), "nvidia-smi"
        except (OSError, subprocess.TimeoutExpired):
            pass
    return len(list(Path("/dev").glob("nvidia[0-9]*"))), "/dev/nvidia*"


def cores(settings: Settings) -> Findings:
    """Graders beside the ranks: more of them than cores make each other late."""
    findings, workers, count = Findings(), settings.grading.workers, len(os.sched_getaffinity(0))
    if workers > count:
        findings.warnings.append(
            SettingsProblem(
                "grading.workers",
                f"{workers} processes on {count} cores",
                "at most the cores of a node: graders that wait for a core run into grading.timeout_seconds",
                f"grading.workers={max(1, count - settings.cluster.devices_per_node)}, or a job with more CPUs",
            )
        )
    return findings


def allocation(settings: Settings, environ: Mapping[str, str]) -> Findings:
    """A Slurm allocation that is too small for the settings."""
    findings = Findings()
    nodes, tasks = environ.get("SLURM_JOB_NUM_NODES", ""), environ.get("SLURM_NTASKS_PER_NODE", "")
    cluster = settings.cluster
    if nodes.isdigit() and int(nodes) < cluster.nodes:
        findings.problems.append(
            SettingsProblem(
                "cluster.nodes",
                f"{cluster.nodes}, in an allocation of {nodes} (SLURM_JOB_NUM_NODES)",
                f"at most the nodes of the job, {world_size(settings)} processes in all",
                f"sbatch --nodes={cluster.nodes}, or cluster.nodes={nodes}",
            )
        )
    if tasks.isdigit() and int(tasks) < cluster.devices_per_node:
        findings.problems.append(
            SettingsProblem(
                "cluster.devices_per_node",
                f"{cluster.devices_per_node}, in an allocation of {tasks} tasks a node (SLURM_NTASKS_PER_NODE)",
                "a task for each process",
                f"sbatch --ntasks-per-node={cluster.devices_per_node}, or cluster.devices_per_node={tasks}",
            )
        )
    return findings
