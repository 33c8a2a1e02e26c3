"""One form for the responses of teachers that think aloud, whatever their server made of the tags."""

from __future__ import annotations

START, END = "<think>", "</think>"


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
