"""``tensorrt_llm.models.gpt``."""
