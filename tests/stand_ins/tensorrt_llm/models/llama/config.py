"""``tensorrt_llm.models.llama.config``: no bias on QKV unless it is asked for."""

from __future__ import annotations

from typing import Any

from tensorrt_llm.layers import MoeConfig
from tensorrt_llm.models.modeling_utils import PretrainedConfig


class LLaMAConfig(PretrainedConfig):
    """``attn_bias`` is false."""

    def __init__(
        self, *, mlp_bias: bool = False, attn_bias: bool = False, rotary_base: float = 10000.0,
        rotary_scaling: dict[str, Any] | None = None, moe: MoeConfig | dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.mlp_bias, self.attn_bias = mlp_bias, attn_bias
        self.rotary_base, self.rotary_scaling = rotary_base, rotary_scaling
        experts = {
            "num_experts": kwargs.pop("moe_num_experts", 0),
            "top_k": kwargs.pop("moe_top_k", 0),
            "normalization_mode": kwargs.pop("moe_normalization_mode", 1),
        }
        moe = moe if moe is not None else experts
        self.moe = (MoeConfig.from_dict(moe) if isinstance(moe, dict) else moe).validate()
        super().__init__(**kwargs)
