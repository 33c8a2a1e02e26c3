"""Copies of a problem that ask the same in another dress: what deduplication has to find."""

# ruff: noqa: RUF001 - signs that look alike are what this file is about

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

SHORTEST_FOR_TYPOS = 20
"""Words: in fewer, one spoilt word may change half of the shingles."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_LONG_WORD = re.compile(r"(?<![\w\\{$])[a-z]{6,}(?![\w}$])")


def _upper(text: str, dice: random.Random) -> str:
    return text.upper()


def _title(text: str, dice: random.Random) -> str:
    return re.sub(r"(?<![\\\w])[a-z]", lambda found: found[0].upper(), text)


def _one_line(text: str, dice: random.Random) -> str:
    return " ".join(text.split())


def _wide(text: str, dice: random.Random) -> str:
    return "\n" + text.replace(" ", "  ").replace("\n", "\r\n\n") + "\t\n"


def _operators_apart(text: str, dice: random.Random) -> str:
    return re.sub(r"(?<=[\w)}])([=+<>])(?=[\w(\\])", r" \1 ", text)


def _commands(text: str, dice: random.Random) -> str:
    for old, new in (
        (r"\\[dt]?frac(?![A-Za-z])", r"\\dfrac"), (r"\\leq?(?![A-Za-z])", r"\\leqslant"), (r"\\geq?(?![A-Za-z])", "≥"),
        (r"\\(?:ldots|cdots|dots)(?![A-Za-z])", r"\\dots"), (r"\\neq?(?![A-Za-z])", r"\\ne"),
        (r"\\mbox|\\text(?![A-Za-z])", r"\\textrm"),
        (r"(?<!\\left)(?<![\\_])\((?=[^()]*\))([^()]*)\)", r"\\left(\1\\right)"),
    ):  # fmt: skip
        text = re.sub(old, new, text)
    return text


def _scripts(text: str, dice: random.Random) -> str:
    return re.sub(r"(?<!_)([\^_])([^\W_])(?![\w.])", r"\1{\2}", text)


def _bare_scripts(text: str, dice: random.Random) -> str:
    return re.sub(r"([\^_])\{(\w)\}(?!\w)", r"\1\2", text)


def _delimiters(text: str, dice: random.Random) -> str:
    text = text.replace("$$", "$")
    return re.sub(r"(?<!\\)\$((?:\\\$|[^$])*)(?<!\\)\$", r"\\(\1\\)", text)


def _thin_spaces(text: str, dice: random.Random) -> str:
    return re.sub(r"(?<=[\w}]) ?([=<>]) ?(?=[\w\\])", r"\\;\1\\, ", text)


def _unicode(text: str, dice: random.Random) -> str:
    for old, new in (
        (r"\times", "×"),
        (r"\pi ", "π "),
        (r"^\circ", "°"),
        ("'", "’"),
        (" - ", " − "),
        (r"\angle ", "∠ "),
    ):
        text = text.replace(old, new)
    return unicodedata.normalize("NFD", text)


def _punctuation(text: str, dice: random.Random) -> str:
    return re.sub(r"(?<=[a-z])[,;](?= )", "", re.sub(r"(?<![.])[.?]$", "", text.rstrip()))


def _markdown(text: str, dice: random.Random) -> str:
    words = text.split(" ")
    place = dice.randrange(len(words))
    if words[place].isalpha() and len(words[place]) > 1:
        words[place] = f"**{words[place]}**"
    return "### " + " ".join(words)


def _reordered(text: str, dice: random.Random) -> str:
    sentences = _SENTENCE_END.split(text.strip())
    return " ".join(dice.sample(sentences, len(sentences)))


def _typo(text: str, dice: random.Random) -> str:
    places = [found.span() for found in _LONG_WORD.finditer(text)]
    if not places or len(text.split()) < SHORTEST_FOR_TYPOS:
        return text
    start, end = dice.choice(places)
    word, at = text[start:end], dice.randrange(1, end - start - 1)
    slips = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + dice.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :],
    )
    return text[:start] + dice.choice(slips) + text[end:]


def _all_layouts(text: str, dice: random.Random) -> str:
    for dress in (_scripts, _commands, _delimiters, _unicode, _one_line, _upper):
        text = dress(text, dice)
    return text


def _reordered_typo(text: str, dice: random.Random) -> str:
    return _reordered(_typo(text, dice), dice)


DRESSES: dict[str, Callable[[str, random.Random], str]] = {
    "upper case": _upper,
    "title case": _title,
    "one line": _one_line,
    "wide": _wide,
    "operators apart": _operators_apart,
    "LaTeX commands": _commands,
    "braced scripts": _scripts,
    "bare scripts": _bare_scripts,
    "delimiters": _delimiters,
    "thin spaces": _thin_spaces,
    "Unicode": _unicode,
    "punctuation": _punctuation,
    "Markdown": _markdown,
    "all layouts": _all_layouts,
    "reordered": _reordered,
    "typo": _typo,
    "reordered, typo": _reordered_typo,
}


def planted(problem: str, seed: str) -> dict[str, str]:
    """Dress -> the problem in it; without those that change nothing."""
    copies = {name: dress(problem, random.Random(f"{name} {seed}")) for name, dress in DRESSES.items()}
    return {name: copy for name, copy in copies.items() if copy != problem}
