"""Which tensors of Megatron-core's optimizer move; a GPU is stood in for by a copy at another address."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from recipes.backends.aligner.optimizer_offload import move_optimizer_states


def optimizer() -> SimpleNamespace:
    weights = torch.nn.Parameter(torch.ones(3))
    adam = torch.optim.AdamW([weights])
    weights.sum().backward()
    adam.step()
    one = SimpleNamespace(optimizer=adam, shard_fp32_from_float16_groups=[[torch.full((5,), 7.0)]])
    return SimpleNamespace(mcore_optimizer=SimpleNamespace(chained_optimizers=[one]), weights=weights)


def test_moments_and_master_weights_move_and_keep_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    found = optimizer()
    one = found.mcore_optimizer.chained_optimizers[0]
    state, master = one.optimizer.state[found.weights], one.shard_fp32_from_float16_groups[0][0]
    before = {name: (value, value.clone(), value.data_ptr()) for name, value in {**state, "master": master}.items()}
    own = found.weights.data_ptr()
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self.clone())
    # Two moments of 3, a step counter and 5 master weights, 4 bytes each.
    assert move_optimizer_states(found, "elsewhere") == 4 * (3 + 3 + 1 + 5)
    for name, (value, copy, address) in before.items():
        assert torch.equal(value, copy) and value.data_ptr() != address, name
    assert found.weights.data_ptr() == own


def test_nothing_moves_to_where_it_is_and_nothing_without_an_optimizer() -> None:
    assert move_optimizer_states(optimizer(), "cpu") == 0
    assert move_optimizer_states(None, "cpu") == 0
