"""What a launcher must know before it takes machines, in lines that a shell may ``eval``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from recipes.settings.commands import COMMANDS
from recipes.settings.deployment_checks import builds_engine
from recipes.settings.schema import ExportSettings, Settings


def facts(settings: Settings | ExportSettings, command: str) -> dict[str, str]:
    """Facts of one command, by the name of the shell variable.

    ``RUN_DIRECTORY`` is the folder that the command writes to, ``MODULE`` what ``python -m`` runs; ``NODES`` x
    ``DEVICES_PER_NODE`` processes do the work, one for each device of the kind ``ACCELERATOR`` (``cpu`` or ``gpu``).
    ``STAGES`` names a curriculum's stages in order, separated by blanks; it is empty for every other command. ``AFTER``
    names the exports of a finished stage that want a process of their own, once the ranks have given the GPUs back.
    """
    nodes, devices, accelerator = _machines(settings, command)
    return {
        "RUN_DIRECTORY": written_folder(settings, command),
        "MODULE": COMMANDS[command].module,
        "NODES": str(nodes),
        "DEVICES_PER_NODE": str(devices),
        "ACCELERATOR": accelerator,
        "AFTER": " ".join(own_process_exports(settings, command)),
        "STAGES": " ".join(settings.curriculum.stages)
        if command == "curriculum" and isinstance(settings, Settings)
        else "",
    }


def own_process_exports(settings: Settings | ExportSettings, command: str) -> list[str]:
    """Formats of ``export.on_finish`` that no rank can write: an engine is built on an empty GPU."""
    if command not in ("sft", "grpo") or isinstance(settings, ExportSettings):
        return []
    return [kind for kind in settings.export.on_finish if kind != "hf"]


def shell_lines(values: Mapping[str, str]) -> list[str]:
    """``NAME=value`` lines, quoted for a POSIX shell."""
    return [f"{name}={shlex.quote(value)}" for name, value in values.items()]


def written_folder(settings: Settings | ExportSettings, command: str) -> str:
    """The folder that a command writes to."""
    if isinstance(settings, ExportSettings):
        return settings.output
    return settings.evaluation.output if command == "evaluate" else settings.run.directory


def _machines(settings: Settings | ExportSettings, command: str) -> tuple[int, int, str]:
    """Nodes, processes on each, and ``cpu`` or ``gpu``; an export and the engines beside Megatron are one process."""
    if isinstance(settings, ExportSettings):
        engine = settings.format == "trtllm" and builds_engine(settings.deployment)
        return 1, 1, "gpu" if engine else "cpu"
    cluster = settings.cluster
    if command == "evaluate" and settings.engine.name != "megatron":
        return 1, 1, cluster.accelerator
    return cluster.nodes, cluster.devices_per_node, cluster.accelerator
