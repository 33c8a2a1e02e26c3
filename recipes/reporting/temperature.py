"""What a temperature calibration found (``RUN/temperature.json``): a table for the terminal and a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter
from rich import box
from rich.console import Console
from rich.table import Table

from recipes.atomic_files import atomic_file
from recipes.reporting.figures import INK, SERIES, STYLE, in_percent

COARSE = 3.0
"""Entropies of neighbouring temperatures further apart than this factor leave the place between them uncertain."""
BAND = 0.13
"""Opacity of the interval of the chosen temperature."""


def in_words(record: Mapping[str, Any]) -> str:
    """One sentence: the temperature, how well it is known, and whether the target was within reach."""
    text = (
        f"temperature {record['temperature']:g} ± {record['stderr']:.3f} "
        f"(90% {record['low']:g} to {record['high']:g}) for an entropy of {record['target_entropy']:g} nats"
    )
    if record["clamped"] is not None:
        which = f"the {record['clamped']} temperature that was measured"
        return text + f"; the target lies beyond {which}: extend calibration.temperatures to come nearer"
    below = [p for p in record["points"] if p["temperature"] <= record["temperature"]]
    above = [p for p in record["points"] if p["temperature"] >= record["temperature"]]
    if below and above and above[0]["entropy"] > COARSE * below[-1]["entropy"]:
        text += (
            f"; between {below[-1]['temperature']:g} and {above[0]['temperature']:g} the entropy grows more than "
            f"{COARSE:g}-fold: calibration.temperatures between them would say more"
        )
    return text


def print_temperature(record: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("temperature", "entropy (nats)", "reward", "truncated", "tokens"):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in record["points"]:
        table.add_row(
            f"{point['temperature']:g}",
            f"{point['entropy']:.3f} ± {point['entropy_stderr']:.3f}",
            f"{point['reward']:.3f} ± {point['reward_stderr']:.3f}",
            f"{point['truncated']:.1%}",
            f"{point['tokens']:,}",
        )
    # A pipe has no width: the table keeps its natural one there.
    console = console or Console(width=None if Console().is_terminal else 140)
    console.print(table)
    console.print(in_words(record), soft_wrap=True)


def write_temperature_png(path: Path, record: Mapping[str, Any]) -> None:
    """Write the picture; atomic."""
    with atomic_file(path, "wb") as file:
        file.write(temperature_png(record))


def temperature_png(record: Mapping[str, Any]) -> bytes:
    """Entropy, and below it reward and truncated fraction, against temperature, with the target and the choice."""
    points = record["points"]
    temperatures = [point["temperature"] for point in points]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.6), layout="constrained", facecolor="white")
        parts: Any = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
        entropy, below = parts
        entropy.set_title("Temperature-adjusted entropy (nats; bars: one standard error over prompts)")
        _errorbar(entropy, temperatures, points, "entropy")
        entropy.axhline(record["target_entropy"], color=INK, linewidth=1, linestyle=(0, (2, 3)))
        entropy.annotate(
            f"target {record['target_entropy']:g}",
            (0, record["target_entropy"]),
            (3, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=9,
        )
        entropy.set_yscale("log")  # the curve between two points is drawn as it is interpolated
        entropy.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        entropy.yaxis.set_minor_formatter(NullFormatter())
        for axes in parts:
            axes.axvspan(record["low"], record["high"], color=SERIES, alpha=BAND, linewidth=0)
            axes.axvline(record["temperature"], color=SERIES, linewidth=1.2)
        entropy.annotate(
            f"T = {record['temperature']:g} ± {record['stderr']:.2g}",
            (record["temperature"], 0),
            (5, 6),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=9.5,
        )
        below.set_title("Reward (blue) and truncated rollouts (dark)")
        _errorbar(below, temperatures, points, "reward")
        below.plot(temperatures, [p["truncated"] for p in points], color=INK, marker="s", markersize=4, linewidth=1.2)
        in_percent(below.yaxis)
        below.set_ylim(bottom=0)
        below.set_xlabel("sampling temperature")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def _errorbar(axes: Any, temperatures: list[float], points: list[Mapping[str, Any]], name: str) -> None:
    axes.errorbar(
        temperatures,
        [point[name] for point in points],
        yerr=[point[f"{name}_stderr"] for point in points],
        color=SERIES,
        marker="o",
        markersize=5,
        linewidth=1.6,
        capsize=4,
    )
