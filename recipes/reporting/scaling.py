"""What a scaling study found (``*.scaling.json``): a table for the terminal and a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from recipes.reporting.figures import GRID, INK, SECOND, SERIES, STYLE

NAMES = {"a": "prompts", "b": "responses per prompt", "c": "mean accuracy"}


def scaling_table(record: Mapping[str, Any]) -> str:
    """Points and coefficients as text, columns aligned."""
    width = max(8, *(len(point["blend"]) for point in record["points"]))
    lines = [f"{'blend':<{width}}{'prompts':>12}{'responses':>11}{'accuracy':>10}{'fitted':>9}{'rest':>8}"]
    for point in record["points"]:
        rest = point["accuracy"] - point["fitted"]
        lines.append(
            f"{point['blend']:<{width}}{point['prompts']:>12,.0f}{point['responses_per_prompt']:>11.2f}"
            f"{point['accuracy']:>10.2f}{point['fitted']:>9.2f}{rest:>+8.2f}"
        )
    interval = f"{record['confidence']:.0%} interval"
    lines += ["", f"{'coefficient':<26}{'value':>8}{interval:>20}{'published':>11}{'a doubling':>12}"]
    for key, name in NAMES.items():
        one = record["coefficients"][key]
        doubling = f"{one['per_doubling']:+.2f}" if "per_doubling" in one else ""
        published = f"{record['published'][key]:.3f}" if key in record["published"] else ""
        span = f"{one['low']:.3f} to {one['high']:.3f}"
        lines.append(f"{f'{key}  {name}':<26}{one['value']:>8.3f}{span:>20}{published:>11}{doubling:>12}")
    lines.append(f"{'R^2':<26}{record['r_squared']:>8.3f}{'':>20}{record['published']['r_squared']:>11.3f}")
    lines += ["", *record["notes"]]
    return "\n".join(line.rstrip() for line in lines)


def scaling_png(record: Mapping[str, Any]) -> bytes:
    """Left: measured against fitted accuracy. Right: the two coefficients with their intervals."""
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(8.4, 3.8), layout="constrained", facecolor="white")
        axes: Any = figure.subplots(1, 2, width_ratios=(1.25, 1))
        plane, bars = axes
        fitted = [point["fitted"] for point in record["points"]]
        measured = [point["accuracy"] for point in record["points"]]
        ends = min(fitted + measured), max(fitted + measured)
        plane.plot(ends, ends, color=INK, linewidth=1, linestyle=(0, (2, 3)))
        plane.plot(fitted, measured, "o", color=SERIES, markersize=6)
        for point in record["points"]:
            plane.annotate(
                point["blend"], (point["fitted"], point["accuracy"]), (6, -9), textcoords="offset points", fontsize=9
            )
        plane.set_title(f"Accuracy of each blend ($R^2$ = {record['r_squared']:.3f})")
        plane.set_xlabel("fitted: a log2(prompts) + b log2(responses) + c (percent)")
        plane.set_ylabel("measured (percent)")
        for place, key in enumerate(("b", "a")):
            one = record["coefficients"][key]
            error = [[one["value"] - one["low"]], [one["high"] - one["value"]]]
            bars.errorbar([one["value"]], [place], xerr=error, color=SERIES, marker="o", capsize=4, linewidth=1.6)
            bars.plot([record["published"][key]], [place - 0.16], marker="d", color=SECOND, linestyle="none")
            bars.annotate(f"{one['value']:.3f}", (one["value"], place), (0, 7), textcoords="offset points", ha="center")
        bars.axvline(0, color=GRID, linewidth=1.2)
        bars.set_yticks([0, 1], [NAMES["b"].replace(" per", "\nper"), NAMES["a"]])
        bars.set_ylim(-0.6, 1.6)
        bars.set_title(f"Points a standard deviation ({record['confidence']:.0%} interval)")
        bars.set_xlabel("diamonds: published")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
        return buffer.getvalue()
