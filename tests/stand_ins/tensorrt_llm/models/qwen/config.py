"""``tensorrt_llm.models.qwen.config``: a bias on QKV; ``qwen_type`` comes in as one of the further keywords."""

from __future__ import annotations

from typing import Any

from tensorrt_llm.models.llama.config import LLaMAConfig


class QWenConfig(LLaMAConfig):
    """``attn_bias`` is true."""

    def __init__(
        self, *, mlp_bias: bool = False, attn_bias: bool = True, rotary_base: float = 10000.0,
        rotary_scaling: dict[str, Any] | None = None, num_labels: int = 1, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.num_labels = num_labels
        super().__init__(
            mlp_bias=mlp_bias, attn_bias=attn_bias, rotary_base=rotary_base, rotary_scaling=rotary_scaling, **kwargs
        )
