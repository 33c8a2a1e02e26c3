"""``tensorrt_llm.runtime``."""

from tensorrt_llm.runtime.generation import ModelConfig, SamplingConfig
from tensorrt_llm.runtime.model_runner import ModelRunner


class ModelRunnerCpp:
    """The C++ runtime: nothing here uses it."""


__all__ = ["ModelConfig", "ModelRunner", "ModelRunnerCpp", "SamplingConfig"]
