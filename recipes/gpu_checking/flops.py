"""Model FLOP utilisation: the arithmetic of the model alone, over what the GPU could do in the same time."""

from __future__ import annotations

from collections.abc import Iterable

from recipes.settings.schema import ModelSettings

PEAK_BF16: tuple[tuple[str, float], ...] = (
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
)
"""Part of the device's name -> FLOP/s of the tensor cores in bf16 without sparsity, the first that fits: NVIDIA's data
sheets, where the H100, H200 and L4 are given with sparsity, twice as much."""


def matmul_parameters(model: ModelSettings) -> int:
    """Weights that take part in matrix products: N.

    With h = hidden size, f = FFN size, g = groups x head size, V = vocabulary and L layers::

        N = L * (2 h h  +  2 h g  +  3 h f)  +  h V
                 Q and O   K and V   SwiGLU     output layer

    The input embedding is looked up, not multiplied; norms and biases are left out.
    """
    hidden = model.hidden_size
    group_channels = hidden // model.num_attention_heads * model.num_query_groups
    layer = 2 * hidden * hidden + 2 * hidden * group_channels + 3 * hidden * model.ffn_hidden_size
    return model.num_layers * layer + hidden * model.vocab_size


def training_flops(model: ModelSettings, lengths: Iterable[int]) -> int:
    """FLOPs of one forward and backward pass.

    PaLM (Chowdhery et al. 2022, Appendix B), for each token of a sequence of T::

        6 N + 12 L H Q T

    6 N: a multiplication and an addition for each weight, once forward and twice backward. 12 L H Q T: Q K^T and the
    product with V, 2 x 2 T H Q forward and twice that backward, in each of L layers with H heads of Q channels. Under
    grouped-query attention H counts the query heads: every one of them has its own scores, so only N shrinks. The
    convention counts the whole square of the attention matrix, causal or not, and no recomputation.

    Args:
        model: sizes.
        lengths: tokens of each sequence, padding left out.
    """
    weights = 6 * matmul_parameters(model)
    attention = 12 * model.num_layers * model.hidden_size  # H Q is the hidden size
    return sum(length * (weights + attention * length) for length in lengths)


def peak_flops(device: str) -> float | None:
    """Peak FLOP/s in bf16 of a GPU by the name that CUDA reports; None for one that is not in ``PEAK_BF16``.

    A slice of a GPU (MIG) has a part of it that the name alone does not tell.
    """
    if "MIG" in device:
        return None
    words = device.replace("-", " ").split()
    for name, peak in PEAK_BF16:
        if all(word in words for word in name.split()):
            return peak
    return None


def utilisation(flops: float, seconds: float, peak: float | None) -> float | None:
    """``flops / seconds / peak``; None without a peak."""
    return None if peak is None else flops / seconds / peak
