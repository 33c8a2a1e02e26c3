"""What a training did to the weights, read from the Hugging Face folders before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.safetensors_folder import SafetensorsFolder


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Difference of two sets of weights."""

    changed: int
    """Tensors of which at least one weight differs."""
    tensors: int
    largest: float
    """Largest absolute difference of a weight."""


def weight_change(before: Path, after: Path) -> WeightChange:
    """Compare two folders, one tensor in memory at a time.

    Raises:
        ConversionError: the folders do not hold the same tensors; names those that only one of them has.
    """
    old, new = SafetensorsFolder.open(before), SafetensorsFolder.open(after)
    if different := sorted(old.entries.keys() ^ new.entries.keys()):
        raise ConversionError(f"{before} and {after}: tensors that only one of them has: {', '.join(different)}")
    differences = [float((old.read(name).float() - new.read(name).float()).abs().max()) for name in old.entries]
    return WeightChange(sum(value > 0 for value in differences), len(differences), max(differences))
