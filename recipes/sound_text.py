"""Text and UTF-8: JSON lets half a surrogate pair pass, which no file and no page can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_LONE = re.compile("[\ud800-\udfff]")


def sound_text(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair, which JSON lets pass, becomes U+FFFD.

    Two halves that stand side by side, as where a server cut its stream between them, become their character.
    """
    if _LONE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def json_line(row: Mapping[str, Any]) -> str:
    """A row as the line of a UTF-8 file: escaped where a text holds half a surrogate pair, which UTF-8 cannot."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(row)
    return text + "\n"
