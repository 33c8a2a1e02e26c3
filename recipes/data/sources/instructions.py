"""Evaluation instructions that published problems end with: the recipe adds its own to the statement alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOX = r"\\?\\boxed\{\{?\}?\}"
_MATH = re.compile(
    rf"\s*(?:(?:Let's|Please) (?:think|reason) step by step,? and (?:put|output|place) (?:your|the) final answer "
    rf"(?:with)?in(?:side)? {_BOX}\.?|Please (?:put|place) your final answer (?:with)?in(?:side)? {_BOX}\.?)\s*$"
)
_PLACE = r"Please place the solution code in the following format:\s*```python\n# Your solution code here\n```"
_CODE = re.compile(
    rf"\s*(?:Write Python code to solve the problem\.\s*"
    rf"(?:{_PLACE}|Present the code in\s*```python\nYour code\n```\s*at the end\.))\s*$"
)
_CODE_WITH_HEADER = re.compile(
    rf"\s*Solve the problem starting with the provided function header\.\s*"
    rf"Function header:\s*```(?:python)?\n(?P<header>.*?)\n?```\s*{_PLACE}\s*$",
    re.DOTALL,
)
_PRIMEINTELLECT_HEAD = re.compile(r"^\s*Solve the following coding problem using the programming language python:\s*")
_PRIMEINTELLECT_TAIL = re.compile(
    r"\s*(?:The input will be stdin and you should print your solution to stdout"
    r"|The input will be given via stdin and the output should be printed to stdout by your code\.)?"
    r"\s*Now solve the problem (?:and return|by providing) the code\.\s*$"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A problem without its instruction."""

    text: str
    starter_code: str = ""
    """The function header that the instruction quotes."""


def statement_of(text: str) -> Statement:
    """A published problem without the instruction of Appendix A (of 1.1, or of 1.0), of Qwen2.5-Math or PrimeIntellect.

    A text that consists of an instruction alone is returned as it is.
    """
    header = ""
    found = _CODE_WITH_HEADER.search(text)
    if found:
        header, text = found["header"].strip("\n"), text[: found.start()]
    elif _PRIMEINTELLECT_HEAD.match(text):
        text = _PRIMEINTELLECT_TAIL.sub("", _PRIMEINTELLECT_HEAD.sub("", text))
    else:
        bare = _CODE.sub("", _MATH.sub("", text))
        text = bare if bare.strip() else text
    return Statement(text.strip(), header)
