"""Vocabulary-parallel log-probs and the whole GRPO loss over gloo: the same numbers as on one process.

Every rank compares its part with the result that it computes alone, from the same seed; a difference raises there.
"""

from __future__ import annotations

import operator
from functools import reduce
from itertools import product
from typing import Literal, NamedTuple

import torch
import torch.distributed
from torch import Tensor

from recipes.objectives.advantages import group_advantages
from recipes.objectives.log_probs import vocab_parallel_log_probs_and_entropy
from recipes.objectives.policy_loss import grpo_loss
from recipes.objectives.response_mask import next_token_targets, response_mask
from recipes.objectives.summaries import masked_tally, mean_tally, sum_over_ranks
from recipes.objectives.token_weights import token_weights
from tests.distributed.gloo import run_on_gloo

COLUMNS = 16
"""Rows of the padded embedding."""


def test_two_ranks_equal_the_full_vocabulary() -> None:
    assert run_on_gloo(2, _check_log_probs) == [_CASES, _CASES]


def test_four_ranks_equal_the_full_vocabulary_and_grpo_equals_equation_one() -> None:
    """TP 4, of which the last rank holds only padding; then TP 2 x DP 2 through the whole loss, see _check_grpo."""
    assert run_on_gloo(4, _check_log_probs_then_grpo) == [_CASES + _GRPO_CASES] * 4


_CASES = 3 * 3 * 3
_GRPO_CASES = 2 * 2 * 2


def _check_log_probs_then_grpo(rank: int, world_size: int) -> int:
    return _check_log_probs(rank, world_size) + _check_grpo(rank, world_size)


def _check_log_probs(rank: int, world_size: int) -> int:
    """Value, entropy and gradient of every case; returns how many were compared."""
    group = torch.distributed.group.WORLD
    width = COLUMNS // world_size
    tolerances = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-6}
    compared = 0
    for dtype, valid, (temperature, scale) in product(
        tolerances, (None, 11, 1), ((1.0, 4.0), (0.85, 4.0), (0.01, 1e4))
    ):
        generator = torch.Generator().manual_seed(compared)
        logits = (scale * torch.randn(3, 5, COLUMNS, generator=generator, dtype=torch.float64)).to(dtype)
        targets = torch.randint(valid or COLUMNS, (3, 5), generator=generator)
        upstream = torch.randn(3, 5, generator=generator)

        full = logits.clone().requires_grad_()
        shard = logits[..., rank * width : (rank + 1) * width].clone().requires_grad_()
        expected, expected_entropy = vocab_parallel_log_probs_and_entropy(
            full, targets, temperature=temperature, group=None, vocab_start=0, valid_vocab_size=valid
        )
        found, entropy = vocab_parallel_log_probs_and_entropy(
            shard,
            targets,
            temperature=temperature,
            group=group,
            vocab_start=rank * width,
            valid_vocab_size=valid,
            chunk_tokens=4,
        )
        (expected * upstream).sum().backward()
        (found * upstream).sum().backward()

        tolerance = tolerances[dtype]
        assert torch.isfinite(found).all() and torch.isfinite(entropy).all()
        _assert_close(found, expected, rtol=tolerance, atol=tolerance)
        _assert_close(entropy, expected_entropy, rtol=tolerance, atol=tolerance)
        assert full.grad is not None
        _assert_close(
            shard.grad,
            full.grad[..., rank * width : (rank + 1) * width],
            rtol=2**-8 if dtype == torch.bfloat16 else tolerance,
            atol=tolerance / temperature,
        )
        compared += 1
    return compared


def _assert_close(found: Tensor | None, expected: Tensor, rtol: float, atol: float) -> None:
    """Like torch.testing.assert_close, whose first call imports seconds' worth of torch in every spawned rank."""
    assert found is not None and found.shape == expected.shape and found.dtype == expected.dtype
    difference = (found - expected).abs()
    allowed = atol + rtol * expected.abs()
    assert bool((difference <= allowed).all()), f"found {found}, expected {expected}, difference {difference}"


# Six prompts of four rollouts. Prompt 1 is unsolved, prompt 2 all truncated, prompt 3 keeps one rollout.
REWARDS = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 0]]).double()
TRUNCATED = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()
PROMPTS, G, S, HIDDEN, VALID, TEMPERATURE = 6, 4, 9, 5, 13, 0.85


class _Inputs(NamedTuple):
    """A policy of one linear layer over fixed hidden states, and the rollouts of the global batch."""

    hidden: Tensor
    output_layer: Tensor
    tokens: Tensor
    mask: Tensor


class _Share(NamedTuple):
    """What one rank of TP 2 x DP 2 holds: ranks 0, 1 and 2, 3 are the tensor-parallel pairs."""

    tensor_group: torch.distributed.ProcessGroup
    data_group: torch.distributed.ProcessGroup
    columns: slice
    rows: slice
    groups: slice


def _check_grpo(rank: int, world_size: int) -> int:
    """TP 2 x DP 2: loss, entropy and the output layer's gradient equal Eq. 1 written out in float64 on whole logits."""
    inputs, share = _inputs(), _share(rank)
    p = torch.softmax((inputs.hidden @ inputs.output_layer)[..., :VALID] / TEMPERATURE, dim=-1)
    expected_entropy = -(p * p.log()).sum(dim=-1)[inputs.mask].mean().item()
    compared = 0
    normalizations: tuple[Literal["group", "batch"], ...] = ("group", "batch")
    for normalization, filtering in product(normalizations, (True, False)):
        whole = inputs.output_layer.clone().requires_grad_()
        expected = _equation_one(inputs._replace(output_layer=whole), normalization, filtering)
        expected.backward()
        assert whole.grad is not None and whole.grad[:, :VALID].abs().max() > 1e-3
        for micro_batch in (3, 12):
            loss, gradient, entropy = _update_of_one_rank(inputs, share, normalization, filtering, micro_batch)
            # Weights and advantages are float32: 1e-6 is their rounding.
            _assert_close(loss, expected.detach(), rtol=1e-6, atol=1e-7)
            _assert_close(gradient, whole.grad[:, share.columns], rtol=1e-6, atol=1e-7)
            assert abs(entropy - expected_entropy) < 1e-12
            compared += 1
    return compared


def _update_of_one_rank(
    inputs: _Inputs, share: _Share, normalization: Literal["group", "batch"], filtering: bool, micro_batch: int
) -> tuple[Tensor, Tensor, float]:
    """As training does it: advantages and weights of the rank's whole groups, then micro-batches, then one sum."""
    batch = group_advantages(
        REWARDS[share.groups], TRUNCATED[share.groups], overlong_filtering=filtering, overlong_in_group_statistics=False
    )
    mask, advantages = inputs.mask[share.rows], batch.advantages.flatten()
    in_loss = mask & batch.kept.flatten().unsqueeze(1)
    tokens_global = sum_over_ranks({"tokens": mean_tally(in_loss)}, share.data_group)["tokens"].total
    weights = token_weights(
        in_loss,
        torch.arange(PROMPTS // 2).repeat_interleave(G),
        PROMPTS,
        normalization=normalization,
        total_tokens_global=int(tokens_global),
    )
    shard = inputs.output_layer[:, share.columns].clone().requires_grad_()
    losses, entropies = [], []
    for start in range(0, len(mask), micro_batch):
        part = slice(start, start + micro_batch)
        log_probs, entropy = vocab_parallel_log_probs_and_entropy(
            inputs.hidden[share.rows][part] @ shard,
            next_token_targets(inputs.tokens)[share.rows][part],
            temperature=TEMPERATURE,
            group=share.tensor_group,
            vocab_start=share.columns.start,
            valid_vocab_size=VALID,
            chunk_tokens=5,
        )
        loss, terms = grpo_loss(log_probs, advantages[part], weights[part])
        loss.backward()
        losses.append(terms.policy)
        entropies.append(masked_tally(entropy, mask[part]))

    summed = torch.stack(losses).sum()
    assert shard.grad is not None
    torch.distributed.all_reduce(summed, group=share.data_group)
    torch.distributed.all_reduce(shard.grad, group=share.data_group)
    mean_entropy = sum_over_ranks({"entropy": reduce(operator.add, entropies)}, share.data_group)["entropy"].mean()
    return summed, shard.grad, mean_entropy


def _inputs() -> _Inputs:
    generator = torch.Generator().manual_seed(7)
    prompt_lengths = torch.arange(1, 4).repeat(2).repeat_interleave(G)
    total_lengths = prompt_lengths + torch.randint(1, S - 3, (PROMPTS * G,), generator=generator)
    return _Inputs(
        hidden=torch.randn(PROMPTS * G, S - 1, HIDDEN, generator=generator, dtype=torch.float64),
        output_layer=torch.randn(HIDDEN, COLUMNS, generator=generator, dtype=torch.float64),
        tokens=torch.randint(VALID, (PROMPTS * G, S), generator=generator),
        mask=response_mask(prompt_lengths, total_lengths, S),
    )


def _share(rank: int) -> _Share:
    tensor_groups = [torch.distributed.new_group([0, 1]), torch.distributed.new_group([2, 3])]
    data_groups = [torch.distributed.new_group([0, 2]), torch.distributed.new_group([1, 3])]
    data_rank, tensor_rank = divmod(rank, 2)
    prompts, columns = PROMPTS // 2, COLUMNS // 2
    return _Share(
        tensor_group=tensor_groups[data_rank],
        data_group=data_groups[tensor_rank],
        columns=slice(tensor_rank * columns, (tensor_rank + 1) * columns),
        rows=slice(data_rank * prompts * G, (data_rank + 1) * prompts * G),
        groups=slice(data_rank * prompts, (data_rank + 1) * prompts),
    )


def _equation_one(inputs: _Inputs, normalization: str, filtering: bool) -> Tensor:
    """-J of Eq. 1 with Eq. 2, prompt by prompt and rollout by rollout, sharing no code with recipes.objectives."""
    log_p = torch.log_softmax((inputs.hidden @ inputs.output_layer)[..., :VALID] / TEMPERATURE, dim=-1)
    sums, token_counts = [], []
    for prompt in range(PROMPTS):
        kept = [i for i in range(G) if not (filtering and TRUNCATED[prompt, i])]
        scores = REWARDS[prompt, kept] * ~TRUNCATED[prompt, kept]
        prompt_sum, prompt_tokens = torch.zeros((), dtype=torch.float64), 0
        for i, score in zip(kept, scores, strict=True):
            row = prompt * G + i
            positions = inputs.mask[row].nonzero().flatten().tolist()
            prompt_tokens += len(positions)
            if len(kept) < 2 or scores.min() == scores.max():
                continue
            advantage = (score - scores.mean()) / (scores.std() + 1e-6)
            for t in positions:
                chosen = log_p[row, t, inputs.tokens[row, t + 1]]
                prompt_sum = prompt_sum + advantage * torch.exp(chosen - chosen.detach())
        sums.append(prompt_sum)
        token_counts.append(prompt_tokens)
    if normalization == "batch":
        return -torch.stack(sums).sum() / sum(token_counts)
    return -torch.stack([s / max(n, 1) for s, n in zip(sums, token_counts, strict=True)]).mean()
