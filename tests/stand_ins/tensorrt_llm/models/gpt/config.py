"""``tensorrt_llm.models.gpt.config``: only named."""

from tensorrt_llm.models.modeling_utils import PretrainedConfig


class GPTConfig(PretrainedConfig):
    """Only named."""
