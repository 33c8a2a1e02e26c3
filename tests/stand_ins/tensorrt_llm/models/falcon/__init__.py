"""``tensorrt_llm.models.falcon``."""
