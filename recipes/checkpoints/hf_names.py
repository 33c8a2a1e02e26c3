"""Hugging Face <-> Megatron-core: names and shapes of every parameter of a dense Qwen2 or Llama model.

Three tensors differ in layout, the others in name only:

    linear_qkv   per query group [q ... q, k, v], so that tensor parallelism cuts between groups; Hugging Face has
                 q_proj, k_proj, v_proj
    linear_fc1   [gate; up]; Hugging Face has gate_proj, up_proj
    output_layer absent when the embedding is tied

A layer norm that Transformer Engine fuses into the next linear layer is named after that layer, in a module as in a
distributed checkpoint; in a plain ("local") module it stands alone. ``Parameter`` knows both names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from recipes.checkpoints.hf_config import Architecture

Layout = Literal["same", "qkv", "gate_up"]
Naming = Literal["local", "transformer_engine"]

_FUSED_NORMS = {
    "input_layernorm.weight": "self_attention.linear_qkv.layer_norm_weight",
    "pre_mlp_layernorm.weight": "mlp.linear_fc1.layer_norm_weight",
}
"""Local name -> Transformer Engine and checkpoint name, below ``decoder.layers.N.``."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One Megatron parameter, unsharded, and the Hugging Face tensors that it is made of."""

    name: str
    """``decoder.layers.{layer}.`` left away when ``layer`` is set; local naming, as ``input_layernorm.weight``."""
    layer: int | None
    """0-based decoder layer, None outside the decoder layers."""
    layout: Layout
    hf_shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """Hugging Face name and shape of each part, in the order of ``merge`` and ``split``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the Megatron parameter of one layer."""
        _, first = self.hf_shapes[0]
        return (sum(shape[0] for _, shape in self.hf_shapes), *first[1:])

    @property
    def checkpoint_key(self) -> str:
        """Key in a Megatron distributed checkpoint, where the decoder's layers are stacked along a new axis 0."""
        return self.name if self.layer is None else f"decoder.layers.{_FUSED_NORMS.get(self.name, self.name)}"

    def module_name(self, naming: Naming) -> str:
        """Name in the ``state_dict`` of an unsharded ``GPTModel``."""
        if self.layer is None:
            return self.name
        name = self.name if naming == "local" else _FUSED_NORMS.get(self.name, self.name)
        return f"decoder.layers.{self.layer}.{name}"


def parameters(architecture: Architecture) -> Iterator[Parameter]:
    """Every parameter of the model, in the order of the forward pass."""
    hidden, ffn, vocab = architecture.hidden_size, architecture.ffn_hidden_size, architecture.vocab_size
    kv_rows = architecture.num_query_groups * architecture.head_dim
    qkv_rows = (("q_proj", hidden), ("k_proj", kv_rows), ("v_proj", kv_rows))

    def same(name: str, hf_name: str, *shape: int, layer: int | None = None) -> Parameter:
        return Parameter(name, layer, "same", ((hf_name, shape),))

    yield same("embedding.word_embeddings.weight", "model.embed_tokens.weight", vocab, hidden)
    for layer in range(architecture.num_layers):
        hf = f"model.layers.{layer}"
        yield same("input_layernorm.weight", f"{hf}.input_layernorm.weight", hidden, layer=layer)
        weights = tuple((f"{hf}.self_attn.{part}.weight", (rows, hidden)) for part, rows in qkv_rows)
        yield Parameter("self_attention.linear_qkv.weight", layer, "qkv", weights)
        if architecture.qkv_bias:
            biases = tuple((f"{hf}.self_attn.{part}.bias", (rows,)) for part, rows in qkv_rows)
            yield Parameter("self_attention.linear_qkv.bias", layer, "qkv", biases)
        yield same("self_attention.linear_proj.weight", f"{hf}.self_attn.o_proj.weight", hidden, hidden, layer=layer)
        yield same("pre_mlp_layernorm.weight", f"{hf}.post_attention_layernorm.weight", hidden, layer=layer)
        gate_up = tuple((f"{hf}.mlp.{part}.weight", (ffn, hidden)) for part in ("gate_proj", "up_proj"))
        yield Parameter("mlp.linear_fc1.weight", layer, "gate_up", gate_up)
        yield same("mlp.linear_fc2.weight", f"{hf}.mlp.down_proj.weight", hidden, ffn, layer=layer)
    yield same("decoder.final_layernorm.weight", "model.norm.weight", hidden)
    if not architecture.tie_word_embeddings:
        yield same("output_layer.weight", "lm_head.weight", vocab, hidden)


def hf_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every Hugging Face tensor of the model."""
    return {name: shape for parameter in parameters(architecture) for name, shape in parameter.hf_shapes}


def merge(parameter: Parameter, parts: Sequence[Tensor], architecture: Architecture) -> Tensor:
    """Hugging Face tensors, in the order of ``parameter.hf_shapes``, as one Megatron parameter of the same dtype."""
    if parameter.layout == "same":
        return parts[0]
    if parameter.layout == "gate_up":
        return torch.cat(tuple(parts))
    groups, rest = architecture.num_query_groups, parts[0].shape[1:]
    grouped = [part.reshape(groups, -1, *rest) for part in parts]  # [groups, heads of the group * head_dim, ...]
    return torch.cat(grouped, dim=1).reshape(-1, *rest)


def split(parameter: Parameter, tensor: Tensor, architecture: Architecture) -> tuple[Tensor, ...]:
    """Inverse of ``merge``; every part is contiguous."""
    if parameter.layout == "same":
        return (tensor.contiguous(),)
    if parameter.layout == "gate_up":
        return tuple(part.contiguous() for part in tensor.chunk(2))
    groups, rest = architecture.num_query_groups, tensor.shape[1:]
    rows = [shape[0] // groups for _, shape in parameter.hf_shapes]  # of one group: its queries, its key, its value
    grouped = tensor.reshape(groups, sum(rows), *rest)
    return tuple(part.reshape(-1, *rest).contiguous() for part in grouped.split(rows, dim=1))


def hf_to_megatron(
    architecture: Architecture, state: Mapping[str, Tensor], naming: Naming = "local"
) -> dict[str, Tensor]:
    """A whole Hugging Face state dict under the names of an unsharded ``GPTModel``; a tied ``lm_head`` is left out."""
    return {
        parameter.module_name(naming): merge(parameter, [state[name] for name, _ in parameter.hf_shapes], architecture)
        for parameter in parameters(architecture)
    }


def megatron_to_hf(
    architecture: Architecture, state: Mapping[str, Tensor], naming: Naming = "local"
) -> dict[str, Tensor]:
    """Inverse of ``hf_to_megatron``."""
    hf_state: dict[str, Tensor] = {}
    for parameter in parameters(architecture):
        parts = split(parameter, state[parameter.module_name(naming)], architecture)
        hf_state |= {name: part for (name, _), part in zip(parameter.hf_shapes, parts, strict=True)}
    return hf_state
