"""Install the CPU room: make NeMo-Aligner, NeMo and Megatron-core run without a GPU.

    from recipes.backends.cpu.install import after_model_parallel_setup, install_cpu_room

    install_cpu_room()            # before the first import of nemo or nemo_aligner
    ...                           # build trainer and model, init_distributed, as on a GPU
    after_model_parallel_setup(seed)

The patches are listed, with reasons, in README.md beside this file.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version

from recipes.backends.cpu.patch import Patch, PatchTargetMoved

__all__ = ["CpuRoomRefused", "PatchTargetMoved", "after_model_parallel_setup", "install_cpu_room", "registry"]

logger = logging.getLogger(__name__)

EXACT_VERSIONS = {"megatron-core": "0.11.0", "nemo-toolkit": "2.2.1", "nemo-aligner": "0.7.0"}
TORCH_MINIMUM = (2, 6)
TORCH_TESTED = ("2.13.0",)

_installed: list[str] | None = None


class CpuRoomRefused(RuntimeError):
    """The machine has CUDA, or the installed libraries are not those that the patches were written for."""


def install_cpu_room(*, skip: Collection[str] = ()) -> list[str]:
    """Apply every patch once, in order; a second call does nothing.

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
    patches = registry()
    if unknown := sorted(set(skip) - {patch.name for patch in patches}):
        raise ValueError(f"no such patch: {unknown}; known: {[patch.name for patch in patches]}")
    applied = []
    for patch in patches:
        if patch.name in skip:
            continue
        patch.install()
        applied.append(patch.name)
        logger.debug("CPU patch %s (%s): %s", patch.name, patch.library, patch.why)
    _installed = applied
    return list(applied)


def after_model_parallel_setup(seed: int) -> None:
    """Seed Megatron's model-parallel random states, which NeMo's set-up does only where GPUs are.

    Call it once after `init_distributed`, with ``model.seed``, on every rank.
    """
    from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed

    model_parallel_cuda_manual_seed(seed)


def registry() -> tuple[Patch, ...]:
    """Every patch, in the order of application: those that must come before the frameworks' import first."""
    from recipes.backends.cpu import megatron_core, nemo, nemo_aligner, torch_cuda

    patches = (*nemo_aligner.PATCHES, *nemo.PATCHES, *megatron_core.PATCHES, *torch_cuda.PATCHES)
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
        raise CpuRoomRefused(f"{', '.join(early)} was imported before install_cpu_room(): call it first.")


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
