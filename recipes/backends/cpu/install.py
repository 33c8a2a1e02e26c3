"""Install the CPU room: make NeMo-Aligner, NeMo and Megatron-core run without a GPU, or on one without Apex.

    from recipes.backends.cpu.install import after_model_parallel_setup, install_cpu_room

    install_cpu_room()            # before the first import of nemo or nemo_aligner
    ...                           # build trainer and model, init_distributed, as on a GPU
    after_model_parallel_setup(seed)

On a GPU ``install_stand_ins()`` takes its place. The patches are listed, with reasons, in README.md beside this file.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection, Sequence
from importlib.metadata import PackageNotFoundError, version

from recipes.backends.cpu.condition import Machine, this_machine
from recipes.backends.cpu.patch import Patch, PatchTargetMoved

__all__ = [
    "CpuRoomRefused",
    "PatchTargetMoved",
    "after_model_parallel_setup",
    "install_cpu_room",
    "install_stand_ins",
    "patches_for",
    "registry",
]

logger = logging.getLogger(__name__)

EXACT_VERSIONS = {"megatron-core": "0.11.0", "nemo-toolkit": "2.2.1", "nemo-aligner": "0.7.0"}
TORCH_MINIMUM = (2, 6)
TORCH_TESTED = ("2.13.0",)

_installed: list[str] | None = None


class CpuRoomRefused(RuntimeError):
    """The machine has CUDA, or the installed libraries are not those that the patches were written for."""


def install_cpu_room(*, skip: Collection[str] = ()) -> list[str]:
    """Apply every patch that a machine without a GPU needs, once, in order; a second call does nothing.

    Args:
        skip: names of patches to leave out. For tests that show that a patch is needed.

    Returns:
        The names of the patches in force, in the order of application.

    Raises:
        CpuRoomRefused: CUDA is present, a library has another version, or NeMo was imported before.
        PatchTargetMoved: a patch does not fit the installed library.
        ValueError: ``skip`` names an unknown patch.
    """
    global _installed
    if _installed is not None:
        return list(_installed)
    _refuse_cuda()
    _check_versions()
    _refuse_imported()
    if unknown := sorted(set(skip) - {patch.name for patch in registry()}):
        raise ValueError(f"no such patch: {unknown}; known: {[patch.name for patch in registry()]}")
    machine = this_machine(cuda=False)
    _installed = _apply([patch for patch in patches_for(machine) if patch.name not in skip])
    return list(_installed)


def install_stand_ins(machine: Machine | None = None) -> list[str]:
    """On a GPU: apply the patches that stand in for what is not installed; none of those that speak of CUDA.

    In NVIDIA's NeMo container there is nothing to do. A second call does nothing.

    Args:
        machine: None for this one.

    Returns:
        The names of the patches in force, in the order of application.

    Raises:
        CpuRoomRefused: a patch is needed, and a library has another version or NeMo was imported before.
        PatchTargetMoved: a patch does not fit the installed library.
    """
    global _installed
    if _installed is not None:
        return list(_installed)
    patches = patches_for(machine or this_machine(cuda=True))
    if patches:
        _check_versions()
        _refuse_imported()
    _installed = _apply(patches)
    return list(_installed)


def patches_for(machine: Machine) -> list[Patch]:
    """What ``machine`` needs, in the order of application."""
    return [patch for patch in registry() if patch.condition.holds(machine)]


def _apply(patches: Sequence[Patch]) -> list[str]:
    for patch in patches:
        patch.install()
        logger.debug("CPU patch %s (%s): %s", patch.name, patch.library, patch.why)
    return [patch.name for patch in patches]


def after_model_parallel_setup(seed: int) -> None:
    """Seed Megatron's model-parallel random states, which NeMo's set-up does only where GPUs are.

    Call it once after `init_distributed`, with ``model.seed``, on every rank.
    """
    from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed

    model_parallel_cuda_manual_seed(seed)


def registry() -> tuple[Patch, ...]:
    """Every patch, in the order of application: those that must come before the frameworks' import first."""
    from recipes.backends.cpu import megatron_core, nemo, nemo_aligner, torch_cuda

    patches = (*torch_cuda.PATCHES, *nemo_aligner.PATCHES, *nemo.PATCHES, *megatron_core.PATCHES)
    return tuple(sorted(patches, key=lambda patch: not patch.before_import))


def _refuse_cuda() -> None:
    import torch

    if torch.cuda.is_available():
        raise CpuRoomRefused(
            f"This machine has CUDA ({torch.cuda.device_count()} device(s)), "
            "and the CPU room replaces parts of torch.cuda: use a GPU profile (cluster=h100), "
            "or hide the devices with CUDA_VISIBLE_DEVICES=''."
        )


def _refuse_imported() -> None:
    if early := sorted({"nemo", "nemo_aligner", "megatron.core"} & set(sys.modules)):
        raise CpuRoomRefused(f"{', '.join(early)} was imported before the patches were installed: install them first.")


def _check_versions() -> None:
    wrong = []
    for package, expected in EXACT_VERSIONS.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        if found != expected:
            wrong.append(f"{package}: found {found}, expected {expected}")
    found = version("torch")
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < TORCH_MINIMUM:
        wrong.append(f"torch: found {found}, expected >= 2.6 (tested: {', '.join(TORCH_TESTED)})")
    if wrong:
        raise CpuRoomRefused("The CPU room's patches fit pinned versions only. " + "; ".join(wrong))
