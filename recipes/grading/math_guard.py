r"""Which texts may be shown to the symbolic library at all.

The library evaluates what it parses: powers, factorials, sums, integrals. What could explode there is recognised by its
spelling, in linear time, and then equals the gold answer as text or by ``math_values`` or not at all.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 300
MAX_NESTING = 12
MAX_LETTERS = 40

_EXPLOSIVE = re.compile(
    r"![^=]|!$"  # a factorial
    r"|[0-9]{31}"
    r"|\^\{?[+-]?[0-9]{4}"
    r"|\^\{?\(?[^{}^]{0,40}\^"  # a tower of powers
    r"|\\(?:int|iint|oint|lim|prod|uparrow|underbrace)(?![A-Za-z])"
    r"|\\(?:sum|binom)(?![A-Za-z]).*[0-9]{3}"
    r"|[\"`?@#~\x00-\x1f]|[-+*/=^_<>]$"  # no formula
)
_PROSE = re.compile("[A-Za-z]{4}")


def may_explode(text: str) -> bool:
    """Whether a normalised text is no formula or could take more than a moment to evaluate; when in doubt, yes."""
    if len(text) > MAX_CHARACTERS or not text.isascii() or _EXPLOSIVE.search(text):
        return True
    deepest = depth = braces = 0
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        braces += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
        if braces < 0:
            return True
    letters = re.sub(r"\\(?:begin|end|text)\{[^{}]*\}|\\[A-Za-z]+", " ", text)
    return (
        depth != 0
        or braces != 0
        or deepest > MAX_NESTING
        or sum(map(str.isalpha, letters)) > MAX_LETTERS
        or bool(_PROSE.search(letters))
    )
