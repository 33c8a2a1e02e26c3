"""Tokens drawn so that a response depends on its seed, its prompt and the weights alone.

A random stream shared by the rows of a batch would make every response depend on its neighbours: on the batch size and
on how many replicas share the prompts. Here each row and position has a random number of its own, a hash of both
(SplitMix64, Steele et al. 2014), so a stage that goes on with another number of replicas draws the same rollouts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch

_BITS = 64


def row_seeds(seed: int, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """[R] int64: hashes of the seed, a row's prompt and how many rows before have the same one."""
    seen: Counter[tuple[int, ...]] = Counter()
    found = []
    for prompt in map(tuple, prompts):
        digest = hashlib.sha256(f"{seed}/{seen[prompt]}/{prompt}".encode()).digest()
        found.append(int.from_bytes(digest[:8], "big", signed=True))
        seen[prompt] += 1
    return torch.tensor(found, dtype=torch.int64)


def uniforms(seeds: torch.Tensor, position: int) -> torch.Tensor:
    """[R] float64 in [0, 1): output ``position`` of the SplitMix64 stream of each seed.

    Args:
        seeds: [R] int64.
        position: from 0.
    """
    state = seeds + _signed((position + 1) * 0x9E3779B97F4A7C15)
    state = (state ^ _shifted(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shifted(state, 27)) * _signed(0x94D049BB133111EB)
    state = state ^ _shifted(state, 31)
    return _shifted(state, 11).double() * 2.0**-53


def draw(logits: torch.Tensor, *, temperature: float, top_p: float, uniform: torch.Tensor) -> torch.Tensor:
    """Sample one token a row from ``softmax(logits / temperature)`` cut to the nucleus of mass ``top_p``.

    Args:
        logits: [R, V] float32.
        temperature: 0 is greedy.
        top_p: the smallest set of most probable tokens whose mass reaches ``top_p`` stays; 1 keeps all.
        uniform: [R] float64 in [0, 1), looked up in the cumulative distribution.

    Returns:
        [R] int64.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    if top_p == 1:
        return _inverse(probabilities, uniform)
    ordered, index = probabilities.sort(dim=-1, descending=True)
    # A token stays while the mass before it is below top_p, so the first one always stays.
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
    return index.gather(1, _inverse(ordered, uniform).unsqueeze(1)).squeeze(1)


def _inverse(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """[R] the first index whose cumulative weight exceeds ``uniform`` times the sum; never one of weight 0."""
    cumulative = weights.double().cumsum(-1)
    # Rounding may bring a target up to the sum itself, and past the last index.
    target = (uniform * cumulative[:, -1]).minimum(torch.nextafter(cumulative[:, -1], cumulative.new_zeros(())))
    return torch.searchsorted(cumulative, target.unsqueeze(1), right=True).squeeze(1)


def _shifted(value: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical shift to the right; torch's keeps the sign."""
    return (value >> bits) & ((1 << (_BITS - bits)) - 1)


def _signed(value: int) -> int:
    """The 64-bit integer with the same bits, as torch has them."""
    value %= 1 << _BITS
    return value - (1 << _BITS) if value >= 1 << (_BITS - 1) else value
