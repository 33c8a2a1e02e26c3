"""One form for the responses of teachers that think aloud, whatever their server made of the tags."""

from __future__ import annotations

import re

START, END = "<think>", "</think>"
_LONE = re.compile("[\ud800-\udfff]")


def thinking_response(text: str) -> str:
    r"""``<think>\n...\n</think>\n\n...``, as DeepSeek-R1 writes it and the published SFT data of 1.1 have it.

    A server's reasoning parser may take blanks away with the tags, and R1's chat template opens the thinking in the
    prompt, so that the response begins inside it. A text without ``</think>`` is left as it is: it comes from a model
    that does not think, or was cut while it did.
    """
    thinking, mark, answer = text.rpartition(END)
    if not mark:
        return text
    thinking = thinking.strip().removeprefix(START).strip()
    return f"{START}\n{thinking}\n{END}\n\n{answer.strip()}"


def sound_text(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair, which JSON lets pass, becomes U+FFFD.

    Two halves that stand side by side, as where a server cut its stream between them, become their character.
    """
    if _LONE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
