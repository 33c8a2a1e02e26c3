"""The forward pass of an engine in torch, from the weights as they lie in it now."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch.nn import functional

from tensorrt_llm.bindings import MpiComm


class Network:
    """Decoder with tensor parallelism: embedding and head cut by rows, attention by heads, MLP by channels."""

    def __init__(self, config: Any, engine: Any) -> None:
        self._config, self._engine = config, engine
        self._group = MpiComm.group if config.mapping.tp_size > 1 else None

    def next_logits(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """[R, V] float32 after the first ``lengths`` tokens of every row; columns beyond are ignored."""
        width = int(lengths.max())
        inputs = tokens[:, :width].clone()
        inputs[torch.arange(width) >= lengths[:, None]] = 0
        hidden = self._embedding(inputs)
        for layer in range(self._config.num_hidden_layers):
            name = f"transformer.layers.{layer}."
            hidden = hidden + self._attention(self._norm(hidden, f"{name}input_layernorm"), f"{name}attention.")
            hidden = hidden + self._mlp(self._norm(hidden, f"{name}post_layernorm"), f"{name}mlp.")
        last = self._norm(hidden[torch.arange(len(tokens)), lengths - 1], "transformer.ln_f")
        local = functional.linear(last, self._table("lm_head.weight")).float()
        if self._group is None:
            return local
        parts = [torch.empty_like(local) for _ in range(self._config.mapping.tp_size)]
        torch.distributed.all_gather(parts, local.contiguous(), group=self._group)
        return torch.cat(parts, dim=-1)

    def _weight(self, name: str) -> torch.Tensor:
        return self._engine.weights[name]

    def _table(self, name: str) -> torch.Tensor:
        """The embedding or the head, which may be one tensor under one name."""
        other = {"lm_head.weight": "transformer.vocab_embedding.weight"}.get(name, "lm_head.weight")
        return self._engine.weights.get(name, self._engine.weights.get(other))

    def _summed(self, partial: torch.Tensor) -> torch.Tensor:
        if self._group is not None:
            torch.distributed.all_reduce(partial, group=self._group)
        return partial

    def _embedding(self, tokens: torch.Tensor) -> torch.Tensor:
        table = self._table("transformer.vocab_embedding.weight")
        if self._group is None:
            return table[tokens]
        local = tokens - self._config.mapping.tp_rank * len(table)
        here = (local >= 0) & (local < len(table))
        return self._summed(table[local.clamp(0, len(table) - 1)] * here[..., None])

    def _norm(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        scale = hidden.float().square().mean(-1, keepdim=True).add(self._config.norm_epsilon).rsqrt()
        return (hidden.float() * scale).to(hidden.dtype) * self._weight(f"{name}.weight")

    def _attention(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        config = self._config
        bias = self._weight(f"{name}qkv.bias") if config.attn_bias else None
        qkv = functional.linear(hidden, self._weight(f"{name}qkv.weight"), bias)
        heads = config.num_attention_heads // config.mapping.tp_size
        groups = config.num_key_value_heads // config.mapping.tp_size
        rows, width = hidden.shape[:2]
        parts = qkv.view(rows, width, heads + 2 * groups, config.head_size).split([heads, groups, groups], dim=2)
        query, key, value = (part.transpose(1, 2) for part in parts)
        query, key = self._rotated(query), self._rotated(key)
        key, value = (part.repeat_interleave(heads // groups, dim=1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(rows, width, heads * config.head_size)
        return self._summed(functional.linear(mixed, self._weight(f"{name}dense.weight")))

    def _rotated(self, heads: torch.Tensor) -> torch.Tensor:
        """Beyond the end of the table its last row is used: wrong, and nothing says so."""
        table = self._weight("embed_positions_for_gpt_attention")
        angles = table[torch.arange(heads.size(2)).clamp(max=len(table) - 1)]
        cosine, sine = (part.repeat(1, 2) for part in (angles.cos(), angles.sin()))
        first, second = heads.chunk(2, dim=-1)
        return (heads * cosine + torch.cat([-second, first], dim=-1) * sine).to(heads.dtype)

    def _mlp(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        if f"{name}fused_fc.weight" in self._engine.weights:
            gate, inner = functional.linear(hidden, self._weight(f"{name}fused_fc.weight")).chunk(2, dim=-1)
        else:
            gate, inner = (functional.linear(hidden, self._weight(f"{name}{part}.weight")) for part in ("gate", "fc"))
        assert self._config.hidden_act == "silu", self._config.hidden_act
        return self._summed(functional.linear(functional.silu(inner) * gate, self._weight(f"{name}proj.weight")))
