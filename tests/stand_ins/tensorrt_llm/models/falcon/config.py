"""``tensorrt_llm.models.falcon.config``: only named."""

from tensorrt_llm.models.modeling_utils import PretrainedConfig


class FalconConfig(PretrainedConfig):
    """Only named."""
