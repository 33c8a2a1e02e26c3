"""Qwen2 for Megatron-core's TensorRT-LLM export, which knows no Qwen.

Under ``ModelType.llama`` the exporter makes a ``LLaMAConfig``, whose network has no bias on QKV: TensorRT-LLM then
warns "Provided but not required tensors" and goes on without it. Names and shapes of all other weights are equal, so
the two tables that the exporter looks up are pointed at TensorRT-LLM's Qwen while an engine is built.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def qwen2_as_llama() -> Iterator[None]:
    """``ModelType.llama`` means Qwen2 inside the block.

    ``trtllm_helper`` holds the same dictionaries, so they are changed in place. ``qwen_type`` is a further keyword of
    ``QWenConfig`` that TensorRT-LLM's own loader sets and Megatron-core does not.
    """
    from megatron.core.export.model_type import ModelType
    from megatron.core.export.trtllm.trt_model_config import TRT_MODEL_CONFIG
    from megatron.core.export.trtllm.trt_model_type import TRT_MODEL_TYPE_STRING
    from tensorrt_llm.models.qwen.config import QWenConfig

    before = TRT_MODEL_CONFIG[ModelType.llama], TRT_MODEL_TYPE_STRING[ModelType.llama]
    TRT_MODEL_CONFIG[ModelType.llama] = functools.partial(QWenConfig, qwen_type="qwen2")
    TRT_MODEL_TYPE_STRING[ModelType.llama] = "QWenForCausalLM"
    try:
        yield
    finally:
        TRT_MODEL_CONFIG[ModelType.llama], TRT_MODEL_TYPE_STRING[ModelType.llama] = before
