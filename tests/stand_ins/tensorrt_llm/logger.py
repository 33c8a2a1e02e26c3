"""``tensorrt_llm.logger``: a logger of its own, whose lines a test can read."""

from __future__ import annotations

import logging


class Logger:
    """``logger.warning(...)`` and so on, over Python's logger "TRT-LLM"."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("TRT-LLM")

    def set_level(self, min_severity: str) -> None:
        self._logger.setLevel(min_severity.upper())

    def info(self, *msg: object) -> None:
        self._logger.info(" ".join(map(str, msg)))

    def warning(self, *msg: object) -> None:
        self._logger.warning(" ".join(map(str, msg)))


logger = Logger()
