"""``tensorrt_llm.commands``."""
