"""Packages and programs that a command needs; looked for, never imported."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Mapping

from recipes.preflighting.findings import Findings
from recipes.records import Problem
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import ExportSettings, Settings

FRAMEWORKS = ("torch", "nemo", "nemo_aligner", "megatron")
GPU_FRAMEWORKS = ("apex", "transformer_engine")
"""Of ``cluster.fused_kernels`` and ``cluster.layer_spec=transformer_engine``."""
_ENGINE_PACKAGES = {
    "hf": ("torch", "transformers"),
    "trtllm": ("tensorrt_llm", "transformers"),
    "openai": ("aiohttp",),
}
"""Of an evaluation's engines beside Megatron."""


def frameworks(settings: Settings | ExportSettings, command: str, *, on_node: bool) -> Findings:
    """Whether the command's packages are installed; elsewhere than on a machine of the job that is a warning at most.

    A login node often has no frameworks, the container of the job has them; a laptop without Slurm is the machine.
    """
    findings = Findings()
    missing = [name for name in _packages(settings, command) if importlib.util.find_spec(name) is None]
    if not missing:
        return findings
    here = is_here(on_node=on_node)
    gpu = isinstance(settings, Settings) and settings.cluster.accelerator == "gpu"
    if not on_node and gpu:
        return findings  # the machines with GPUs are elsewhere
    problem = SettingsProblem(
        "installation",
        f"no package {', '.join(missing)} in this Python",
        "the frameworks of requirements.lock" if not gpu else "the frameworks of the container (Dockerfile)",
        "make setup, or PYTHON=.venv/bin/python for a launcher" if not gpu else "CONTAINER_IMAGE of launcher/site.sh",
    )
    (findings.problems if here else findings.warnings).append(problem)
    return findings


def is_here(*, on_node: bool) -> bool:
    """Whether this machine is the one that will do the work: one of the job's, or one without Slurm."""
    return on_node or shutil.which("sbatch") is None


def is_installed(package: str) -> bool:
    """Whether a top-level package can be imported; nothing is."""
    return importlib.util.find_spec(package) is not None


def _packages(settings: Settings | ExportSettings, command: str) -> tuple[str, ...]:
    if isinstance(settings, ExportSettings):
        return ("torch", "safetensors")
    if command == "evaluate" and settings.engine.name != "megatron":
        return _ENGINE_PACKAGES[settings.engine.name]
    cluster = settings.cluster
    fast = cluster.fused_kernels or cluster.layer_spec == "transformer_engine"
    engine = ("tensorrt_llm",) if command in ("grpo", "calibrate") and settings.rollouts.engine == "trtllm" else ()
    return (*FRAMEWORKS, *(GPU_FRAMEWORKS if fast else ()), *engine)


def loggers(settings: Settings, *, on_node: bool) -> Findings:
    """The packages of the services that metrics are sent to."""
    findings, logging = Findings(), settings.logging
    asked = {
        "tensorboard": ("logging.tensorboard", logging.tensorboard, "false"),
        "wandb": ("logging.wandb_project", logging.wandb_project, "null"),
        "mlflow": ("logging.mlflow_experiment", logging.mlflow_experiment, "null"),
    }
    for package, (key, value, off) in asked.items():
        if value and importlib.util.find_spec(package) is None:
            shown = "true" if value is True else str(value)
            problem = SettingsProblem(
                key, f"{shown}, without the package {package}", f"the package {package}", f"{key}={off}, or install it"
            )
            (findings.problems if on_node else findings.warnings).append(problem)
    return findings


def sandbox_packages(problems: Iterable[Problem], packages: Iterable[str]) -> list[SettingsProblem]:
    """Packages that programs may import and that are not there; nothing is asked where no problem has tests."""
    packages = list(packages)
    missing = [name for name in packages if not _is_package(name)]
    if not missing or all(problem.tests is None for problem in problems):
        return []
    rest = ",".join(name for name in packages if name not in missing)
    return [
        SettingsProblem(
            "grading.packages",
            f"{', '.join(missing)}: no package of this Python",
            "installed packages, by import name",
            f"grading.packages=[{rest}], or install it",
        )
    ]


def _is_package(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and bool(spec.submodule_search_locations)


def ranks_without_launcher(settings: Settings, environ: Mapping[str, str]) -> list[SettingsProblem]:
    """Several nodes, and nobody who starts processes on the others."""
    nodes = settings.cluster.nodes
    if nodes == 1 or environ.get("SLURM_JOB_ID") or environ.get("WORLD_SIZE"):
        return []
    return [
        SettingsProblem(
            "cluster.nodes",
            f"{nodes}, without a launcher on this machine",
            "one machine, or a job of Slurm or torchrun",
            f"cluster.nodes=1, or sbatch --nodes={nodes} with the same words",
        )
    ]
