"""``tensorrt_llm.models.qwen.model``: asks its configuration which Qwen it is."""

from tensorrt_llm.models.modeling_utils import PretrainedModel
from tensorrt_llm.models.qwen.config import QWenConfig


class QWenForCausalLM(PretrainedModel):
    """Qwen2 is the decoder with a bias on QKV."""

    config_class = QWenConfig

    def __init__(self, config: QWenConfig) -> None:
        assert config.qwen_type == "qwen2", f"only qwen2 is stood in for, not {config.qwen_type}"
        super().__init__(config)
