"""Whether the memory plan fits the device, and what to change where it does not: every fix is computed, then tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from recipes.memory.phases import GIB, Phase
from recipes.settings import parallelism
from recipes.settings.errors import SettingsProblem
from recipes.settings.memory_plan import ROLLOUTS, TRAINING, phases
from recipes.settings.schema import Settings

MOST_NODES = 128
"""Where the search for enough nodes ends."""
MOST_ROWS = 2**16
"""Where the search for the largest batch ends, for commands whose number of rows the settings do not say."""
Change = dict[str, Any]
"""Dotted key -> value."""


def memory_problems(settings: Settings, command: str) -> list[SettingsProblem]:
    """Phases that do not fit ``cluster.memory_gib``; for settings whose other values are sound."""
    device = settings.cluster.memory_gib
    if device is None:
        return []
    return [
        SettingsProblem(
            key := _blamed(settings, command, phase.name),
            f"{_value(settings, key)}: {phase.total / GIB:.2f} GiB of a GPU in {phase.name} ({_items(phase)})",
            f"at most cluster.memory_gib={device:g}",
            _fix(settings, command, phase.name, key),
        )
        for phase in phases(settings, command)
        if not _fits(phase, settings)
    ]


def batch_key(phase: str, command: str) -> str:
    """The key that says how many sequences a phase works on at a time."""
    if phase == TRAINING:
        return f"{command}.micro_batch_size"
    return "engine.batch_size" if command == "evaluate" else "rollouts.batch_size"


def most_sequences(settings: Settings, command: str, phase: str) -> int | None:
    """The largest value of ``batch_key`` with which the phase fits and the batch divides; None where 1 is too many.

    No other phase may come to grief over it: an engine that stays loaded has buffers that grow with its rows.
    """
    key = batch_key(phase, command)

    def works(size: int) -> bool:
        return _works(settings, command, phase, {key: size})

    if phase == TRAINING:
        copies = parallelism.data_parallel_size(settings)
        batch = settings.sft.global_batch_size // copies if command == "sft" else parallelism.replica_rollouts(settings)
        return next((size for size in range(batch, 0, -1) if batch % size == 0 and works(size)), None)
    most = parallelism.replica_rollouts(settings) if command == "grpo" else MOST_ROWS
    return _largest(works, most)


def most_words(settings: Settings, command: str, key: str, size: int) -> str:
    """``KEY=SIZE``; where a larger one would have nothing more to hold, that too."""
    everything = command == "grpo" and key == "rollouts.batch_size" and size == parallelism.replica_rollouts(settings)
    return f"{key}={size}" + (" (all that a replica samples in a step)" if everything else "")


def fit_together(settings: Settings, command: str, change: Change) -> bool:
    """Whether every phase fits with all of the values at once."""
    return all(_works(settings, command, phase.name, change) for phase in phases(settings, command))


def _largest(works: Callable[[int], bool], most: int) -> int | None:
    """The largest number up to ``most`` that works, where all below one that works do; None where 1 does not."""
    if not works(1):
        return None
    low, high = 1, most + 1
    while high - low > 1:  # low works, high does not or is beyond the end
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


def _blamed(settings: Settings, command: str, phase: str) -> str:
    """The key whose value is too large: the phase's own, unless more rows than there are make an engine too large."""
    own, rows = batch_key(phase, command), "rollouts.batch_size"
    most = parallelism.replica_rollouts(settings)
    if command != "grpo" or settings.rollouts.batch_size <= most:
        return own
    fewer, least = {rows: most}, {own: 1}
    alone, needed = _works(settings, command, phase, fewer), not _works(settings, command, phase, least)
    return rows if alone or (needed and _works(settings, command, phase, least | fewer)) else own


def _fix(settings: Settings, command: str, phase: str, key: str) -> str:
    """The largest batch that fits, and other single changes that do; else the smallest change of several values.

    Args:
        phase: that does not fit.
        key: that says how many sequences are too many: ``batch_key`` of this phase, or of rollouts.
    """
    fixes = []
    most = most_sequences(settings, command, phase if key == batch_key(phase, command) else ROLLOUTS)
    if most is not None and _works(settings, command, phase, {key: most}):
        fixes.append(most_words(settings, command, key, most))
    levers = _levers(settings, phase)
    for lever in levers:
        fixes += [_words(change) for change in lever if _works(settings, command, phase, change)][:1]
    if fixes:
        return ", or ".join(fixes[:3])
    own = batch_key(phase, command)
    least: Change = {
        key: min(_value(settings, key), parallelism.replica_rollouts(settings)) if key != own else 1,
        own: 1,
    }
    nothing: Change = {}
    for changes in product(*((nothing, *lever) for lever in reversed(levers))):
        together = least | {key: value for change in reversed(changes) for key, value in change.items()}
        if _works(settings, command, phase, together):
            more = most_sequences(_changed(settings, together), command, phase)
            together[own] = min(more or 1, _value(settings, own))
            return _words({key: value for key, value in together.items() if value != _value(settings, key)})
    return "a shorter length budget, or a GPU with more memory (cluster.memory_gib)"


def _levers(settings: Settings, phase: str) -> list[list[Change]]:
    """What makes a phase smaller, the cheapest first: alternatives of one lever by size; not every one divides."""
    model, training = settings.model, phase == TRAINING
    sequence: Change = {"model.sequence_parallel": True} if training else {}
    tensor, nodes = model.tensor_model_parallel_size, settings.cluster.nodes
    engine: Change = {"trtllm.unload_after_sampling": True} if training else {"trtllm.offload_optimizer": True}
    levers: list[list[Change]] = [
        [sequence] if training and tensor > 1 and not model.sequence_parallel else [],
        [engine] if settings.rollouts.engine == "trtllm" and not all(_value(settings, key) for key in engine) else [],
        [{"model.recompute": "full"}] if training and model.recompute != "full" else [],
        [
            {"model.tensor_model_parallel_size": size, **sequence}
            for size in range(tensor + 1, model.num_query_groups + 1)
            if model.num_query_groups % size == 0
        ],
        [{"optimizer.gradient_dtype": "bf16"}] if settings.optimizer.gradient_dtype == "fp32" else [],
        [{"model.pipeline_model_parallel_size": size} for size in (2, 4) if size > model.pipeline_model_parallel_size],
        [{"cluster.nodes": nodes * 2**power} for power in range(1, 8) if nodes * 2**power <= MOST_NODES],
    ]
    return [lever for lever in levers if lever]


def _works(settings: Settings, command: str, phase: str, change: Change) -> bool:
    """Whether the phase fits with a change, and no other phase outgrows the device by it."""
    changed = _changed(settings, change)
    if parallelism.problems(changed, command):
        return False
    now = {found.name: found.total for found in phases(settings, command)}
    return all(
        _fits(found, changed) or (found.name != phase and found.total <= now[found.name])
        for found in phases(changed, command)
    )


def _fits(phase: Phase, settings: Settings) -> bool:
    device = settings.cluster.memory_gib
    return device is None or phase.total <= device * GIB


def _changed(settings: Settings, change: Change) -> Settings:
    for key, value in change.items():
        section, name = key.split(".")
        settings = replace(settings, **{section: replace(getattr(settings, section), **{name: value})})
    return settings


def _value(settings: Settings, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(settings, section), name)


def _words(change: Change) -> str:
    return " ".join(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in change.items()
    )


def _items(phase: Phase) -> str:
    largest: Sequence[tuple[str, int]] = sorted(phase.items.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {size / GIB:.2f}" for name, size in largest)
