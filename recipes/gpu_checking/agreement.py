"""bf16 on a GPU against fp32 on a CPU: what difference rounding explains, and what it does not.

bf16 keeps 8 bits of a number, so rounding changes it by at most u = 2^-8 of itself. Along L layers the residual stream
is rounded again and again; independent errors add up like sqrt(L). A log-probability is a logit less the log of a
sum, and logits vary over the vocabulary about as log-probabilities vary over the tokens of a text, by a standard
deviation s. So the scale of the error is::

    e = u * sqrt(L) * s

for a log-probability, and u * sqrt(L) of itself for a gradient norm. Measured on a CPU, bf16 against fp32 of the same
Megatron code; log-probabilities and losses in units of e, norms in units of u * sqrt(L) of themselves::

    layers x channels    log-probabilities    loss of 3 updates,    gradient    log-probabilities after
                         mean      largest    largest               norm        an update, mean
    2 x 64               0.7       2.9        0.7                   1.3         1.6
    4 x 256              0.7       3.3        0.1                   0.8         1.6
    8 x 512              0.8       3.4        0.2                   0.7         1.2

(An update brings the errors of small gradients into the weights: Adam's first step has one size, whatever the
gradient's.) The tolerances are two to six times these. What they must tell apart from rounding is larger: without the
bias of the QKV projections the mean difference is 130 to 220 e, with another rotary base 8 e and more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.gpu_checking.measurements import Measurements

UNIT_ROUNDOFF = 2.0**-8
MEAN, LARGEST, LOSS, GRADIENT_NORM, UPDATED_MEAN = 3.0, 20.0, 2.0, 3.0, 6.0
"""Tolerances in units of the error's scale."""
EXACT = 1e-4
"""Of the GRPO loss, of the order of 1: a sum of weights and advantages (the ratio is 1) that bf16 does not enter."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity in both halves."""

    name: str
    difference: float
    """NaN where a number was not finite."""
    tolerance: float
    detail: str

    @property
    def passed(self) -> bool:
        """Within the tolerance; never for NaN."""
        return self.difference <= self.tolerance

    @property
    def measured(self) -> str:
        """For the checklist."""
        return f"{self.difference:.2e}, at most {self.tolerance:.2e} ({self.detail})"


def compare(reference: Measurements, found: Measurements) -> list[Comparison]:
    """Every comparison, in the order of the steps.

    Raises:
        ValueError: the halves measured other tokens or another number of steps.
    """
    for name in ("layers", "sft_losses", "log_probs", "updated_log_probs"):
        one, other = (_size(getattr(half, name)) for half in (reference, found))
        if one != other or one == 0:
            raise ValueError(f"{name}: {one} in the reference, {other} on the device: not the same model and tokens")
    relative = UNIT_ROUNDOFF * math.sqrt(reference.layers)
    scale = relative * deviation(reference.log_probs)
    before = differences(reference.log_probs, found.log_probs)
    after = differences(reference.updated_log_probs, found.updated_log_probs)
    moved = _mean(differences(reference.log_probs, reference.updated_log_probs))
    loss = max(differences(reference.sft_losses, found.sft_losses), key=_nan_last)
    norms = [*zip(reference.sft_gradient_norms, found.sft_gradient_norms, strict=True)]
    worst = max((_relative(*pair) for pair in norms), key=_nan_last)
    return [
        Comparison(
            "SFT: loss at every step",
            loss,
            LOSS * scale,
            f"{_listed(found.sft_losses)} for {_listed(reference.sft_losses)}",
        ),
        Comparison(
            "SFT: gradient norm, relative",
            worst,
            GRADIENT_NORM * relative,
            f"{_listed(found.sft_gradient_norms)} for {_listed(reference.sft_gradient_norms)}",
        ),
        Comparison("log-probabilities: mean", _mean(before), MEAN * scale, f"{len(before)} tokens"),
        Comparison(
            "log-probabilities: largest",
            max(before, key=_nan_last),
            LARGEST * scale,
            f"standard deviation over the tokens {deviation(reference.log_probs):.2f}",
        ),
        Comparison("GRPO: loss", abs(reference.grpo_loss - found.grpo_loss), EXACT, f"{found.grpo_loss:.6f}"),
        Comparison(
            "GRPO: entropy", abs(reference.grpo_entropy - found.grpo_entropy), LOSS * scale, f"{found.grpo_entropy:.4f}"
        ),
        Comparison(
            "GRPO: gradient norm, relative",
            _relative(reference.grpo_gradient_norm, found.grpo_gradient_norm),
            GRADIENT_NORM * relative,
            f"{found.grpo_gradient_norm:.4f} for {reference.grpo_gradient_norm:.4f}",
        ),
        Comparison(
            "log-probabilities after the GRPO update: mean",
            _mean(after),
            UPDATED_MEAN * scale,
            f"the update moved them by {moved:.2e}",
        ),
    ]


def unsound(measurements: Measurements) -> list[str]:
    """What is not a finite number, or no gradient at all."""
    values = {
        "SFT losses": measurements.sft_losses,
        "SFT gradient norms": measurements.sft_gradient_norms,
        "log-probabilities": measurements.log_probs,
        "GRPO loss, entropy": (measurements.grpo_loss, measurements.grpo_entropy),
        "GRPO gradient norm": (measurements.grpo_gradient_norm,),
        "log-probabilities after the update": measurements.updated_log_probs,
    }
    found = [f"{name}: not finite" for name, numbers in values.items() if not all(map(math.isfinite, numbers))]
    norms = (*measurements.sft_gradient_norms, measurements.grpo_gradient_norm)
    return found or [f"gradient norm {norm}" for norm in norms if norm <= 0]


def differences(one: tuple[float, ...], other: tuple[float, ...]) -> list[float]:
    """Absolute, number by number."""
    return [abs(a - b) for a, b in zip(one, other, strict=True)]


def deviation(numbers: tuple[float, ...]) -> float:
    """Standard deviation."""
    mean = _mean(numbers)
    return math.sqrt(_mean([(number - mean) ** 2 for number in numbers]))


def _mean(numbers: list[float] | tuple[float, ...]) -> float:
    return math.fsum(numbers) / len(numbers)


def _relative(one: float, other: float) -> float:
    return abs(one - other) / abs(one) if one else math.nan


def _nan_last(number: float) -> tuple[bool, float]:
    """Key by which NaN is the largest."""
    return math.isnan(number), number


def _size(value: int | tuple[float, ...]) -> int:
    return value if isinstance(value, int) else len(value)


def _listed(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:.4f}" for number in numbers)
