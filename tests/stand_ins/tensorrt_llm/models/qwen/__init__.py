"""``tensorrt_llm.models.qwen``."""
