"""Log-probabilities and entropy of the sampling distribution, over vocabulary-parallel logits.

For one position with logits a[v] over the valid vocabulary and sampling temperature T::

    z[v]       = a[v] / T
    log Z      = log sum over v of exp(z[v])
    log p(y)   = z[y] - log Z
    H          = log Z - sum over v of p[v] * z[v]                                    (nats)
    d log p(y) / d a[v] = (1[v = y] - p[v]) / T

The rollouts are drawn from softmax(logits / T), so the policy of AceReason-Nemotron-1.1 §3.2.1 is that distribution,
and H is its "temperature-adjusted entropy" (§4.5.2).

Everything is taken relative to the maximum m over the vocabulary, as (z - m) and log sum exp(z - m), never as z and
log Z themselves: at logits of 1e4 and T = 0.01 the latter two are 1e6, where float32 has steps of 0.06.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.autograd.function import once_differentiable

DEFAULT_CHUNK_TOKENS = 512
"""Positions worked on at a time: two float32 buffers of 512 x V/tp, 78 MB each for V = 152,064 and tp = 4."""

_UNDERFLOW = -1000.0
"""exp of this is 0 in float32 and float64; a finite stand-in for -∞, which times 0 would be NaN."""


def vocab_parallel_log_probs_and_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    temperature: float,
    group: torch.distributed.ProcessGroup | None,
    vocab_start: int,
    valid_vocab_size: int | None,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
) -> tuple[Tensor, Tensor]:
    """``log softmax(logits / temperature)`` at the targets, and the entropy of that softmax (equations: the module's).

    Vocabulary parallel: each rank of ``group`` holds the columns ``[vocab_start, vocab_start + V/tp)`` and all get the
    same result. Forward communicates two all-reduces of [B, S] and [3, B, S] numbers, backward nothing: each rank's
    columns need only the common maximum and sum. The incoming gradient must be the same on all ranks, as it is when
    they compute the same loss.

    Padding columns: embedding rows are padded (Qwen2.5: 151,665 tokens in 152,064 rows) and the sampler sets the logits
    beyond the tokenizer's vocabulary to -∞ before its softmax (NeMo's ``sample_sequence_batch``). With
    ``valid_vocab_size`` the softmax here runs over the same columns as the sampler's: padding has probability 0 and
    gradient 0. With None every column can be sampled.

    Precision: float32 whatever the logits' dtype; float64 logits stay float64 (gradient checks).

    Memory: positions are worked on in blocks of ``chunk_tokens``, two float32 buffers of ``chunk_tokens * V/tp`` at a
    time; kept for backward are the logits themselves and two numbers per position. Backward recomputes the softmax
    block by block into one buffer of the logits' shape and dtype, the gradient. ``logits`` may have any strides and
    must not be written to before backward (autograd would report it).

    Args:
        logits: [B, S, V/tp], finite, any floating dtype.
        targets: long [B, S], ids in ``[0, valid_vocab_size)``, at masked positions too (padding ids are such ids).
        temperature: of the sampler, above 0.
        group: tensor-parallel group; None for a single rank, which holds all columns.
        vocab_start: id of this rank's first column, ``rank * V/tp``.
        valid_vocab_size: ids from here on are padding rows that the sampler masks out.
        chunk_tokens: positions of a block, at least 1. Does not change the result.

    Returns:
        log-probs [B, S], with gradient to ``logits``, and entropy [B, S], without. Both float32 (float64 for float64).

    Raises:
        ValueError: shapes, temperature, chunk size, vocabulary bounds or a target id are not as above; the check of ids
            waits for the device once.
    """
    _check(logits, targets, temperature, chunk_tokens)
    columns = logits.shape[-1] * (1 if group is None else torch.distributed.get_world_size(group))
    if not 0 <= vocab_start <= columns - logits.shape[-1]:
        raise ValueError(f"vocab_start must be in [0, {columns - logits.shape[-1]}], found {vocab_start}")
    vocab_size = columns if valid_vocab_size is None else valid_vocab_size
    if not 0 < vocab_size <= columns:
        raise ValueError(f"valid_vocab_size must be in [1, {columns}], the columns of all ranks, found {vocab_size}")
    if targets.numel() > 0:
        lowest, highest = (int(bound) for bound in targets.aminmax())
        if lowest < 0 or highest >= vocab_size:
            raise ValueError(f"targets must be in [0, {vocab_size}), found ids from {lowest} to {highest}")
    apply: Callable[..., tuple[Tensor, Tensor]] = _VocabParallelLogProbs.apply  # torch leaves it untyped
    return apply(logits, targets, temperature, group, vocab_start, vocab_size, chunk_tokens)


def _check(logits: Tensor, targets: Tensor, temperature: float, chunk_tokens: int) -> None:
    if logits.ndim != 3 or not logits.is_floating_point() or targets.shape != logits.shape[:2]:
        raise ValueError(
            "logits must be floating [B, S, V/tp] and targets [B, S], "
            f"found {logits.dtype} {list(logits.shape)} and {list(targets.shape)}"
        )
    if targets.dtype != torch.long:
        raise ValueError(f"targets must be long, found {targets.dtype}")
    if not temperature > 0.0:
        raise ValueError(f"temperature must be above 0, found {temperature} (greedy decoding has no log-probs)")
    if chunk_tokens < 1:
        raise ValueError(f"chunk_tokens must be at least 1, found {chunk_tokens}")


class _VocabParallelLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        targets: Tensor,
        temperature: float,
        group: torch.distributed.ProcessGroup | None,
        vocab_start: int,
        vocab_size: int,
        chunk_tokens: int,
    ) -> tuple[Tensor, Tensor]:
        valid_columns = min(max(vocab_size - vocab_start, 0), logits.shape[-1])
        column, holds_target = _local_targets(targets, vocab_start, valid_columns)

        # This rank's share of each sum, relative to its own maximum: one pass over the logits, and communication that
        # does not depend on the number of blocks.
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        shape = targets.shape
        local_maximum = logits.new_full(shape, torch.finfo(dtype).min, dtype=dtype)
        sum_exp = logits.new_zeros(shape, dtype=dtype)  # sum of exp(z - m)
        sum_exp_z = logits.new_zeros(shape, dtype=dtype)  # sum of exp(z - m) * (z - m)
        target_z = logits.new_zeros(shape, dtype=dtype)
        if valid_columns > 0:
            for block in _blocks(shape, chunk_tokens):
                z = _scaled(logits, block, valid_columns, temperature, dtype)
                target_z[block] = z.gather(-1, column[block].unsqueeze(-1)).squeeze(-1)
                local_maximum[block], sum_exp[block], sum_exp_z[block] = _softmax_sums(z)
                del z  # before the next block's buffer
            target_z.masked_fill_(~holds_target, 0.0)

        maximum = local_maximum
        if group is not None:
            maximum = local_maximum.clone()
            torch.distributed.all_reduce(maximum, op=torch.distributed.ReduceOp.MAX, group=group)
            # From the rank's maximum to the common one: with z - m = (z - m_rank) + shift.
            shift = (local_maximum - maximum).clamp_(min=_UNDERFLOW)
            sum_exp_z = shift.exp() * (sum_exp_z + shift * sum_exp)
            sum_exp = shift.exp() * sum_exp
            sums = torch.stack((sum_exp, sum_exp_z, target_z))
            torch.distributed.all_reduce(sums, group=group)
            sum_exp, sum_exp_z, target_z = sums.unbind()

        log_sum_exp = sum_exp.log()
        log_probs = (target_z - maximum) - log_sum_exp
        entropy = log_sum_exp - sum_exp_z / sum_exp

        ctx.save_for_backward(logits, column, holds_target, maximum, log_sum_exp)
        ctx.settings = (temperature, valid_columns, chunk_tokens)
        ctx.mark_non_differentiable(entropy)
        return log_probs, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_log_probs: Tensor, _grad_entropy: Tensor) -> tuple[Tensor | None, ...]:
        logits, column, holds_target, maximum, log_sum_exp = ctx.saved_tensors
        temperature, valid_columns, chunk_tokens = ctx.settings

        gradient = torch.empty_like(logits)
        gradient[..., valid_columns:] = 0.0
        if valid_columns > 0:
            scale = grad_log_probs / temperature
            for block in _blocks(column.shape, chunk_tokens):
                z = _scaled(logits, block, valid_columns, temperature, maximum.dtype)
                # (z - m) first: z - (m + log Z) would lose log Z beside a large m.
                z.sub_(maximum[block].unsqueeze(-1)).sub_(log_sum_exp[block].unsqueeze(-1))
                block_gradient = z.exp_().mul_(-scale[block].unsqueeze(-1))
                at_target = (scale[block] * holds_target[block]).unsqueeze(-1)
                block_gradient.scatter_add_(-1, column[block].unsqueeze(-1), at_target)
                gradient[block][..., :valid_columns] = block_gradient
                del z, block_gradient  # one buffer; gone before the next block's
        return gradient, None, None, None, None, None, None


def _local_targets(targets: Tensor, vocab_start: int, valid_columns: int) -> tuple[Tensor, Tensor]:
    """This rank's column of each target, [B, S], and whether the target is on this rank; column 0 where it is not."""
    column = targets - vocab_start
    holds_target = (column >= 0) & (column < valid_columns)
    return column.masked_fill_(~holds_target, 0), holds_target


def _softmax_sums(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Over the last dimension: m = max z, sum of exp(z - m), sum of exp(z - m) * (z - m). Overwrites ``z``."""
    maximum = z.amax(dim=-1)
    z.sub_(maximum.unsqueeze(-1))
    weight = z.exp()
    sum_exp = weight.sum(dim=-1)
    return maximum, sum_exp, weight.mul_(z).sum(dim=-1)


def _blocks(shape: torch.Size, chunk_tokens: int) -> Iterator[tuple[slice, slice]]:
    """Cuts [B, S] into blocks of at most ``chunk_tokens`` positions: views of the logits whatever their strides."""
    batch, length = shape
    rows = min(batch, chunk_tokens)
    positions = max(1, chunk_tokens // max(rows, 1))
    for row in range(0, batch, max(rows, 1)):
        for position in range(0, length, positions):
            yield slice(row, row + rows), slice(position, position + positions)


def _scaled(
    logits: Tensor, block: tuple[slice, slice], valid_columns: int, temperature: float, dtype: torch.dtype
) -> Tensor:
    """A fresh buffer with z = logits / temperature of one block, [rows, positions, valid columns]."""
    return logits[block][..., :valid_columns].to(dtype, copy=True).div_(temperature)
