"""Measurements made by hand: four layers, so that sqrt(L) is 2, and log-probabilities whose deviation is 1."""

from __future__ import annotations

from recipes.gpu_checking.measurements import Half, Measurements, Speed

REFERENCE = Measurements(
    where="CPU, 32, local layers",
    layers=4,
    sft_losses=(6.0, 5.0, 4.0),
    sft_gradient_norms=(2.0, 1.0, 0.5),
    log_probs=(-5.0, -7.0, -5.0, -7.0),
    grpo_loss=0.25,
    grpo_gradient_norm=1.5,
    grpo_entropy=6.0,
    updated_log_probs=(-4.0, -8.0, -5.0, -7.0),
)
SCALE = 2.0**-8 * 2 * 1
"""u * sqrt(L) * s = 1/128."""
SPEEDS = (
    Speed("SFT update", tokens=1000, seconds=0.5, flops=4_945 * 10**11),
    Speed("GRPO sampling", tokens=300, seconds=2.0, flops=None),
)


def half(measurements: Measurements, speeds: tuple[Speed, ...] = ()) -> Half:
    """Of a device with 1.5 GB in use."""
    return Half(measurements, speeds, 1.5)
