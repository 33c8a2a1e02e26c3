"""What the memory plan says of settings: a line and a table."""

from __future__ import annotations

from recipes.memory.phases import GIB, memory_rows
from recipes.settings.checks import sound_problems
from recipes.settings.memory_checks import batch_key, fit_together, most_sequences, most_words
from recipes.settings.memory_plan import phases
from recipes.settings.schema import Settings


def memory_lines(settings: Settings, command: str) -> list[str]:
    """One line with the peak of each phase and the largest batches that fit; none where memory is not checked."""
    device = settings.cluster.memory_gib
    if device is None or sound_problems(settings, command) or not (found := phases(settings, command)):
        return []
    peaks = ", ".join(f"{phase.total / GIB:.2f} in {phase.name}" for phase in found)
    name_of = {phase.name: batch_key(phase.name, command) for phase in found}
    most = {key: size for phase, key in name_of.items() if (size := most_sequences(settings, command, phase))}
    between = ", " if fit_together(settings, command, dict(most)) else " or "
    room = between.join(most_words(settings, command, key, size) for key, size in most.items())
    name = command if command in ("evaluate", "calibrate") else settings.stage.name
    return [f"memory of a GPU for {name}: {peaks}, of {device:.2f} GiB; at most {room or 'nothing'} would fit"]


def memory_table(settings: Settings, command: str) -> list[list[str]]:
    """``memory_rows`` of a command's phases; none where ``memory_lines`` has nothing to say."""
    device = settings.cluster.memory_gib
    if device is None or sound_problems(settings, command) or not (found := phases(settings, command)):
        return []
    return memory_rows(found, device)
