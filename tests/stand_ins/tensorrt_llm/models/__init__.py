"""``tensorrt_llm.models``: two real architectures, and the names of the others that Megatron-core's export imports."""

from tensorrt_llm.models.falcon import config as falcon_config  # noqa: F401
from tensorrt_llm.models.gpt import config as gpt_config  # noqa: F401
from tensorrt_llm.models.llama.config import LLaMAConfig
from tensorrt_llm.models.llama.model import LLaMAForCausalLM
from tensorrt_llm.models.modeling_utils import PretrainedConfig, PretrainedModel
from tensorrt_llm.models.qwen.model import QWenForCausalLM

__all__ = ["MODEL_MAP", "GemmaConfig", "LLaMAConfig", "LLaMAForCausalLM", "PretrainedConfig", "QWenForCausalLM"]


class GemmaConfig(PretrainedConfig):
    """Only named."""


MODEL_MAP: dict[str, type[PretrainedModel]] = {
    "LlamaForCausalLM": LLaMAForCausalLM,
    "QWenForCausalLM": QWenForCausalLM,
    "Qwen2ForCausalLM": QWenForCausalLM,
}
