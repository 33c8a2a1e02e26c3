"""``tensorrt_llm.builder``: build configuration, engines, and the build itself, which fixes names and weights."""

from __future__ import annotations

import copy
import json
import os
import pickle
from dataclasses import dataclass, field
from typing import Any

import tensorrt_llm
from tensorrt_llm._common import check_max_num_tokens
from tensorrt_llm.logger import logger
from tensorrt_llm.lora_manager import LoraConfig
from tensorrt_llm.models.modeling_utils import PretrainedConfig, PretrainedModel, optimize_model
from tensorrt_llm.plugin import PluginConfig


@dataclass
class BuildConfig:
    """Sizes and options of an engine."""

    max_input_len: int = 1024
    max_seq_len: int | None = None
    opt_batch_size: int = 8
    max_batch_size: int = 2048
    max_beam_width: int = 1
    max_num_tokens: int = 8192
    opt_num_tokens: int | None = None
    max_prompt_embedding_table_size: int = 0
    gather_context_logits: bool = False
    gather_generation_logits: bool = False
    strongly_typed: bool = True
    use_refit: bool = False
    lora_config: LoraConfig = field(default_factory=LoraConfig)
    plugin_config: PluginConfig = field(default_factory=PluginConfig)

    @classmethod
    def from_dict(cls, config: dict[str, Any], plugin_config: PluginConfig | None = None) -> BuildConfig:
        """Keys that it does not know are ignored, as in the real one (``max_output_len``, ``builder_opt``)."""
        config = copy.deepcopy(config)
        plugin_config = plugin_config or PluginConfig()
        plugin_config.update_from_dict(config.pop("plugin_config", {}))
        lora_config = LoraConfig(**config.pop("lora_config", {}))
        required = ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "max_num_tokens")
        found = {name: config.pop(name) for name in (*required, "opt_num_tokens")}
        known = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        return cls(**found, **known, lora_config=lora_config, plugin_config=plugin_config)

    def to_dict(self) -> dict[str, Any]:
        output = copy.deepcopy(self.__dict__)
        return output | {"plugin_config": self.plugin_config.to_dict(), "lora_config": self.lora_config.to_dict()}


class EngineConfig:
    """Everything about an engine but its weights."""

    def __init__(self, pretrained_config: PretrainedConfig, build_config: BuildConfig, version: str) -> None:
        self.pretrained_config, self.build_config, self.version = pretrained_config, build_config, version

    @classmethod
    def from_json_str(cls, config_str: str) -> EngineConfig:
        config = json.loads(config_str)
        return cls(
            PretrainedConfig.from_dict(config["pretrained_config"]),
            BuildConfig.from_dict(config["build_config"]),
            config["version"],
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "pretrained_config": self.pretrained_config.to_dict(),
            "build_config": self.build_config.to_dict(),
        }


class Engine:
    """A serialised network of one rank."""

    def __init__(self, config: EngineConfig, engine: bytes, managed_weights: dict[str, Any] | None = None) -> None:
        self.config, self.engine = config, engine

    def save(self, engine_dir: str) -> None:
        os.makedirs(engine_dir, exist_ok=True)
        rank = self.config.pretrained_config.mapping.rank
        if rank == 0:
            with open(os.path.join(engine_dir, "config.json"), "w", encoding="utf-8") as file:
                json.dump(self.config.to_dict(), file)
        with open(os.path.join(engine_dir, f"rank{rank}.engine"), "wb") as file:
            file.write(self.engine)

    @classmethod
    def from_buffer(cls, engine_buffer: bytes, json_config_str: str, rank: int = 0) -> Engine:
        config = EngineConfig.from_json_str(json_config_str)
        config.pretrained_config.set_rank(rank)
        return cls(config, engine_buffer)


def build(model: PretrainedModel, build_config: BuildConfig) -> Engine:
    """Fuses the MLPs where ``use_fused_mlp`` says so, refit or not, and shares equal embedding tables."""
    build_config = copy.deepcopy(build_config)
    plugins = build_config.plugin_config
    plugins.dtype = model.config.dtype
    positions = model.config.max_position_embeddings
    if positions is not None and build_config.max_seq_len > positions:
        logger.warning(
            f"max_seq_len {build_config.max_seq_len} is larger than max_position_embeddings {positions} * rotary "
            "scaling 1, the model accuracy might be affected"
        )
    build_config.max_num_tokens, build_config.opt_num_tokens = check_max_num_tokens(
        max_num_tokens=build_config.max_num_tokens,
        opt_num_tokens=build_config.opt_num_tokens,
        max_batch_size=build_config.max_batch_size,
        max_input_len=build_config.max_input_len,
        max_seq_len=build_config.max_seq_len,
        max_beam_width=build_config.max_beam_width,
        remove_input_padding=plugins.remove_input_padding,
        enable_context_fmha=plugins.context_fmha,
        tokens_per_block=plugins.tokens_per_block,
        multiple_profiles=plugins.multiple_profiles,
    )
    model = optimize_model(model, share_embedding_table=True, use_fused_mlp=plugins.use_fused_mlp)
    content = {"weights": model.engine_weights(), "refittable": build_config.use_refit}
    return Engine(EngineConfig(model.config, build_config, tensorrt_llm.__version__), pickle.dumps(content))
