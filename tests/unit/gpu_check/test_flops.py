"""FLOPs and utilisation by hand."""

from __future__ import annotations

import pytest

from recipes.gpu_checking.flops import matmul_parameters, peak_flops, training_flops, utilisation
from recipes.settings.schema import ModelSettings
from tests.unit.settings.composing import changed, composed


def _model() -> ModelSettings:
    sizes = {
        "num_layers": 2,
        "hidden_size": 8,
        "ffn_hidden_size": 10,
        "num_attention_heads": 4,
        "num_query_groups": 2,
        "vocab_size": 16,
    }
    return changed(composed("grpo"), {f"model.{name}": size for name, size in sizes.items()}).model


def test_weights_of_the_matrix_products() -> None:
    # heads of 2 channels, 2 groups of them: g = 4. Q and O 2 * 64, K and V 2 * 32, SwiGLU 3 * 80: 432 a layer;
    # 2 layers and an output layer of 8 * 16
    assert matmul_parameters(_model()) == 2 * 432 + 128 == 992


def test_flops_of_two_sequences() -> None:
    # a token: 6 * 992 = 5952, and 12 * 2 layers * 8 channels = 192 for each token of its sequence
    # 3 tokens: 3 * (5952 + 192 * 3) = 19584; 5 tokens: 5 * (5952 + 192 * 5) = 34560
    assert training_flops(_model(), [3, 5]) == 19584 + 34560


def test_the_paper_models_weights() -> None:
    """Qwen2.5-Math-7B has 7.6 billion parameters, 0.54 of them in the embedding that is only looked up."""
    model = composed("grpo", "cluster=h100", "model.restore_from=a.nemo").model
    assert matmul_parameters(model) == pytest.approx(7.07e9, rel=1e-3)


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_peaks(device: str, peak: float | None) -> None:
    assert peak_flops(device) == peak


def test_utilisation() -> None:
    assert utilisation(4.945e14, 1.0, 989e12) == pytest.approx(0.5)
    assert utilisation(1.0, 1.0, None) is None
