"""``tensorrt_llm.models.llama``."""
