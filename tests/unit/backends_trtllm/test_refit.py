"""The model's weights under the engine's names: nothing may be left over on either side."""

from __future__ import annotations

import pytest
import torch

from recipes.backends.trtllm.refit import CONSTANTS, EMBEDDING, HEAD, EngineWeightsError, weights_by_engine_name

LAYER = "transformer.layers.0.mlp."


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1)


WEIGHTS = {
    f"{LAYER}fc.weight": tensor(1, 2),
    f"{LAYER}gate.weight": tensor(3, 4),
    EMBEDDING: tensor(5),
    HEAD: tensor(6),
}


def test_equal_names() -> None:
    found = weights_by_engine_name(WEIGHTS, [*WEIGHTS, *CONSTANTS])
    assert found == WEIGHTS


def test_a_fused_mlp_is_gate_then_fc() -> None:
    found = weights_by_engine_name(WEIGHTS, [f"{LAYER}fused_fc.weight", EMBEDDING, HEAD])
    assert found[f"{LAYER}fused_fc.weight"].flatten().tolist() == [3, 4, 1, 2]
    assert found.keys() == {f"{LAYER}fused_fc.weight", EMBEDDING, HEAD}


@pytest.mark.parametrize("kept", [EMBEDDING, HEAD])
def test_one_table_for_embedding_and_head(kept: str) -> None:
    other = HEAD if kept == EMBEDDING else EMBEDDING
    assert weights_by_engine_name({other: tensor(7)}, [kept]) == {kept: tensor(7)}
    assert weights_by_engine_name({EMBEDDING: tensor(7), HEAD: tensor(7)}, [kept]).keys() == {kept}
    both = weights_by_engine_name({other: tensor(7)}, [EMBEDDING, HEAD])
    assert torch.equal(both[EMBEDDING], both[HEAD])


@pytest.mark.parametrize("kept", [EMBEDDING, HEAD])
def test_two_tables_do_not_fit_into_one(kept: str) -> None:
    with pytest.raises(EngineWeightsError, match="no place for"):
        weights_by_engine_name({EMBEDDING: tensor(7), HEAD: tensor(8)}, [kept])


def test_both_sides_of_what_does_not_meet() -> None:
    weights = {"transformer.layers.0.attention.qkv.bias": tensor(1), "a": tensor(2)}
    with pytest.raises(EngineWeightsError) as error:
        weights_by_engine_name(weights, ["a", "transformer.ln_f.weight", f"{LAYER}fused_fc.weight"])
    text = str(error.value)
    assert "no place for ['transformer.layers.0.attention.qkv.bias']" in text
    assert "no value for ['transformer.layers.0.mlp.fused_fc.weight', 'transformer.ln_f.weight']" in text
