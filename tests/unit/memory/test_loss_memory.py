"""What ``grpo_loss_bytes`` says is what the loss really allocates, forward and backward, counted tensor by tensor."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recipes.memory import logits
from recipes.objectives.log_probs import DEFAULT_CHUNK_TOKENS, vocab_parallel_log_probs_and_entropy

TOKENS, VOCAB, HIDDEN = 1024, 1000, 16


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages that operations made and that are still there, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._made(tensor.untyped_storage())
        self.peak = max(self.peak, self.live)
        return result

    def _made(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self.live += size
            self._seen[key] = weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.live -= size
        del self._seen[key]


def test_the_peak_of_the_loss() -> None:
    """bf16 logits of a matrix product, turned to fp32 and cut by a position as in the actor."""
    hidden = torch.randn(1, TOKENS, HIDDEN, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(VOCAB, HIDDEN, dtype=torch.bfloat16, requires_grad=True)
    targets = torch.randint(0, VOCAB, (1, TOKENS - 1))
    with LiveBytes() as memory:
        made = torch.nn.functional.linear(hidden, weight).float()
        log_probs, _ = vocab_parallel_log_probs_and_entropy(
            made[:, :-1], targets, temperature=0.85, group=None, vocab_start=0, valid_vocab_size=VOCAB
        )
        loss = log_probs.sum()
        del made, log_probs
        loss.backward()
    assert hidden.grad is not None
    assert abs(memory.peak / logits.grpo_loss_bytes(VOCAB, 1, TOKENS) - 1) < 0.02


def test_the_chunk_is_that_of_the_loss() -> None:
    assert logits.LOSS_CHUNK_TOKENS == DEFAULT_CHUNK_TOKENS
