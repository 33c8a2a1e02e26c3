"""The memory equations against hand-worked numbers: Qwen2.5-Math-7B's, and a layer small enough to count."""

from __future__ import annotations

import pytest

from recipes.memory import activations, engines, kv_cache, logits
from recipes.memory.architecture import Architecture, Layout, engine_parameters, parameters, rank_parameters
from recipes.memory.model_states import gradient_bytes, optimizer_bytes, weight_bytes
from recipes.memory.phases import GIB, Phase, memory_rows

QWEN_7B = Architecture(28, 3584, 18944, 28, 4, 152064, qkv_bias=True, tied=False)
PARAMETERS = 7_615_616_512
SMALL = Architecture(4, 8, 24, 4, 2, 32, qkv_bias=True, tied=True)
"""Head size 2, so k = 4: a layer has 8 x 16 + 8 x 8 + 3 x 8 x 24 + 16 = 784 parameters that are cut, and 16 of
norms."""
TP = (1, 2, 4)


def gib(size: float) -> float:
    return size / GIB


def test_parameters() -> None:
    assert parameters(QWEN_7B) == PARAMETERS
    assert parameters(SMALL) == 4 * (784 + 16) + 32 * 8 + 8
    untied = Architecture(4, 8, 24, 4, 2, 32, qkv_bias=False, tied=False)
    assert parameters(untied) == 4 * (784 - 16 + 16) + 2 * 32 * 8 + 8


def test_parameters_of_a_rank() -> None:
    """Tensor ranks share all but norms; the first stage has the embedding, the last the output layer and its norm."""
    cut = Layout(tensor=2, pipeline=2)
    assert rank_parameters(SMALL, cut, 0) == 2 * (392 + 16) + 128
    assert rank_parameters(SMALL, cut, 1) == 2 * (392 + 16) + 128 + 8
    assert rank_parameters(SMALL, Layout(pipeline=4), 1) == 800
    assert rank_parameters(SMALL, Layout(tensor=2), 0) == engine_parameters(SMALL, 2) == 4 * (392 + 16) + 128 + 8
    norms = 28 * 2 * 3584 + 3584
    for tensor in TP:
        assert rank_parameters(QWEN_7B, Layout(tensor=tensor), 0) == (PARAMETERS - norms) // tensor + norms
    stages = [rank_parameters(QWEN_7B, Layout(pipeline=4), stage) for stage in range(4)]
    assert sum(stages) == PARAMETERS and stages[0] == stages[3] - 3584 > stages[1] == stages[2]


def test_states_of_training() -> None:
    assert gib(weight_bytes(PARAMETERS, "bf16")) == pytest.approx(14.19, abs=0.005)
    assert weight_bytes(10, "32") == 40
    assert gradient_bytes(10, "bf16", "fp32") == 40
    assert gradient_bytes(10, "bf16", "bf16") == 20
    assert gradient_bytes(10, "32", "bf16") == 40  # single precision has no smaller gradient
    assert optimizer_bytes(10, "bf16", 1) == 120  # fp32 weights and two moments
    assert optimizer_bytes(10, "bf16", 8) == 15
    assert optimizer_bytes(10, "32", 1) == 80  # the weights are their own master
    assert optimizer_bytes(1, "bf16", 5) == 3  # the rank with the larger part


# One token of SMALL in bf16 (b 2, h 8, k 4, f 24, a 4): norms 2 x 32 = 64, attention 2 x (16 + 8) = 48, MLP 2 x 72 =
# 144, softmax 4 x 4 = 16, or unfused at 5 tokens 4 x 5 x 6 = 120.
LAYER = [
    ("none", True, Layout(), 64 + 48 + 144 + 16),
    ("none", False, Layout(), 64 + 48 + 144 + 120),
    ("selective", True, Layout(), 64 + 48 + 144),
    ("selective", False, Layout(), 64 + 48 + 144),
    ("full", True, Layout(), 16),
    ("none", True, Layout(tensor=2), 64 + (48 + 144 + 16) // 2),
    ("none", True, Layout(tensor=2, sequence_parallel=True), (64 + 48 + 144 + 16) // 2),
    ("full", True, Layout(tensor=2), 16),
    ("full", True, Layout(tensor=2, sequence_parallel=True), 8),
]


@pytest.mark.parametrize(("recompute", "fused", "layout", "expected"), LAYER)
def test_activations_of_a_layer(recompute: str, fused: bool, layout: Layout, expected: int) -> None:
    found = activations.layer_bytes(
        SMALL, layout, tokens=10, length=5, width=2, fused_attention=fused, recompute=recompute
    )
    assert found == 10 * expected


def test_activations_of_a_stage() -> None:
    """1F1B: stage 0 of 2 has two micro-batches of its two layers in flight, the last one, with the final norm, one."""

    def stage(number: int, recompute: str, micro_batches: int = 8, pipeline: int = 2) -> int:
        return activations.stage_bytes(
            SMALL,
            Layout(pipeline=pipeline),
            number,
            micro_batches=micro_batches,
            tokens=10,
            length=10,
            width=2,
            fused_attention=True,
            recompute=recompute,
        )

    layer, kept, norm = 2720, 160, 320
    assert stage(0, "none") == 2 * 2 * layer
    assert stage(0, "none", micro_batches=1) == 2 * layer
    assert stage(1, "none") == 2 * layer + norm
    assert stage(0, "full") == 2 * 2 * kept + layer
    assert stage(0, "full", pipeline=1) == 4 * kept + layer + norm


def test_activations_of_the_usual_layer() -> None:
    """Korthikanti et al. 2022, Table 2: 34 h bytes a token with selective recomputation, 2 h of them two dropouts'
    masks.

    With multi-head attention and f = 8h/3, which makes SwiGLU's three matrices as large as the usual two.
    """
    usual = Architecture(1, 24, 64, 4, 4, 32, qkv_bias=False, tied=True)
    found = activations.layer_bytes(
        usual, Layout(), tokens=1, length=1, width=2, fused_attention=True, recompute="selective"
    )
    assert found == (34 - 2) * 24


def test_logits() -> None:
    for tensor, expected in zip(TP, (18.6, 9.3, 4.64), strict=True):  # 32K tokens in fp32
        assert gib(logits.fp32_logits_bytes(152064, tensor, 32768)) == pytest.approx(expected, abs=0.05)
    assert logits.grpo_loss_bytes(32, 2, 1000) == 4 * 16 * (2 * 1000 + 512)
    assert logits.grpo_loss_bytes(32, 1, 100) == 4 * 32 * 300
    assert logits.sft_loss_bytes(32, 2, 1000, 2) == 16 * 1000 * 6
    assert logits.sft_loss_bytes(32, 2, 1000, 4) == 16 * 1000 * 4


KV_OF_A_SEQUENCE = [
    (16384, (0.875, 0.4375, 0.219)),
    (24576, (1.3125, 0.656, 0.328)),
    (32768, (1.75, 0.875, 0.4375)),
    (34816, (1.859, 0.930, 0.465)),
]


def test_kv_cache_of_a_token() -> None:
    assert [kv_cache.token_bytes(QWEN_7B, tensor, 28, 2) for tensor in TP] == [57344, 28672, 14336]
    assert kv_cache.token_bytes(QWEN_7B, 4, 7, 2) == 14336 // 4  # a pipeline stage of four


@pytest.mark.parametrize(("tokens", "expected"), KV_OF_A_SEQUENCE)
def test_kv_cache_of_a_sequence(tokens: int, expected: tuple[float, ...]) -> None:
    for tensor, size in zip(TP, expected, strict=True):
        per_token = kv_cache.token_bytes(QWEN_7B, tensor, 28, 2)
        assert gib(kv_cache.megatron_bytes(per_token, 1, tokens)) == pytest.approx(size, abs=0.0006)


def test_kv_cache_in_blocks() -> None:
    assert kv_cache.trtllm_bytes(10, 3, 128) == 3 * 128 * 10
    assert kv_cache.trtllm_bytes(10, 3, 129) == 3 * 256 * 10
    assert kv_cache.megatron_bytes(10, 3, 129) == 3 * 129 * 10


# tensor, gradients, GiB free, sequences of 26,624 and of 34,816 tokens: a device of 79.6 GiB with the weights, an
# engine's copy, gradients and 6 GiB of reserve; the optimizer waits in CPU memory
SEQUENCES = [
    (1, "bf16", 31.0, 21, 16),
    (1, "fp32", 16.8, 11, 9),
    (2, "bf16", 52.3, 73, 56),
    (2, "fp32", 45.2, 63, 48),
    (4, "bf16", 63.0, 177, 135),
    (4, "fp32", 59.4, 167, 127),
]


@pytest.mark.parametrize(("tensor", "gradients", "free", "shorter", "longer"), SEQUENCES)
def test_sequences_that_fit(tensor: int, gradients: str, free: float, shorter: int, longer: int) -> None:
    held = rank_parameters(QWEN_7B, Layout(tensor=tensor), 0)
    taken = weight_bytes(held, "bf16") + weight_bytes(engine_parameters(QWEN_7B, tensor), "bf16")
    taken += gradient_bytes(held, "bf16", gradients) + 6 * GIB
    left = 79.6 * GIB - taken
    assert gib(left) == pytest.approx(free, abs=0.06)
    per_token = kv_cache.token_bytes(QWEN_7B, tensor, 28, 2)
    assert left // (per_token * 26624) == shorter
    assert left // (per_token * 34816) == longer


def test_trtllm_buffers() -> None:
    assert [engines.trtllm_most_tokens(18_944, tensor, fused=1) for tensor in TP] == [113_359, 226_719, 453_438]
    assert gib(engines.mlp_buffer_bytes(QWEN_7B, 1, 8 * 34816)) == pytest.approx(9.8, abs=0.05)
    found = engines.trtllm_buffer_bytes(SMALL, 2, max_num_tokens=10, rows=3)
    assert found == 10 * 2 * (4 * 8 + 3 * 12) + 12 * 3 * 32


def test_megatron_engine_buffers() -> None:
    """Prefill makes all logits (a wide vocabulary) or a layer's MLP is wider; with many rows the draw is larger."""
    assert engines.megatron_bytes(SMALL, 2, tokens=100, rows=1, key_bytes=5, width=2) == 100 * (32 + 32 + 72)
    wide = Architecture(4, 8, 24, 4, 2, 1000, qkv_bias=True, tied=True)
    assert engines.megatron_bytes(wide, 2, tokens=100, rows=1, key_bytes=5, width=2) == 100 * (32 + 500 * 6)
    assert engines.megatron_bytes(wide, 2, tokens=1, rows=100, key_bytes=5, width=2) == 48 * 100 * 1000 + 5


def test_rows_of_a_prefill_pass() -> None:
    assert engines.prefill_rows(64, 2048) == 8
    assert engines.prefill_rows(3, 2048) == 3
    assert engines.prefill_rows(64, 20000) == 1


def test_the_table() -> None:
    phases = (
        Phase("training", {"weights": GIB, "logits": 2 * GIB}),
        Phase("rollouts", {"weights": GIB, "KV cache": GIB // 2}),
    )
    assert phases[0].total == 3 * GIB
    assert memory_rows(phases, 2.5) == [
        ["GiB of one GPU", "training", "rollouts"],
        ["weights", "1.00", "1.00"],
        ["logits", "2.00", "-"],
        ["KV cache", "-", "0.50"],
        ["total", "3.00", "1.50"],
        ["of", "2.50", "2.50"],
        ["left", "-0.50", "1.00"],
    ]
