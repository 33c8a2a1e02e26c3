"""How long the responses of a data set are, as a picture (the paper's Figure 3)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from recipes.reporting.figures import SECOND, SERIES, STYLE, in_percent

WIDTH = 1000
"""Tokens of a bar."""
LONGEST = 33
"""Bars; the last one holds all that is longer."""
COLOURS = {"math": SERIES, "code": SECOND}


def length_histogram_png(lengths: Mapping[str, npt.NDArray[np.integer[Any]]], title: str) -> bytes:
    """One panel for each domain: the share of its responses in each thousand of tokens.

    Args:
        lengths: domain -> tokens of its responses, at least one.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * len(lengths), 3.0), layout="constrained", facecolor="white")
        panels: Any = figure.subplots(1, len(lengths), squeeze=False, sharey=True)
        for axes, (domain, tokens) in zip(panels.flat, lengths.items(), strict=True):
            counts = np.bincount(np.minimum(tokens // WIDTH, LONGEST - 1), minlength=LONGEST)
            places = np.arange(LONGEST) + 0.5
            axes.bar(places, counts / len(tokens), width=0.9, color=COLOURS.get(domain, SERIES))
            axes.axvline(tokens.mean() / WIDTH, color="black", linewidth=1, linestyle=(0, (2, 3)))
            axes.set_title(f"{title}, {domain}: {len(tokens):,} responses, mean {tokens.mean():,.0f} tokens")
            in_percent(axes.yaxis)
            axes.set_xticks([0, 8, 16, 24, 32], ["0", "8K", "16K", "24K", "32K+"])
            axes.set_xlabel("tokens of a response")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
        return buffer.getvalue()
