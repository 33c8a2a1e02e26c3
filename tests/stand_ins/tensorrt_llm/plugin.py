"""``tensorrt_llm.plugin.PluginConfig``: the options that matter here. Fusing the gated MLP is the default."""

from __future__ import annotations

from typing import Any


class PluginConfig:
    """Options of a build; an unknown one is an error."""

    def __init__(self) -> None:
        self.dtype = "float16"
        self.gpt_attention_plugin: str | None = "auto"
        self.gemm_plugin: str | None = None
        self.nccl_plugin: str | None = "auto"
        self.lora_plugin: str | None = None
        self.context_fmha = True
        self.paged_kv_cache: bool | None = None
        self.remove_input_padding = True
        self.reduce_fusion = False
        self.tokens_per_block = 64
        self.use_paged_context_fmha = False
        self.multiple_profiles = False
        self.use_fused_mlp = True
        self._known = True

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "_known") and not hasattr(self, name):
            raise AttributeError(f"PluginConfig has no attribute {name}")
        object.__setattr__(self, name, value)

    def enable_paged_kv_cache(self, tokens_per_block: int = 64) -> PluginConfig:
        self.paged_kv_cache, self.tokens_per_block = True, tokens_per_block
        return self

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def update_from_dict(self, config: dict[str, Any]) -> None:
        for name, value in config.items():
            setattr(self, name, value)
