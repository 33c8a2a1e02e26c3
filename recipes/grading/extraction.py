r"""From a response to the text of its final answer: the last ``\boxed{...}`` after the thinking."""

from __future__ import annotations

import re

THINKING_END = "</think>"

# One pass over the marks that matter: a box opening, an escaped character (``\{`` is a set's brace, not a group's),
# a plain brace. Two backslashes before ``boxed`` are accepted because doubly escaped LaTeX is common in responses.
_MARKS = re.compile(r"(?P<box>\\{1,2}(?:boxed|fbox)\s*\{)|\\.|[{}]", re.DOTALL)


def final_part(response: str, *, require_thinking: bool = True) -> str | None:
    """The part of a response that may hold the answer: all after the last ``</think>``.

    With ``require_thinking`` a response that never closes its thinking has no such part (None): it was truncated or
    broke the format. Without it the whole response counts, the thinking included.
    """
    if not require_thinking:
        return response
    _, mark, answer_part = response.rpartition(THINKING_END)
    return answer_part if mark else None


def last_boxed(text: str) -> str | None:
    r"""The content of the last complete ``\boxed{...}`` or ``\fbox{...}``, stripped; None when none or empty.

    Braces may nest to any depth; ``\{`` and ``\}`` do not count. "Last" is the box that opens last, so of nested boxes
    the innermost last one counts, as with the ``rfind("\boxed")`` of the Hendrycks MATH evaluation. A box that never
    closes is no box. An empty last box is no answer: no earlier box stands in for it. Linear in ``len(text)``.
    """
    first = min((at for at in (text.find("boxed"), text.find("fbox")) if at >= 0), default=-1)
    if first < 0:
        return None
    open_groups: list[int] = []  # where the content of each open group starts; -1 for a group that is no box
    start, end = -1, -1
    for mark in _MARKS.finditer(text, max(0, first - 2)):
        token = mark.group()
        if token == "}":
            opened = open_groups.pop() if open_groups else -1
            if opened > start:
                start, end = opened, mark.start()
        elif token == "{":
            open_groups.append(-1)
        elif mark["box"]:
            open_groups.append(mark.end())
    if start < 0:
        return None
    return text[start:end].strip() or None


def extract_math_answer(response: str, *, require_thinking: bool = True) -> str | None:
    r"""The final answer of a response, or None.

    The answer is the last ``\boxed{...}`` after the last ``</think>`` (AceReason-Nemotron-1.1, appendix A: the prompt
    asks for the final answer inside ``\boxed{}``); a box inside the thinking is no answer. Never raises; linear time.
    """
    text = final_part(response, require_thinking=require_thinking)
    return None if text is None else last_boxed(text)
