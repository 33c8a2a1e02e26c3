"""``tensorrt_llm.layers.MoeConfig``: a dense model's has no experts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any


@dataclass
class MoeConfig:
    """Experts of a mixture."""

    class ExpertScaleNormalizationMode(IntEnum):
        NONE = 0
        RENORMALIZE = 1

    num_experts: int = 0
    shared_expert_intermediate_size: int = 0
    top_k: int = 0
    normalization_mode: ExpertScaleNormalizationMode = ExpertScaleNormalizationMode.RENORMALIZE
    sparse_mixer_epsilon: float = 0.01
    tp_mode: int = 0

    def validate(self) -> MoeConfig:
        if (self.num_experts == 0) != (self.top_k == 0):
            raise ValueError("Both or neither MoeConfig's num_experts and top_k must be set to 0")
        return self

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> MoeConfig:
        return cls(**config)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
