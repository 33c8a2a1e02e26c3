"""The figures of an evaluation's report, one small panel each, inline SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from recipes.reporting.figures import GRID, INK, SECOND, SERIES, STYLE, empty, in_percent, inline_svg
from recipes.reporting.solve_rates import BINS, histogram

SIZE = (4.4, 3.1)
"""Inches; a panel is as wide as a phone."""
LENGTH_BINS = 30


@dataclass(frozen=True, slots=True)
class Model:
    """One evaluation's line, bars or axis."""

    label: str
    row: Mapping[str, Any]
    """Of ``scores.json``."""

    @property
    def rates(self) -> list[float]:
        """Solve rate of every problem that has a sample."""
        return [rate for rate in self.row["per_problem"].values() if rate is not None]


def pass_at_k(models: Sequence[Model], label: str) -> str:
    """The closed form as a line, mean +- sd of the paper's resamplings as a band; K on a logarithmic axis."""

    def draw(axes: Axes) -> None:
        sizes: set[int] = set()
        for model, colour in zip(models, (SERIES, SECOND), strict=False):
            curve = {int(k): chance for k, chance in (model.row.get("pass@k") or {}).items() if chance is not None}
            bands = {int(k): found for k, found in (model.row.get("pass@k_resampled") or {}).items() if found}
            if not curve:
                continue
            sizes |= curve.keys()
            if bands:
                low, high = ([bands[k]["mean"] + sign * bands[k]["sd"] for k in bands] for sign in (-1, 1))
                axes.fill_between(list(bands), low, high, color=colour, alpha=0.22, linewidth=0)
            axes.plot(
                list(curve), list(curve.values()), color=colour, marker="o", markersize=4, linewidth=1.8,
                label=_plain(model.label),
            )  # fmt: skip
        if not sizes:
            empty(axes, "a problem has fewer samples than n")
            return
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sorted(sizes)))
        axes.xaxis.set_major_formatter(lambda k, _: f"{k:g}")
        axes.minorticks_off()
        axes.set_xlabel("K")
        in_percent(axes.yaxis)
        _legend(axes, len(models))

    return _panel(draw, f"pass at K, {label}")


def solve_rates(models: Sequence[Model], label: str) -> str:
    """Share of the problems by solve rate, a bar for each model."""

    def draw(axes: Axes) -> None:
        shown = [model for model in models if model.rates]
        width = 0.8 / max(len(shown), 1)
        for index, (model, colour) in enumerate(zip(shown, (SERIES, SECOND), strict=False)):
            places = [place + (index - (len(shown) - 1) / 2) * width for place in range(len(BINS))]
            bars = axes.bar(places, histogram(model.rates), width * 0.94, color=colour, label=_plain(model.label))
            if len(shown) == 1:
                axes.bar_label(bars, fmt=lambda share: f"{share:.0%}" if share else "", fontsize=8.5, padding=2)
        axes.set_xticks(range(len(BINS)), BINS)
        axes.set_xlabel("solve rate")
        in_percent(axes.yaxis)
        axes.margins(y=0.12)
        _legend(axes, len(shown))

    return _panel(draw, f"problems by solve rate, {label}")


def scatter(pairs: Mapping[str, tuple[float, float]], names: tuple[str, str], label: str) -> str:
    """Every problem's two solve rates (paper Figure 13); a disc's area is the number of problems there."""

    def draw(axes: Axes) -> None:
        found, counts = np.unique(np.array(list(pairs.values())).round(6), axis=0, return_counts=True)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6)
        colours = [SERIES if b > a else SECOND if b < a else INK for a, b in found]
        sizes = 18 * np.minimum(counts, 60)
        axes.scatter(found[:, 0], found[:, 1], s=sizes, c=colours, alpha=0.55, linewidths=0, clip_on=False)
        for (x, y), count in zip(found, counts, strict=True):
            if count > 5:
                axes.text(x, y, str(count), ha="center", va="center", fontsize=7.5)
        axes.set_xlabel(_plain(names[0]))
        axes.set_ylabel(_plain(names[1]))
        axes.set_xlim(-0.06, 1.06)
        axes.set_ylim(-0.06, 1.06)
        axes.set_aspect("equal")
        axes.grid(True, axis="both", color=GRID)
        for axis in (axes.xaxis, axes.yaxis):
            in_percent(axis)

    return _panel(draw, f"solve rates of every problem, {label}", (4.0, 3.9))


def lengths(groups: Mapping[str, Sequence[int]], label: str) -> str:
    """Histogram of response lengths, stacked.

    Args:
        groups: ``right``, ``wrong`` and ``truncated`` -> tokens of each response.
    """

    def draw(axes: Axes) -> None:
        everything = [length for group in groups.values() for length in group]
        if not everything:
            empty(axes, "lengths are not known")
            return
        width = -(-(max(everything) + 1 - min(everything)) // LENGTH_BINS)  # whole tokens, so that bars are comparable
        edges = np.arange(min(everything), max(everything) + 1 + width, width)
        colours = {"right": SERIES, "wrong": SECOND, "truncated": INK}
        below = np.zeros(len(edges) - 1)
        for name, group in groups.items():
            if group:
                counts = np.histogram(group, edges)[0]
                axes.bar(
                    edges[:-1], counts, np.diff(edges), bottom=below, align="edge", color=colours[name],
                    alpha=0.9 if name != "truncated" else 0.55, label=f"{name} ({len(group):,})", linewidth=0,
                )  # fmt: skip
                below += counts
        axes.set_xlabel("tokens")
        axes.set_ylabel("samples")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.margins(y=0.12)
        _legend(axes, 2)

    return _panel(draw, f"response lengths, {label}")


def _panel(draw: Any, label: str, size: tuple[float, float] = SIZE) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return inline_svg(figure, label)


def _legend(axes: Axes, models: int) -> None:
    """Above the panel, where it hides nothing."""
    if models > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize=8.5, borderaxespad=0.2)


def _plain(text: str) -> str:
    """Dollars would start a formula."""
    return text.replace("$", r"\$")
