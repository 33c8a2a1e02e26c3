"""The curves of a run: avg@n after every stage, and the metrics of every step with the stages' boundaries."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, GRID, SERIES, SECOND = "#1a1c1f", "#d9dce1", "#2f6fd0", "#b5541c"
CSS = {INK: "var(--ink)", GRID: "var(--grid)", SERIES: "var(--series)", SECOND: "var(--second)"}
"""Colours of the files -> the page's own, which follow the reader's light or dark theme."""
STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.09,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
}


@dataclass(frozen=True, slots=True)
class Curves:
    """What the figures are drawn from."""

    scores: Mapping[str, Sequence[tuple[str, float, float | None]]]
    """``tiny_math avg@8`` -> (stage, avg@n, standard error) in order, one line each."""
    grpo: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
    """(stage, rows of ``metrics.jsonl``) of the GRPO stages in order."""
    sft: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """Rows of the SFT stage."""
    solve_rates: Sequence[tuple[str, Mapping[int, Sequence[float]]]] = field(default_factory=list)
    """(GRPO stage, epoch -> solve rate of every problem that it visited) in order."""


SMOOTHED_STEPS = 5
"""Steps of the running mean, or a twentieth of a long stage."""
PANELS = (
    ("reward", "Reward (mean over rollouts)", False),
    ("response_length", "Response length (tokens)", False),
    ("entropy", "Entropy (nats, at the sampling temperature)", False),
    ("truncated", "Truncated rollouts", True),
    ("groups_with_signal", "Groups with signal", True),
    ("gradient_norm", "Gradient norm (before clipping)", False),
)
"""(key of ``metrics.jsonl``, title, whether it is a fraction shown in percent)."""


def in_percent(axis: Axis) -> None:
    """Fractions as percent, with the decimals that neighbouring ticks need to be told apart: 5%, 2.5%."""
    axis.set_major_formatter(lambda fraction, _: f"{round(100 * fraction, 6):g}%")


def score_svg(curves: Curves) -> str:
    """avg@n after every stage, inline SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.1), layout="constrained")
        _scores(figure.subplots(), curves)
        return inline_svg(figure, "avg@n after every stage")


def steps_svg(curves: Curves) -> str:
    """Eight small panels: the SFT loss, the held-out score and the metrics of every GRPO step, inline SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 8.6), layout="constrained")
        _panels(figure, curves)
        return inline_svg(figure, "metrics of every step")


def png(curves: Curves) -> bytes:
    """Everything in one picture."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 12), layout="constrained", facecolor="white")
        parts: Any = figure.subfigures(2, 1, height_ratios=(1, 2.8), hspace=0.04)
        _scores(parts[0].subplots(), curves)
        _panels(parts[1], curves)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def _scores(axes: Axes, curves: Curves) -> None:
    """One line a benchmark; where lines are near, the upper one is labelled above and the lower one below."""
    lines = {name: line for name, line in curves.scores.items() if line}
    one = next(iter(lines)) if len(lines) == 1 else "avg@n"
    axes.set_title(f"{one} after every stage (bars: one standard error over new samples)")
    in_percent(axes.yaxis)
    if not lines:
        empty(axes, "no evaluation yet")
        return
    stages = list(dict.fromkeys(stage for line in lines.values() for stage, _, _ in line))
    tops = {stage: max(y for line in lines.values() for s, y, _ in line if s == stage) for stage in stages}
    for index, (name, line) in enumerate(lines.items()):
        colour, marker = (SERIES, SECOND)[index % 2], "os^D"[index % 4]
        places, averages = [stages.index(stage) for stage, _, _ in line], [average for _, average, _ in line]
        bars = [error or 0.0 for _, _, error in line]
        axes.errorbar(
            places, averages, yerr=bars, label=name, color=colour, marker=marker, markersize=6, linewidth=2, capsize=4
        )
        for place, average, bar in zip(places, averages, bars, strict=True):
            upper = average == tops[stages[place]]
            axes.annotate(
                f"{average:.1%}", (place, average + bar if upper else average - bar), (0, 5 if upper else -5),
                textcoords="offset points", ha="center", va="bottom" if upper else "top", fontsize=9.5,
            )  # fmt: skip
    if len(lines) > 1:
        axes.legend(loc="lower right", frameon=False, ncols=len(lines), fontsize=9)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_xlim(-0.4, max(len(stages) - 0.6, 0.4))
    highest = max(average + (error or 0.0) for line in lines.values() for _, average, error in line)
    axes.set_ylim(0, min(1.0, highest * 1.25) or 1.0)


def _panels(figure: Any, curves: Curves) -> None:
    grid = figure.subplots(4, 2)
    _sft_loss(grid.flat[0], curves.sft)
    _held_out(grid.flat[1], curves.grpo)
    for axes, (key, title, fraction) in zip(grid.flat[2:], PANELS, strict=True):
        axes.set_title(title)
        if fraction:
            in_percent(axes.yaxis)
        _stages(axes, curves.grpo, key)
    for axes in grid[-1]:
        axes.set_xlabel("GRPO step")


def _stages(axes: Axes, grpo: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], key: str) -> None:
    """One line over all stages, broken at their boundaries: the budget and the prompts change there."""
    for start, values in _boundaries(axes, [(name, [row[key] for row in rows]) for name, rows in grpo]):
        # The first value stands at "one step done", so that a boundary is the end of the stage before it.
        steps = range(start + 1, start + len(values) + 1)
        axes.plot(steps, values, color=SERIES, linewidth=1, alpha=0.35)
        axes.plot(steps, running_mean(values, max(SMOOTHED_STEPS, len(values) // 20)), color=SERIES, linewidth=1.8)
    low, high = axes.get_ylim()
    low = 0.0 if low > 0 and low < 0.6 * high else low
    axes.set_ylim(max(low, 0.0), high + 0.16 * (high - low))  # room for the stages' names


def held_out_scores(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, float, float]]:
    """(steps done, avg@n, standard error or 0) of one stage, from the weights that it started from on."""
    found = []
    for row in rows:
        for prefix, done in (("validation_start", 0), ("validation", row["step"] + 1)):
            if f"{prefix}_avg" in row:
                found.append((done, row[f"{prefix}_avg"], row.get(f"{prefix}_stderr") or 0.0))
    return found


def _held_out(axes: Axes, grpo: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
    axes.set_title("Held-out avg@n (bars: one standard error)")
    in_percent(axes.yaxis)
    scores = dict((name, held_out_scores(rows)) for name, rows in grpo)
    if not any(scores.values()):
        empty(axes, "not measured (validation.every_steps=0)")
        return
    drawn = zip(_boundaries(axes, grpo), [scores[name] for name, rows in grpo if rows], strict=True)
    for (start, _), stage in drawn:
        if stage:
            steps, averages, errors = zip(*stage, strict=True)
            axes.errorbar(
                [start + step for step in steps], averages, yerr=errors, color=SERIES, marker="o", markersize=3.5,
                linewidth=1.4, elinewidth=0.9, capsize=2,
            )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low - 0.05 * (high - low)), high + 0.16 * (high - low))


Values = TypeVar("Values", bound=Sequence[Any])


def _boundaries(axes: Axes, stages: Sequence[tuple[str, Values]]) -> list[tuple[int, Values]]:
    """Name the stages on an axis of steps and draw the lines between them; (steps before it, values) of each."""
    start, found = 0, []
    for name, values in stages:
        if not values:
            continue
        if start:
            axes.axvline(start + 0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6)
        middle = (start + len(values) / 2 + 0.5, 1.0)
        axes.annotate(
            name, middle, (0, -2), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
            va="top", fontsize=8.5, alpha=0.75,
        )  # fmt: skip
        found.append((start, values))
        start += len(values)
    if not start:
        empty(axes, "no GRPO step yet")
        return []
    axes.set_xlim(-0.01 * start, 1.01 * start + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return found


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Centred mean over ``window`` values (an odd number; an even one counts one more), fewer at the ends."""
    half = window // 2
    return [fmean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def _sft_loss(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("SFT loss (nats per token; dots: held out)")
    train = [(row["step"] + 1, row["train/loss"]) for row in rows if "train/loss" in row]
    held_out = [(row["step"], row["val/loss"]) for row in rows if "val/loss" in row]
    if not train:
        empty(axes, "no SFT stage")
        return
    axes.plot(*zip(*train, strict=True), color=SERIES, linewidth=1.2)
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color=INK, marker="o", markersize=4, linestyle="none")
    axes.set_xlabel("SFT step")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def empty(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", alpha=0.7)
    axes.set_xticks([])
    axes.set_yticks([])


def inline_svg(figure: Figure, label: str) -> str:
    """The figure's ``<svg>`` element: no XML head, as wide as the page, colours as in ``CSS``, ids of its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(width|height)="[0-9.]+pt" ', "", svg, count=2)
    prefix = re.sub(r"\W+", "-", label)
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{prefix}-", svg)
    for colour, variable in CSS.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
