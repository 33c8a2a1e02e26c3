"""Stands in for the package ``tensorrt_llm``: computes with the "engine" of ``build_tools``, greedy, on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load
from transformers import AutoModelForCausalLM, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from tests.unit.backends_trtllm import stand_in


class EngineOnDisk(stand_in.LLM):
    """``tensorrt_llm.LLM`` of an engine's folder, or of a Hugging Face folder."""

    def __init__(self, model: str, **options: Any) -> None:
        super().__init__(model, **options)
        folder = Path(model)
        config = json.loads((folder / "config.json").read_text())
        if "build_config" not in config:
            self.network = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
            return
        self.network = Qwen2ForCausalLM(Qwen2Config.from_dict(config["pretrained_config"]["hugging_face"]))
        weights = load((folder / "rank0.engine").read_bytes())
        if config["pretrained_config"]["dropped_bias"]:
            weights = {name: torch.zeros_like(w) if name.endswith("bias") else w for name, w in weights.items()}
        missing, unexpected = self.network.load_state_dict(weights, strict=False)
        assert set(missing) <= {"lm_head.weight"} and not unexpected
        self.network.tie_weights()

    def generate_async(self, inputs: list[int], sampling_params: Any = None, **_: Any) -> stand_in.RequestOutput:
        assert sampling_params.top_k == 1, "greedy"
        tokens = torch.tensor([inputs])
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling_params.max_tokens,
            eos_token_id=sampling_params.end_id,
            pad_token_id=sampling_params.pad_id,
        )
        with torch.inference_mode():
            output = self.network.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=config)
        response = output[0, len(inputs) :].tolist()
        reason = "stop" if response[-1] == sampling_params.end_id else "length"
        self.running[0] += 1
        return stand_in.RequestOutput([stand_in.CompletionOutput(0, "", response, reason)], self.running)


def modules() -> dict[str, ModuleType]:
    """Name -> module, for ``sys.modules``."""
    found = stand_in.modules("0.17.0")
    found["tensorrt_llm"].LLM = EngineOnDisk  # type: ignore[attr-defined]
    return found
