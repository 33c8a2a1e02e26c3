"""How hard the problems of a stage were for its own policy: histograms of the solve rate, for every stage and epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from recipes.reporting.figures import GRID, INK, SERIES, STYLE, Curves, empty, in_percent, inline_svg

BINS = ("0", "to 25%", "to 50%", "to 75%", "below 1", "1")
"""Solved by no rollout; by up to a quarter, half, three quarters, not quite all of them; by every one."""
COLUMNS = 24
"""Epochs that the heat map shows; of more, the first ones and the last ones of each stage."""
NUMBERED = 14
"""Columns that are wide enough for numbers."""


def histogram(rates: Sequence[float]) -> list[float]:
    """Share of the problems in each of ``BINS``."""
    counts = [0] * len(BINS)
    for rate in rates:
        counts[bin_of(rate)] += 1
    return [count / len(rates) for count in counts]


def bin_of(rate: float) -> int:
    """Index in ``BINS``; a bound belongs to the bin below it."""
    if rate <= 0:
        return 0
    return 5 if rate >= 1 else 1 + sum(rate > bound for bound in (0.25, 0.5, 0.75))


def solve_rates_svg(curves: Curves) -> str:
    """A heat map over all epochs, and below it the first and the last epoch of every stage; inline SVG."""
    stages = [(name, epochs) for name, epochs in curves.solve_rates if epochs]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 5.0 if stages else 2.0), layout="constrained")
        if stages:
            parts: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1))
            _heat_map(parts[0].subplots(), stages)
            _histograms(parts[1], stages)
        else:
            empty(figure.subplots(), "no GRPO stage is done yet")
        return inline_svg(figure, "solve rates of every stage and epoch")


def _heat_map(axes: Axes, stages: Sequence[tuple[str, Mapping[int, Sequence[float]]]]) -> None:
    axes.set_title("Problems by solve rate, for every stage and epoch (share of the epoch's problems)")
    columns = [(name, epoch, rates) for name, epochs in stages for epoch, rates in _some(epochs, len(stages))]
    for place, (_, _, rates) in enumerate(columns):
        for row, share in enumerate(histogram(rates)):
            axes.add_patch(Rectangle((place - 0.48, row - 0.46), 0.96, 0.92, color=SERIES, alpha=share, linewidth=0))
            if len(columns) <= NUMBERED:
                axes.text(place, row, f"{share:.0%}", ha="center", va="center", fontsize=8.5)
    axes.set_yticks(range(len(BINS)), BINS)
    axes.set_xticks(
        range(len(columns)),
        [
            f"{epoch + 1}\n{name if place == _first(columns, name) else ''}"
            for place, (name, epoch, _) in enumerate(columns)
        ],
    )
    for place in range(1, len(columns)):
        if columns[place][0] != columns[place - 1][0]:
            axes.axvline(place - 0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(BINS) - 0.5)
    axes.grid(visible=False)
    axes.set_ylabel("solve rate")
    axes.set_xlabel("epoch and stage", labelpad=2)


def _histograms(figure: Any, stages: Sequence[tuple[str, Mapping[int, Sequence[float]]]]) -> None:
    """Outline: the first epoch; filled: the last one."""
    panels = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    for axes, (name, epochs) in zip(panels, stages, strict=True):
        first, last = min(epochs), max(epochs)
        places = range(len(BINS))
        axes.bar(places, histogram(epochs[last]), color=SERIES, alpha=0.55, width=0.85)
        if last > first:
            axes.bar(places, histogram(epochs[first]), edgecolor=INK, fill=False, width=0.85, linewidth=1.1)
        numbers = f"epoch {first + 1}" if first == last else f"epochs {first + 1} and {last + 1}"
        axes.set_title(name if len(stages) > 4 else f"{name}, {numbers}")
        axes.set_xticks([0, 5], ["0", "1"])
        in_percent(axes.yaxis)
        axes.spines["bottom"].set_color(GRID)
    panels[0].set_ylabel("problems")
    figure.supxlabel("solve rate (outline: first epoch; filled: last epoch)", fontsize=9)


def _some(epochs: Mapping[int, Sequence[float]], stages: int) -> list[tuple[int, Sequence[float]]]:
    """The epochs of one stage that fit."""
    room = max(2, COLUMNS // stages)
    numbers = sorted(epochs)
    if len(numbers) > room:
        numbers = numbers[: room // 2] + numbers[len(numbers) - (room - room // 2) :]
    return [(number, epochs[number]) for number in numbers]


def _first(columns: Sequence[tuple[str, int, Sequence[float]]], name: str) -> int:
    return next(place for place, column in enumerate(columns) if column[0] == name)
