"""Settings of a selection, without rules unless a test names some."""

from __future__ import annotations

from typing import Any

from recipes.settings.prepare_schema import SelectionSettings
from recipes.settings.stage_rules import STAGES


def selection(**more: Any) -> SelectionSettings:
    """``more`` wins."""
    options: dict[str, Any] = {
        **{stage: [] for stage in STAGES},
        "runs": [],
        "held_out": 0,
        "min_tests": 2,
        "same_tests": 3,
        "references": 2,
        "tokenizer": None,
        "max_prompt_length": 2048,
        **more,
    }
    return SelectionSettings(**options)
