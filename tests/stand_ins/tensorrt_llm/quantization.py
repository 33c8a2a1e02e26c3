"""``tensorrt_llm.quantization.QuantMode``: nothing is quantised."""

from enum import IntFlag


class QuantMode(IntFlag):
    """No bit."""

    NONE = 0
