"""``tensorrt_llm.models.modeling_utils``: configuration, parameters, loading, and the passes before a build."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch

from tensorrt_llm._utils import pad_vocab_size, str_dtype_to_torch
from tensorrt_llm.layers import MoeConfig
from tensorrt_llm.logger import logger
from tensorrt_llm.mapping import Mapping

CONSTANTS = ("embed_positions", "rotary_inv_freq", "embed_positions_for_gpt_attention")
"""Buffers of ``layers/attention.py``, ``create_attention_const_params``: named weights that no checkpoint has."""


class PretrainedConfig:
    """``modeling_utils.PretrainedConfig``: keyword-only, the first five without a default."""

    def __init__(
        self, *, architecture: str, dtype: str, hidden_size: int, num_hidden_layers: int, num_attention_heads: int,
        vocab_size: int | None = None, hidden_act: str = "gelu", logits_dtype: str = "float32",
        norm_epsilon: float = 1e-5, position_embedding_type: str = "learned_absolute",
        max_position_embeddings: int | None = None, rotary_embedding_dim: int | None = None,
        num_key_value_heads: int | None = None, intermediate_size: int | None = None,
        mapping: Mapping | dict[str, Any] | None = None, quantization: dict[str, Any] | None = None,
        use_parallel_embedding: bool = False, embedding_sharding_dim: int = 0, head_size: int | None = None,
        qk_layernorm: bool = False, runtime_defaults: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.architecture, self.dtype, self.vocab_size = architecture, dtype, vocab_size
        self.hidden_size, self.num_hidden_layers = hidden_size, num_hidden_layers
        self.num_attention_heads, self.hidden_act = num_attention_heads, hidden_act
        self.logits_dtype, self.norm_epsilon, self.runtime_defaults = logits_dtype, norm_epsilon, runtime_defaults
        self.position_embedding_type = position_embedding_type
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.intermediate_size = intermediate_size or 4 * hidden_size
        self.max_position_embeddings = max_position_embeddings
        self.mapping = Mapping.from_dict(mapping) if isinstance(mapping, dict) else mapping or Mapping()
        self.quantization = quantization
        self.use_parallel_embedding, self.embedding_sharding_dim = use_parallel_embedding, embedding_sharding_dim
        self.head_size = head_size or hidden_size // num_attention_heads
        self.qk_layernorm = qk_layernorm
        self.rotary_embedding_dim = rotary_embedding_dim or int(self.head_size * kwargs.get("rotary_pct", 1.0))
        for key, value in kwargs.items():
            setattr(self, key, value)

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> PretrainedConfig:
        from tensorrt_llm.models import MODEL_MAP

        return MODEL_MAP[config["architecture"]].config_class(**config)

    def to_dict(self) -> dict[str, Any]:
        output = copy.deepcopy(self.__dict__)
        output["mapping"] = self.mapping.to_dict()
        output["mapping"].pop("rank")
        if isinstance(output.get("moe"), MoeConfig):
            output["moe"] = output["moe"].to_dict()
        return output

    def set_rank(self, rank: int) -> None:
        self.mapping.rank = rank


class Parameter:
    """A tensor that a network needs; its value comes later."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, value: torch.Tensor | None = None) -> None:
        self.shape, self.dtype, self._value = shape, dtype, value

    def is_inited(self) -> bool:
        return self._value is not None

    @property
    def value(self) -> torch.Tensor:
        assert self._value is not None
        return self._value

    @value.setter
    def value(self, tensor: torch.Tensor) -> None:
        assert tensor.shape == self.shape, f"Updated: {tuple(tensor.shape)}, original: {self.shape}"
        self._value = tensor.detach().clone().to(self.dtype)


class PretrainedModel:
    """A decoder of gated MLPs, RMSNorm and grouped-query attention; ``attn_bias`` says whether QKV has a bias."""

    config_class: ClassVar[type[PretrainedConfig]]

    def __init__(self, config: PretrainedConfig) -> None:
        self.config = config
        dtype, tensor = str_dtype_to_torch(config.dtype), config.mapping.tp_size
        assert config.num_key_value_heads % tensor == 0, f"{config.num_key_value_heads} key/value heads, TP={tensor}"
        hidden, inner = config.hidden_size, config.intermediate_size // tensor
        heads = (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_size // tensor
        own = config.num_attention_heads * config.head_size // tensor
        rows = config.vocab_size // tensor if config.use_parallel_embedding else config.vocab_size
        shapes: dict[str, tuple[int, ...]] = {"transformer.vocab_embedding.weight": (rows, hidden)}
        for layer in range(config.num_hidden_layers):
            name = f"transformer.layers.{layer}."
            shapes |= {f"{name}input_layernorm.weight": (hidden,), f"{name}post_layernorm.weight": (hidden,)}
            shapes |= {f"{name}attention.qkv.weight": (heads, hidden), f"{name}attention.dense.weight": (hidden, own)}
            shapes |= {f"{name}attention.qkv.bias": (heads,)} if config.attn_bias else {}
            shapes |= {f"{name}mlp.fc.weight": (inner, hidden), f"{name}mlp.gate.weight": (inner, hidden)}
            shapes[f"{name}mlp.proj.weight"] = (hidden, inner)
        shapes |= {"transformer.ln_f.weight": (hidden,)}
        shapes["lm_head.weight"] = (pad_vocab_size(config.vocab_size, tensor) // tensor, hidden)
        self.parameters = {name: Parameter(shape, dtype) for name, shape in shapes.items()}
        # The table of angles has max_position_embeddings rows; the other two constants are there by name.
        pairs = torch.arange(0, config.rotary_embedding_dim, 2) / config.rotary_embedding_dim
        inverse = float(config.rotary_base) ** -pairs.double()
        table = torch.arange(config.max_position_embeddings).double()[:, None] * inverse
        for name, value in zip(CONSTANTS, (table[:1], inverse, table), strict=True):
            self.parameters[name] = Parameter(tuple(value.shape), torch.float32, value.float())

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> PretrainedModel:
        return cls(config)

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return list(self.parameters.items())

    def load(self, weights: dict[str, torch.Tensor], from_pruned: bool = False) -> None:
        """A weight that the network has no place for is only warned of."""
        required = set()
        for name, parameter in self.named_parameters():
            if parameter.is_inited():
                continue
            shared = name.endswith("lm_head.weight") and any(key.endswith("vocab_embedding.weight") for key in weights)
            if name not in weights and shared:
                continue
            required.add(name)
        provided = set(weights)
        if not required.issubset(provided):
            raise RuntimeError(f"Required but not provided tensors:{required.difference(provided)}")
        if not provided.issubset(required):
            logger.warning(f"Provided but not required tensors: {provided.difference(required)}")
        for name, parameter in self.named_parameters():
            if name in provided:
                parameter.value = weights[name]

    def engine_weights(self) -> dict[str, torch.Tensor]:
        """Name -> value; of two names of one parameter the last one stays."""
        names = {id(parameter): name for name, parameter in self.named_parameters()}
        return {name: parameter.value for name, parameter in self.named_parameters() if names[id(parameter)] == name}


def optimize_model(
    model: PretrainedModel, use_parallel_embedding: bool = False, share_embedding_table: bool = False,
    use_ootb_moe: bool = False, use_fused_mlp: bool = False,
) -> PretrainedModel:  # fmt: skip
    """``use_parallel_embedding`` took effect when the model was made."""
    if share_embedding_table:
        _share_embedding(model)
    if use_fused_mlp:
        _fuse_gate_mlp(model)
    return model


def _share_embedding(model: PretrainedModel) -> None:
    embedding, head = model.parameters["transformer.vocab_embedding.weight"], model.parameters["lm_head.weight"]
    if embedding.shape != head.shape or not embedding.is_inited():
        return
    if head.is_inited() and (head.value - embedding.value).abs().max() > 1e-6:
        return
    model.parameters["lm_head.weight"] = embedding


def _fuse_gate_mlp(model: PretrainedModel) -> None:
    for layer in range(model.config.num_hidden_layers):
        name = f"transformer.layers.{layer}.mlp."
        parts = [model.parameters.pop(f"{name}{part}.weight") for part in ("gate", "fc")]
        value = torch.cat([part.value for part in parts])
        model.parameters[f"{name}fused_fc.weight"] = Parameter(tuple(value.shape), parts[0].dtype, value)


def preprocess_weights(weights: dict[str, torch.Tensor], model_config: PretrainedConfig, from_pruned: bool = False):
    """Nothing is quantised, so nothing changes."""
    return weights
