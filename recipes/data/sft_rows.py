"""The rows of the SFT files: what ``read_demonstrations`` reads and ``run_sft`` trains on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STARTER = "<starter_code>"
"""Where an instruction takes the function header of a problem."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """What follows the problem in the user's turn (Appendix A of the paper)."""

    math: str
    code: str
    code_with_starter: str
    """With ``<starter_code>`` in it."""

    def of(self, domain: str, metadata: Mapping[str, Any]) -> str:
        """The instruction of a problem: its own where its metadata has one, else that of its domain.

        Args:
            domain: ``math`` or ``code``.
            metadata: of the problem; ``instruction`` and ``starter_code`` count.
        """
        own, starter = metadata.get("instruction"), metadata.get("starter_code")
        if isinstance(own, str):
            return own
        if domain == "math":
            return self.math
        if isinstance(starter, str) and starter.strip():
            return self.code_with_starter.replace(STARTER, starter.strip("\n"))
        return self.code


@dataclass(frozen=True, slots=True)
class SftRow:
    """One demonstration."""

    id: str
    """Of the problem; rows with several responses to one problem share it."""
    sample: int
    """Number of the response within the problem."""
    domain: str
    source: str
    licence: str
    problem: str
    instruction: str
    answer: str
    """Gold answer; empty where there is none. Training does not read it."""
    response: str
    """From ``<think>`` on, without the end token."""
    prompt_tokens: int
    """Of the chat up to the assistant's header."""
    tokens: int
    """Of the response, end token included."""
    teacher: str

    def json_line(self) -> str:
        """The row in a JSONL file, newline included; ``id`` comes first."""
        return json.dumps({name: getattr(self, name) for name in COLUMNS}, ensure_ascii=False) + "\n"


COLUMNS = tuple(SftRow.__dataclass_fields__)
"""Keys of a row, in their order."""
