"""The rows of the SFT files: what ``read_demonstrations`` reads and ``run_sft`` trains on."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SftRow:
    """One demonstration."""

    id: str
    """Of the problem; rows with several responses to one problem share it."""
    sample: int
    """Number of the response within the problem."""
    domain: str
    source: str
    """Of the response where a source carries it, else of the problem."""
    licence: str
    """Of that source."""
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
