"""What ``python -m recipes.prepare_data --dry-run`` says: what is read, which steps run, where it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from recipes.settings.prepare_checks import STEPS, chosen_steps, file_size, published_benchmarks
from recipes.settings.prepare_schema import PrepareSettings


def prepare_lines(settings: PrepareSettings) -> Iterator[tuple[str, str]]:
    """Name and text of each line of the plan."""
    data, parts = settings.data, settings.parts
    yield from (("reads", f"{path} ({_size(file_size(path))})") for path in data.inputs)
    if data.sources:
        yield "reads", f"{', '.join(data.sources)} (conf/source)"
    against = [*data.against, *(published_benchmarks() if "all" in data.benchmarks else data.benchmarks)]
    for step in chosen_steps(settings):
        yield "step", f"{step}: {STEPS[step]}" + (f" ({', '.join(against)})" if step == "decontaminate" else "")
    where = f"{parts.workers or os.cpu_count()} processes here"
    if parts.executor == "slurm":
        where = f"a Slurm job array for each step, partition {parts.partition}, {parts.time} a task"
    yield "runs", f"{parts.count} parts, {where}"
    left = ", ".join(f"{name}.jsonl" for name in ("problems", "duplicates", "contaminated", "rejected", "sampled_out"))
    yield "writes", f"{settings.output}/: {left}, report.json, manifest.json; work/ is there to go on from"
    folders = {"respond": "teacher/", "blend": "blends/", "sft": "sft/", "select": "rl/"}
    if more := [folder for step, folder in folders.items() if step in settings.steps]:
        yield "writes", f"{settings.output}/: {', '.join(more)}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
