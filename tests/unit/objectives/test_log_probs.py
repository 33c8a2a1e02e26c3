"""Log-probs and entropy on one rank: by hand, against torch's log_softmax in float64, at the extremes, in memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recipes.objectives.log_probs import vocab_parallel_log_probs_and_entropy
from tests.unit.objectives.live_memory import LiveMemory


def _compute(
    logits: Tensor, targets: Tensor, temperature: float = 1.0, valid: int | None = None, chunk: int = 512
) -> tuple[Tensor, Tensor]:
    return vocab_parallel_log_probs_and_entropy(
        logits, targets, temperature=temperature, group=None, vocab_start=0, valid_vocab_size=valid, chunk_tokens=chunk
    )


def _plain(
    logits: Tensor, targets: Tensor, temperature: float = 1.0, valid: int | None = None
) -> tuple[Tensor, Tensor]:
    """The definition, by torch's own log_softmax in float64 over the valid columns."""
    log_p = torch.log_softmax(logits[..., :valid].double() / temperature, dim=-1)
    return log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1), -(log_p.exp() * log_p).sum(dim=-1)


def _random(shape: tuple[int, int, int], seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = (4 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    return logits, torch.randint(shape[-1], shape[:2], generator=generator)


LOGITS = torch.tensor([[[math.log(1), math.log(2), math.log(5)]]])


def test_by_hand_at_temperature_one() -> None:
    # p = (1, 2, 5)/8. log p(1) = ln(1/4). H = ln(8)/8 + ln(4)/4 + 5 ln(8/5)/8 = 0.259930 + 0.346574 + 0.293752.
    log_probs, entropy = _compute(LOGITS, torch.tensor([[1]]))
    assert log_probs.dtype == entropy.dtype == torch.float32
    assert log_probs.item() == pytest.approx(-1.386294, abs=1e-6)
    assert entropy.item() == pytest.approx(0.900256, abs=1e-6)


def test_by_hand_at_temperature_one_half() -> None:
    # exp(ln(a) / 0.5) = a²: p = (1, 4, 25)/30. log p(2) = ln(5/6). d/d logits = 2 * ((0, 0, 1) - p).
    # H = ln(30)/30 + 4 ln(7.5)/30 + 25 ln(1.2)/30 = 0.113373 + 0.268654 + 0.151935.
    logits = LOGITS.clone().requires_grad_()
    log_probs, entropy = _compute(logits, torch.tensor([[2]]), temperature=0.5)
    log_probs.sum().backward()
    assert log_probs.item() == pytest.approx(-0.182322, abs=1e-6)
    assert entropy.item() == pytest.approx(0.533962, abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.tensor([[[-2 / 30, -8 / 30, 10 / 30]]]))


def test_by_hand_with_a_padding_column() -> None:
    # Without the last column p = (1, 2)/3: log p(1) = ln(2/3), H = ln(3) - 2 ln(2)/3; the padding gets no gradient.
    logits = LOGITS.clone().requires_grad_()
    log_probs, entropy = _compute(logits, torch.tensor([[1]]), valid=2)
    log_probs.sum().backward()
    assert log_probs.item() == pytest.approx(-0.405465, abs=1e-6)
    assert entropy.item() == pytest.approx(0.636514, abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.tensor([[[-1 / 3, 1 / 3, 0.0]]]))


def test_uniform_logits_have_the_highest_entropy() -> None:
    log_probs, entropy = _compute(torch.full((1, 1, 64), 3.5), torch.tensor([[17]]), temperature=0.85)
    assert entropy.item() == pytest.approx(math.log(64), abs=1e-6)
    assert log_probs.item() == pytest.approx(-math.log(64), abs=1e-6)


@pytest.mark.parametrize("valid", [None, 29])
@pytest.mark.parametrize("temperature", [1.0, 0.85, 0.6])
@pytest.mark.parametrize(
    ("dtype", "value_tolerance", "gradient_tolerance"),
    [
        pytest.param(torch.float64, 1e-12, 1e-12, id="float64"),
        pytest.param(torch.float32, 2e-6, 1e-6, id="float32"),
        # The value is computed in float32 from the bfloat16 logits; the gradient is rounded once, to 8 bits.
        pytest.param(torch.bfloat16, 2e-6, 2**-8, id="bfloat16"),
    ],
)
def test_value_and_gradient_equal_log_softmax(
    dtype: torch.dtype, value_tolerance: float, gradient_tolerance: float, temperature: float, valid: int | None
) -> None:
    logits, targets = _random((3, 5, 37), dtype=dtype)
    targets = targets % (valid or 37)
    upstream = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    ours = logits.clone().requires_grad_()
    log_probs, entropy = _compute(ours, targets, temperature, valid, chunk=4)
    (log_probs * upstream).sum().backward()

    reference = logits.double().requires_grad_()
    expected_log_probs, expected_entropy = _plain(reference, targets, temperature, valid)
    (expected_log_probs * upstream).sum().backward()

    assert log_probs.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert ours.grad is not None and ours.grad.dtype == dtype and reference.grad is not None
    torch.testing.assert_close(log_probs.double(), expected_log_probs, rtol=value_tolerance, atol=value_tolerance)
    torch.testing.assert_close(entropy.double(), expected_entropy, rtol=value_tolerance, atol=value_tolerance)
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=gradient_tolerance, atol=1e-6)


def test_gradcheck() -> None:
    logits, targets = _random((2, 3, 7), dtype=torch.float64)
    logits.requires_grad_()
    targets = targets % 6
    assert torch.autograd.gradcheck(lambda x: _compute(x, targets, 0.7, valid=6, chunk=2)[0], (logits,))


def test_entropy_carries_no_gradient() -> None:
    logits, targets = _random((1, 2, 8))
    log_probs, entropy = _compute(logits.requires_grad_(), targets)
    assert log_probs.requires_grad
    assert not entropy.requires_grad


@settings(deadline=None, max_examples=40)
@given(shape=st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(1, 9)), chunk=st.integers(1, 30))
def test_chunks_do_not_change_the_result(shape: tuple[int, int, int], chunk: int) -> None:
    logits, targets = _random(shape, dtype=torch.float64)
    whole, cut = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected, found = (_compute(whole, targets, 0.85, chunk=10_000), _compute(cut, targets, 0.85, chunk=chunk))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    expected[0].square().sum().backward()
    found[0].square().sum().backward()
    torch.testing.assert_close(cut.grad, whole.grad, rtol=1e-13, atol=1e-13)


def test_logits_of_any_strides() -> None:
    # Megatron's own layout is [S, B, V].
    logits, targets = _random((4, 3, 11), dtype=torch.float64)
    inner = logits.clone().requires_grad_()
    log_probs, entropy = _compute(inner.transpose(0, 1), targets.T, 0.85, chunk=5)
    log_probs.square().sum().backward()
    reference = logits.clone().requires_grad_()
    expected_log_probs, expected_entropy = _plain(reference, targets, 0.85)
    expected_log_probs.square().sum().backward()
    torch.testing.assert_close(log_probs, expected_log_probs.T)
    torch.testing.assert_close(entropy, expected_entropy.T)
    torch.testing.assert_close(inner.grad, reference.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_at_temperature_one_hundredth(dtype: torch.dtype) -> None:
    # z = ±1e6: two tokens share the top, p = 1/2 each, so ln(1/2) and H = ln 2; the bottom one is 2e6 below.
    logits = torch.tensor([[[1e4, 1e4, -1e4], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]]], dtype=dtype).requires_grad_()
    log_probs, entropy = _compute(logits, torch.tensor([[0, 2, 1]]), temperature=0.01)
    log_probs.sum().backward()
    gap = 200 * logits.detach()[0, 0, 0].item()  # bfloat16 rounds 1e4 to 9984
    assert log_probs[0].tolist() == pytest.approx([-math.log(2), -gap - math.log(2), -math.log(3)], rel=1e-6)
    assert entropy[0].tolist() == pytest.approx([math.log(2), math.log(2), math.log(3)], rel=1e-6)
    expected = torch.tensor([[[50.0, -50.0, 0.0], [-50.0, -50.0, 100.0], [-100 / 3, 200 / 3, -100 / 3]]])
    torch.testing.assert_close(logits.grad, expected.to(dtype))


def test_a_certain_token_has_log_prob_and_entropy_zero() -> None:
    logits = torch.tensor([[[1e4, 0.0, -1e4]]])
    log_probs, entropy = _compute(logits, torch.tensor([[0]]), temperature=0.01)
    assert log_probs.item() == 0.0
    assert entropy.item() == 0.0


def test_memory_is_a_gradient_buffer_and_small_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    """[1, 1024, 16384] in bfloat16: 32 MiB of logits. Bytes of live tensors are counted, so the bound is exact."""
    shape, chunk = (1, 1024, 16384), 64
    logits = torch.randn(shape, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.randint(shape[-1], shape[:2], generator=torch.Generator().manual_seed(1))

    with LiveMemory(logits) as forward:
        log_probs, _ = _compute(logits, targets, temperature=0.85, chunk=chunk)
    with LiveMemory(logits) as backward:
        log_probs.sum().backward()
    assert logits.grad is not None
    logits.grad = None
    with LiveMemory(logits) as plain:
        log_p = torch.log_softmax(logits.float() / 0.85, dim=-1)
        entropy = -(log_p.exp() * log_p).sum(dim=-1).detach()
        log_p.gather(-1, targets.unsqueeze(-1)).sum().backward()
    assert entropy.shape == shape[:2]

    block = 4 * chunk * shape[-1]
    per_position = 100 * shape[1]
    gradient = 2 * logits.numel()
    with capsys.disabled():
        mib = [round(peak / 2**20, 1) for peak in (forward.peak, backward.peak, plain.peak)]
        print(f"\nlive MiB beside 32 of logits: forward {mib[0]}, backward {mib[1]}, plain torch {mib[2]} ", end="")
    assert 2 * block <= forward.peak <= 2 * block + per_position
    assert gradient + block <= backward.peak <= gradient + block + per_position


@pytest.mark.parametrize(
    ("logits", "targets", "arguments", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2).long(), {}, r"logits must be floating \[B, S, V/tp\].*found .*\[2, 4\]"),
        (torch.zeros(1, 2, 4), torch.zeros(1, 3).long(), {}, r"\[1, 2, 4\] and \[1, 3\]"),
        (torch.zeros(1, 2, 4), torch.zeros(1, 2), {}, "targets must be long, found torch.float32"),
        (torch.zeros(1, 1, 4), torch.tensor([[4]]), {}, r"targets must be in \[0, 4\), found ids from 4 to 4"),
        (torch.zeros(1, 1, 4), torch.tensor([[3]]), {"valid_vocab_size": 3}, r"targets must be in \[0, 3\)"),
        (torch.zeros(1, 1, 4), torch.tensor([[-1]]), {}, "found ids from -1 to -1"),
        (torch.zeros(1, 1, 4), torch.tensor([[0]]), {"temperature": 0.0}, "temperature must be above 0, found 0.0"),
        (torch.zeros(1, 1, 4), torch.tensor([[0]]), {"temperature": math.nan}, "must be above 0, found nan"),
        (torch.zeros(1, 1, 4), torch.tensor([[0]]), {"valid_vocab_size": 5}, r"valid_vocab_size must be in \[1, 4\]"),
        (torch.zeros(1, 1, 4), torch.tensor([[0]]), {"vocab_start": 4}, r"vocab_start must be in \[0, 0\], found 4"),
        (torch.zeros(1, 1, 4), torch.tensor([[0]]), {"chunk_tokens": 0}, "chunk_tokens must be at least 1, found 0"),
    ],
)
def test_wrong_input_is_named(logits: Tensor, targets: Tensor, arguments: dict[str, Any], message: str) -> None:
    defaults: dict[str, Any] = {"temperature": 1.0, "group": None, "vocab_start": 0, "valid_vocab_size": None}
    with pytest.raises(ValueError, match=message):
        vocab_parallel_log_probs_and_entropy(logits, targets, **{**defaults, **arguments})
