"""``tensorrt_llm.commands.build.build``."""

from tensorrt_llm.builder import build

__all__ = ["build"]
