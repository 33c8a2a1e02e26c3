r"""From a response to the text of its final answer: the last ``\boxed{...}`` after the thinking."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

THINKING_START, THINKING_END = "<think>", "</think>"

# One pass over the marks that matter: a box opening, an escaped character (``\{`` is a set's brace, not a group's),
# a plain brace. Two backslashes before ``boxed`` are accepted because doubly escaped LaTeX is common in responses.
_MARKS = re.compile(r"(?P<box>\\{1,2}(?:boxed|fbox)\s*\{)|\\.|[{}]", re.DOTALL)
_JOINT = re.compile(
    r"[ \t$]*(?:(?:,|;|\\[ ,;]|\\q?quad(?![A-Za-z])|\\\(|\\\)|[ \t$])*(?:,|\band\b|\\text\s*\{\s*,?\s*and\s*\}))"
    r"(?:,|;|\\[ ,;]|\\q?quad(?![A-Za-z])|\\\(|\\\)|[ \t$]|\band\b|\\text\s*\{\s*,?\s*and\s*\})*"
)
_LONGEST_JOINT = 40
_MOST_JOINED = 30


def thinking_required(setting: bool | None, response: str) -> bool:
    """Whether a response has an answer only after its thinking: as set, or, with None, where it shows any thinking.

    True is for a model whose prompt opens the thinking: a response without ``</think>`` never got to its answer. None
    is for responses of unknown origin: one without either mark comes from a model that does not think.
    """
    if setting is not None:
        return setting
    return THINKING_START in response or THINKING_END in response


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

    Boxes that nothing but a comma or "and" joins into one list, ``\boxed{2}, \boxed{3} and \boxed{5}``, are one answer,
    "2, 3, 5": none of them alone says what the response says.
    """
    boxes = _boxes(text)
    if not boxes:
        return None
    contents = [boxes[-1].content(text)]
    for earlier, later in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        between = text[earlier.end + 1 : later.mark]
        if len(between) > _LONGEST_JOINT or not _JOINT.fullmatch(between):
            break
        contents.append(earlier.content(text))
    if not contents[0]:
        return None
    return ", ".join(dict.fromkeys(content for content in reversed(contents) if content))


class _Box(NamedTuple):
    mark: int
    """Where the backslash stands."""
    start: int
    end: int
    """The content is ``text[start:end]``."""

    def content(self, text: str) -> str:
        return text[self.start : self.end].strip()


def _boxes(text: str) -> list[_Box]:
    """The last complete boxes, in the order of their opening, without those around others."""
    first = min((at for at in (text.find("boxed"), text.find("fbox")) if at >= 0), default=-1)
    if first < 0:
        return []
    open_groups: list[tuple[int, int]] = []  # mark and content of each open group; -1 for a group that is no box
    boxes: deque[_Box] = deque(maxlen=_MOST_JOINED)  # a response may hold a hundred thousand
    for mark in _MARKS.finditer(text, max(0, first - 2)):
        token = mark.group()
        if token == "}":
            at, start = open_groups.pop() if open_groups else (-1, -1)
            if start >= 0 and (not boxes or start > boxes[-1].start):
                boxes.append(_Box(at, start, mark.start()))
        elif token == "{":
            open_groups.append((-1, -1))
        elif mark["box"]:
            open_groups.append((mark.start(), mark.end()))
    return list(boxes)


def extract_math_answer(response: str, *, require_thinking: bool = True) -> str | None:
    r"""The final answer of a response, or None.

    The answer is the last ``\boxed{...}`` after the last ``</think>`` (AceReason-Nemotron-1.1, appendix A: the prompt
    asks for the final answer inside ``\boxed{}``); a box inside the thinking is no answer. Never raises; linear time.
    """
    text = final_part(response, require_thinking=require_thinking)
    return None if text is None else last_boxed(text)
