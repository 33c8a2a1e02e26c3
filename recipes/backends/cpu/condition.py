"""Where a patch is needed: no GPU, or a GPU without one of the libraries of NVIDIA's container."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

GPU_ONLY = ("apex", "amp_C", "transformer_engine", "transformer_engine_torch")
"""Packages whose kernels need CUDA; ``amp_C`` and ``transformer_engine_torch`` are compiled parts of the others."""
OPTIONAL = ("apex", "transformer_engine", "tensorrt_llm")
"""Packages of the container that the stack can do without."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides which patches are needed."""

    cuda: bool
    """Whether the run is one on GPUs."""
    packages: frozenset[str]
    """Of ``OPTIONAL``, those that can be used."""
    nvidia_container: bool
    """Whether the environment names the version of NVIDIA's PyTorch container."""
    torch: tuple[int, int]
    """Major and minor version."""


def is_installed(package: str) -> bool:
    """Whether a top-level package can be imported; nothing is."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return importlib.util.find_spec(package) is not None


def this_machine(*, cuda: bool, installed: Callable[[str], bool] = is_installed) -> Machine:
    """This machine and Python.

    Args:
        cuda: whether the run is one on GPUs; without, what needs CUDA counts as missing.
        installed: whether a package is.
    """
    usable = [name for name in OPTIONAL if (cuda or name not in GPU_ONLY) and installed(name)]
    numbers = re.match(r"(\d+)\.(\d+)", version("torch"))
    return Machine(
        cuda=cuda,
        packages=frozenset(usable),
        nvidia_container="NVIDIA_PYTORCH_VERSION" in os.environ,
        torch=(int(numbers[1]), int(numbers[2])) if numbers else (0, 0),
    )


@dataclass(frozen=True, slots=True)
class Condition:
    """When a patch is applied."""

    text: str
    """For the ledger."""
    holds: Callable[[Machine], bool]


NO_CUDA = Condition("no GPU", lambda machine: not machine.cuda)
NO_APEX = Condition("no Apex", lambda machine: "apex" not in machine.packages)
NO_APEX_OR_NO_TE = Condition(
    "no Apex, or no Transformer Engine", lambda machine: not {"apex", "transformer_engine"} <= machine.packages
)
NO_FUSED_ADAM = Condition(
    "neither Apex nor Transformer Engine", lambda machine: not {"apex", "transformer_engine"} & machine.packages
)
NO_TENSORRT_LLM = Condition("no TensorRT-LLM", lambda machine: "tensorrt_llm" not in machine.packages)
NO_CONTAINER = Condition("NVIDIA_PYTORCH_VERSION unset", lambda machine: not machine.nvidia_container)
TORCH_AFTER_2_6 = Condition("torch after 2.6", lambda machine: machine.torch > (2, 6))
