"""What of the stack is installed, what stands in for the rest, and the profile that fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """One row of the table."""

    distribution: str
    """Name under which it is installed."""
    module: str
    """Top-level module that is imported."""
    use: str
    """What the check does with it."""
    instead: str | None
    """What is used where it is missing; None: nothing runs without it."""


PACKAGES = (
    Package("torch", "torch", "tensors, NCCL", None),
    Package("nemo-toolkit", "nemo", "model, checkpoints, trainer", None),
    Package("nemo-aligner", "nemo_aligner", "SFT model, actor", None),
    Package("megatron-core", "megatron", "layers, schedules, optimizer", None),
    Package(
        "apex", "apex", "fused kernels, with Transformer Engine", "stand-ins of recipes/backends/cpu, torch kernels"
    ),
    Package("transformer-engine", "transformer_engine", "layers and attention", "Megatron's local layer spec"),
    Package(
        "tensorrt-llm",
        "tensorrt_llm",
        "not by this check: it is for rollouts.engine=trtllm",
        "the Megatron engine samples",
    ),
    Package("flash-attn", "flash_attn", "by Transformer Engine, where it chooses to", "attention of the layer spec"),
)

Finder = Callable[[str, str], str | None]
"""(distribution, module) -> version, "unknown" where the distribution names none; None: not installed."""


def installed_version(distribution: str, module: str) -> str | None:
    """The ``Finder`` of this Python; imports nothing."""
    try:
        if util.find_spec(module) is None:
            return None
    except ModuleNotFoundError:  # of a submodule's parent
        return None
    for name in (distribution, module):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def find_packages(find: Finder = installed_version) -> dict[str, str | None]:
    """Version of each of ``PACKAGES`` by module, None for one that is missing."""
    return {package.module: find(package.distribution, package.module) for package in PACKAGES}


def package_rows(found: Mapping[str, str | None]) -> list[list[str]]:
    """Rows for ``tab_aligned``, the head first."""
    rows = [["package", "version", "what it does here"]]
    for package in PACKAGES:
        version = found[package.module]
        instead = f"instead: {package.instead}" if package.instead else "NEEDED"
        rows.append([package.distribution, version or "missing", package.use if version else instead])
    return rows


def profile_words(found: Mapping[str, str | None]) -> list[str]:
    """Overrides that make ``cluster=one_gpu`` use what is installed."""
    transformer_engine, apex = found["transformer_engine"], found["apex"]
    layer_spec = "transformer_engine" if transformer_engine else "local"
    fused = "true" if transformer_engine and apex else "false"
    return [f"cluster.layer_spec={layer_spec}", f"cluster.fused_kernels={fused}"]


@dataclass(frozen=True, slots=True)
class Needed:
    """A package that the import of the two models pulls in."""

    distribution: str
    module: str
    megabytes: float
    """Of its files, compressed as in a wheel; CPython 3.11, x86-64."""


def import_chain(*, container: bool = False) -> list[Needed]:
    """Every package that is imported on the way to an SFT and a GRPO step, but torch and what torch itself needs.

    Read off ``sys.modules`` after the imports (``tests/unit/gpu_check`` does it again); the file beside this module.

    Args:
        container: NVIDIA's container has versions of its own, which may import others: the frameworks alone.
    """
    lines = Path(__file__).with_name("import_chain.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    chain = [Needed(distribution, module, float(megabytes)) for distribution, module, megabytes in rows]
    frameworks = {package.module for package in PACKAGES if package.instead is None}
    return [needed for needed in chain if needed.module in frameworks] if container else chain


def missing_packages(chain: Sequence[Needed], find: Finder = installed_version) -> str | None:
    """All that must be carried to a machine without network, with sizes; None where nothing is missing."""
    problems = []
    if find("torch", "torch") is None:
        problems.append("torch is not installed: a build for this machine's CUDA comes first")
    missing = [needed for needed in chain if find(needed.distribution, needed.module) is None]
    if missing:
        listing = ", ".join(f"{one.distribution} {math.ceil(one.megabytes * 10) / 10}" for one in missing)
        total = sum(one.megabytes for one in missing)
        problems.append(
            f"{len(missing)} packages are not installed (MB of each wheel): {listing}. {total:.0f} MB in all.\n"
            "Fix: run in NVIDIA's NeMo container; or with network, make setup; or carry wheels of the versions in "
            "requirements.lock\n"
            "(pip download --no-deps, on a machine with the same Python) and pip install --no-deps --no-index them"
        )
    transformers = find("transformers", "transformers")
    if transformers is not None and transformers.split(".")[0].isdigit() and int(transformers.split(".")[0]) > 4:
        problems.append(f"transformers: found {transformers}, expected 4.48: 5.x is too new for NeMo 2.2.1")
    return "\n".join(problems) or None
