"""Names and layouts of Hugging Face and Megatron-core, both directions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.checkpoints.hf_config import Architecture
from recipes.checkpoints.hf_names import hf_shapes, hf_to_megatron, megatron_to_hf, merge, parameters, split


def _architecture(
    family: str = "qwen2", *, groups: int = 2, heads: int = 4, head_dim: int = 1, layers: int = 2, ffn: int = 3,
    vocab: int = 5, tied: bool = False,
) -> Architecture:  # fmt: skip
    return Architecture(family, layers, heads * head_dim, ffn, heads, groups, vocab, 16, 1e4, 1e-6, tied)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    groups = draw(st.integers(1, 4))
    return _architecture(
        draw(st.sampled_from(["qwen2", "llama"])),
        groups=groups,
        heads=groups * draw(st.integers(1, 4)),
        head_dim=draw(st.integers(1, 5)),
        layers=draw(st.integers(1, 3)),
        ffn=draw(st.integers(1, 7)),
        vocab=draw(st.integers(1, 9)),
        tied=draw(st.booleans()),
    )


def _state(architecture: Architecture) -> dict[str, torch.Tensor]:
    """Every element of the model a different number."""
    state, start = {}, 0
    for name, shape in hf_shapes(architecture).items():
        size = torch.Size(shape).numel()
        state[name] = torch.arange(start, start + size).reshape(shape)
        start += size
    return state


@given(architectures(), st.sampled_from(["local", "transformer_engine"]))
@settings(deadline=None, max_examples=60)
def test_both_directions_are_exact_inverses(architecture: Architecture, naming: str) -> None:
    state = _state(architecture)
    megatron = hf_to_megatron(architecture, state, naming)
    assert sum(tensor.numel() for tensor in megatron.values()) == sum(tensor.numel() for tensor in state.values())
    back = megatron_to_hf(architecture, megatron, naming)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name
        assert back[name].is_contiguous()
    again = hf_to_megatron(architecture, back, naming)
    assert all(torch.equal(again[name], tensor) for name, tensor in megatron.items())


@given(architectures())
@settings(deadline=None, max_examples=60)
def test_shapes_are_those_of_the_merged_tensors(architecture: Architecture) -> None:
    state = _state(architecture)
    for parameter in parameters(architecture):
        merged = merge(parameter, [state[name] for name, _ in parameter.hf_shapes], architecture)
        assert tuple(merged.shape) == parameter.shape
        assert len(split(parameter, merged, architecture)) == len(parameter.hf_shapes)


@given(architectures())
@settings(deadline=None, max_examples=60)
def test_every_name_and_checkpoint_place_is_used_once(architecture: Architecture) -> None:
    listed = list(parameters(architecture))
    assert len({(p.checkpoint_key, p.layer) for p in listed}) == len(listed)
    for naming in ("local", "transformer_engine"):
        assert len({p.module_name(naming) for p in listed}) == len(listed)


def test_qkv_goes_group_by_group() -> None:
    """Four heads of two channels, two groups: [q0 q1 k0 v0 | q2 q3 k1 v1], worked by hand."""
    architecture = _architecture(head_dim=2, layers=1)
    state = _state(architecture)
    prefix = "model.layers.0.self_attn"
    state[f"{prefix}.q_proj.bias"] = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8])
    state[f"{prefix}.k_proj.bias"] = torch.tensor([10, 20, 30, 40])
    state[f"{prefix}.v_proj.bias"] = torch.tensor([100, 200, 300, 400])
    merged = hf_to_megatron(architecture, state)["decoder.layers.0.self_attention.linear_qkv.bias"]
    assert merged.tolist() == [1, 2, 3, 4, 10, 20, 100, 200, 5, 6, 7, 8, 30, 40, 300, 400]


def test_gate_lies_above_up() -> None:
    architecture = _architecture(layers=1)
    state = _state(architecture)
    merged = hf_to_megatron(architecture, state)["decoder.layers.0.mlp.linear_fc1.weight"]
    expected = [state[f"model.layers.0.mlp.{name}.weight"] for name in ("gate_proj", "up_proj")]
    assert torch.equal(merged, torch.cat(expected))


LAYER_NAMES = {
    "local": ("input_layernorm.weight", "pre_mlp_layernorm.weight"),
    "transformer_engine": ("self_attention.linear_qkv.layer_norm_weight", "mlp.linear_fc1.layer_norm_weight"),
}


@pytest.mark.parametrize("naming", LAYER_NAMES)
def test_layer_norms_carry_the_name_of_the_layer_spec(naming: str) -> None:
    state = _state(_architecture(layers=2))
    megatron = hf_to_megatron(_architecture(layers=2), state, naming)
    attention, mlp = LAYER_NAMES[naming]
    assert torch.equal(megatron[f"decoder.layers.1.{attention}"], state["model.layers.1.input_layernorm.weight"])
    assert torch.equal(megatron[f"decoder.layers.1.{mlp}"], state["model.layers.1.post_attention_layernorm.weight"])


def test_a_checkpoint_stacks_layers_and_names_norms_as_transformer_engine_does() -> None:
    keys = [(p.checkpoint_key, p.layer) for p in parameters(_architecture(layers=1))]
    assert keys == [
        ("embedding.word_embeddings.weight", None),
        ("decoder.layers.self_attention.linear_qkv.layer_norm_weight", 0),
        ("decoder.layers.self_attention.linear_qkv.weight", 0),
        ("decoder.layers.self_attention.linear_qkv.bias", 0),
        ("decoder.layers.self_attention.linear_proj.weight", 0),
        ("decoder.layers.mlp.linear_fc1.layer_norm_weight", 0),
        ("decoder.layers.mlp.linear_fc1.weight", 0),
        ("decoder.layers.mlp.linear_fc2.weight", 0),
        ("decoder.final_layernorm.weight", None),
        ("output_layer.weight", None),
    ]


def test_llama_has_no_qkv_bias_and_a_tied_model_no_output_layer() -> None:
    names = {p.checkpoint_key for p in parameters(_architecture("llama", tied=True))}
    assert not any("bias" in name for name in names)
    assert "output_layer.weight" not in names
    assert "lm_head.weight" not in hf_shapes(_architecture("llama", tied=True))
    assert "lm_head.weight" in hf_shapes(_architecture("llama"))


@pytest.mark.parametrize("family", ["qwen2", "llama"])
@pytest.mark.parametrize("tied", [False, True])
def test_names_and_shapes_are_those_of_transformers(family: str, tied: bool) -> None:
    import transformers

    architecture = _architecture(family, groups=2, heads=4, head_dim=2, tied=tied)
    names = {"qwen2": "Qwen2", "llama": "Llama"}
    config = getattr(transformers, f"{names[family]}Config")(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        intermediate_size=architecture.ffn_hidden_size,
        num_hidden_layers=architecture.num_layers,
        num_attention_heads=architecture.num_attention_heads,
        num_key_value_heads=architecture.num_query_groups,
        tie_word_embeddings=tied,
        pad_token_id=None,
    )
    network = getattr(transformers, f"{names[family]}ForCausalLM")(config)
    expected = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    assert hf_shapes(architecture) == expected
