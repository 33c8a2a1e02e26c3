"""From a response to the program in it: the last fenced block of Python after the thinking."""

from __future__ import annotations

import re

from recipes.grading.extraction import final_part

PYTHON_LANGUAGES = frozenset({"python", "py", "python3", "python2", "py3", "pypy", "pypy3"})

_FENCE = re.compile(r"^([^\n`~]*)(`{3,}|~{3,})[ \t]*([^\n]*)$", re.MULTILINE)


def extract_code(response: str, *, require_thinking: bool = True) -> str | None:
    r"""The last closed ``python`` block after the last ``</think>``, or None.

    The rules, after CommonMark and AceReason-Nemotron-1.1, appendix A (the prompt asks for one python block):

    - ``python``, ``py``, ``python3`` in any case, also as ``{.python}`` or ``python title="x"``; a block without a
      language counts only when there is no python block; blocks of other languages never count.
    - Fences of backticks or tildes, three or more, at the start of a line, indented at will; one with a
      python language opens a block also at the end of a line of text. A block ends at a bare fence of its own kind, at
      least as long. The fence's own indentation is taken off the block's lines.
    - A block that is never closed was cut off and is no block; one that holds nothing but blanks is none either. A
      fence that opens a python block inside an open one starts anew: the earlier one was left open by mistake.
    - With ``require_thinking`` a response without ``</think>`` has no code: it was truncated or broke the format.
      Without it the whole response counts, the thinking included.

    Never raises; linear in ``len(response)``.
    """
    text = final_part(response, require_thinking=require_thinking)
    if text is None or ("```" not in text and "~~~" not in text):
        return None
    text = text.replace("\r\n", "\n")
    python = plain = None
    opened: tuple[str, str, str, int] | None = None  # indentation, fence, language, where the content starts
    for fence in _FENCE.finditer(text):
        indent, marks, info = fence.groups()
        info = info.strip()
        language = _language(info)
        if indent.strip():
            if opened is None and info in PYTHON_LANGUAGES:
                opened = ("", marks, language, fence.end() + 1)
            continue
        if opened is None or language in PYTHON_LANGUAGES:
            if "`" not in info:
                opened = (indent, marks, language, fence.end() + 1)
            continue
        if info or marks[0] != opened[1][0] or len(marks) < len(opened[1]):
            continue
        indent, _, language, start = opened
        block = _outdented(text[start : fence.start()], indent)
        if block.strip():
            if language in PYTHON_LANGUAGES:
                python = block
            elif not language:
                plain = block
        opened = None
    return plain if python is None else python


def _language(info: str) -> str:
    word = re.split(r"[\s,:;{}]", info.strip("{} ").lstrip("."), maxsplit=1)[0]
    return word.lower()


def _outdented(block: str, indent: str) -> str:
    if not indent:
        return block
    width = len(indent)
    lines = block.split("\n")
    return "\n".join(line[width:] if line[:width].isspace() else line.lstrip(" \t") for line in lines)
