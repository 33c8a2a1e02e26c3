"""``tensorrt_llm.models.llama.model``."""

from tensorrt_llm.models.llama.config import LLaMAConfig
from tensorrt_llm.models.modeling_utils import PretrainedModel


class LLaMAForCausalLM(PretrainedModel):
    """The decoder as it is."""

    config_class = LLaMAConfig
