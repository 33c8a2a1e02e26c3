"""Numbers as a reader sees them: fractions in points of 100, as in the paper's tables; ``?`` where there is none."""

from __future__ import annotations

from collections.abc import Sequence

UNKNOWN = "?"


def points(fraction: float | None, decimals: int = 1) -> str:
    """0.726 -> ``72.6``."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{decimals}f}"


def signed(fraction: float | None) -> str:
    """0.106 -> ``+10.6``."""
    return UNKNOWN if fraction is None else f"{100 * fraction:+.1f}"


def interval(ends: Sequence[float] | None) -> str:
    """``-1.2 to 10.3``."""
    return UNKNOWN if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def p_value(p: float) -> str:
    """Three decimals; the smallest that random signs can give is 1/10,001."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"


def tokens(length: float | None) -> str:
    """Mean length."""
    return UNKNOWN if length is None else f"{length:,.0f}"
