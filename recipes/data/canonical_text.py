"""Prompts in a form in which layout does not show, and everything that makes another problem does.

"We conduct the dataset deduplication to ensure that each prompt is unique" (AceReason-Nemotron 1.1, §3.1.1); the paper
does not say when two prompts are the same. Here two are, at the least, when their tokens are equal. A token is a word,
a number, an operator, a bracket or the name of a LaTeX command. Case, blanks, Unicode's form, punctuation, quotes, math
delimiters, Markdown, and the different commands of LaTeX for one thing do not show. Numbers, signs, operators,
comparisons, variables, primes, factorials and the grouping of ``x^{2y}`` do, so ``x+1`` and ``x-1`` stay apart. (For
overlap with benchmarks ``ngrams.normalised`` looks at words alone, which would merge these.)
"""

# ruff: noqa: RUF001, RUF002 - signs that look alike are what this file is about

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from recipes.data.canonical_symbols import (
    CHARACTERS,
    COMMANDS,
    COMPOUNDS,
    NAMES,
    SILENT,
    STYLES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    TABLES,
)

Sentences = list[list[str]]
"""Tokens, by sentences; no sentence is empty."""

_LETTER = r"[^\W\d_]"
_END = "\0"
_SCRIPTS = re.compile("[" + "".join(SUPERSCRIPTS) + "]+|[" + "".join(SUBSCRIPTS) + "]+")
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:\{,\}|,\\!|\\,|,)\d{3})+(?!\d)")
_NOT_DIGITS = re.compile(r"\D+")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac(?:\s*(\d)|\s+([a-z]))\s*([a-z\d])")
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-z]))")
_PRIME = re.compile(r"\^\s*(?:\{((?:\s*\\prime)+)\s*\}|\\prime(?![a-z]))")
_EMPHASIS = re.compile(
    rf"(?<![^\s(])(\*{{1,3}}|__?)(?=[^\W_]|[\"'(])((?=[^*]*{_LETTER}{{2}})[^*\\${{}}]{{1,100}}?)(?<=\S)\1(?![^\s.,;:!?)])"
)
_UNDERLINE = re.compile(r"[\s(]_")
_BULLET = re.compile(
    rf"[-*](?<!\S[-*])(?=\s+(?!(?:{'|'.join(sorted(NAMES))})\b)"
    rf"(?:{_LETTER}{{3,}}|(?:an|as|at|by|do|he|if|in|is|it|no|of|on|or|so|to|up|we)\b))"
)
"""A dash or a bullet before a word, wherever it stands: blanks and the order of sentences must not matter."""
_HYPHEN = re.compile(rf"-(?<=[^\W_]-|[$)}}\]]-)(?=({_LETTER}{{2,}}|\d))")
_ENTITY = re.compile(r"&(nbsp|lt|gt|amp|quot|le|ge);|<br\s*/?>")
_ENTITIES = {"nbsp": " ", "lt": "<", "gt": ">", "amp": "&", "quot": '"', "le": "\\le ", "ge": "\\ge ", None: " "}
_VECTORS = re.compile(r"\\vec(?![a-z])|\\mathbf|\\bold|\\bm(?![a-z])|\\overrightarrow|vector|(?:cross|dot) product")
_SPLIT_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NOT_AFTER_WORD = f"(?<!{_LETTER}{_LETTER})"
_TOKEN = re.compile(
    rf"""
    {_LETTER}{{2,}}(?:'(?:s|t|re|ll|ve)(?!\w))?
    | {_LETTER}
    | \d+(?:\.\d+)?
    | \\begin\s*\{{(?:array|tabular)\*?\}}\s*(?:\[.\]\s*)?\{{[^}}]*\}}
    | \\(?:begin|end)\s*\{{[a-z]+\*?\}}
    | \\(?:[hv]space\*?|[hv]?phantom|label|tag\*?)\s*\{{[^}}]*\}}
    | \\(?:left|right)\s*\.
    | \\\\
    | \\[a-z]+
    | \\.
    | (?<![\w.])\.\d+
    | (?<![\w'])'(?:[^\W_])'
    | \.\.+(?:\s|$)?
    | <->|<=|>=|==|->
    | {_NOT_AFTER_WORD}(?<=[\w)}}\]'])(?<!\\[)\]])'(?!s(?!\w))
    | !=
    | {_NOT_AFTER_WORD}(?<=[\w)}}\]!|])!(?:\s|$)?
    | [.?!](?=(?:[$)\]}}"'*_`]|\\[)\]])*(?:\s|$))
    | :(?=\s*\d)
    | -+
    | _+
    | [^\s\w.,;:?!"'`$~\#\\]
    """,
    re.VERBOSE | re.DOTALL,
)
_DRAWN = ["[", "/", "asy"]
"""Before the bracket that ends an Asymptote drawing."""
_INSTRUCTION = re.compile(
    r"(?:please )?(?:lets? )?(?:think|reason) step by step"
    r"(?: and (?:put|output) (?:your|the) final answer (?:with)?in boxed)?"
    r"|(?:please )?(?:and )?put (?:your|the) final answer (?:with)?in boxed"
)


def canonical_text(text: str) -> str:
    """The tokens with one blank between them: equal for prompts that differ in layout alone.

    >>> canonical_text("Find $\\\\dfrac{1}{2} \\\\cdot x^{2}$.") == canonical_text("find  \\\\( \\\\frac12 × x² \\\\)")
    True
    """
    return " ".join(token for sentence in canonical_sentences(text) for token in sentence)


def canonical_sentences(text: str) -> Sentences:
    """The same tokens by sentences. A sentence ends at ``.``, ``?`` or ``!`` before a blank or the end of the text, and
    at the end of an Asymptote drawing.

    A sentence that only says how to answer ("Please reason step by step ...") is left out unless it is all there is.
    """
    sentences: Sentences = [[]]
    for token in _tokens(_prepared(text)):
        if token == _END:
            if sentences[-1]:
                sentences.append([])
        else:
            sentences[-1].append(token)
    found = [sentence for sentence in sentences if sentence]
    asked = [sentence for sentence in found if not _is_instruction(sentence)]
    return asked or found


def _is_instruction(sentence: list[str]) -> bool:
    if len(sentence) > 20 or not {"step", "boxed"} & set(sentence):
        return False
    return _INSTRUCTION.fullmatch(" ".join(token for token in sentence if token not in "{}")) is not None


def _prepared(text: str) -> str:
    """Lower case, ASCII and LaTeX for the signs outside ASCII, and rewritings that look at several tokens."""
    if not text.isascii():
        text = _SCRIPTS.sub(_script, text).translate(CHARACTERS)
        text = unicodedata.normalize("NFKC", text).translate(CHARACTERS).casefold()
    else:
        text = text.lower()
    if "," in text:
        text = _THOUSANDS.sub(lambda found: _NOT_DIGITS.sub("", found[0]), text)
    if "\\" in text:
        text = _SHORT_FRACTION.sub(lambda found: f"\\frac{{{found[1] or found[2]}}}{{{found[3]}}}", text)
        if "^" in text:
            text = _DEGREE.sub(r"\\degree ", text)
            text = _PRIME.sub(lambda found: "'" * max(1, (found[1] or "").count("prime")), text)
    if "*" in text or text.startswith("_") or _UNDERLINE.search(text):
        text = _EMPHASIS.sub(r"\2", text)
    if "&" in text or "<br" in text:
        text = _ENTITY.sub(lambda found: _ENTITIES[found[1]], text)
    if "-" in text or "*" in text:
        text = _BULLET.sub(" ", text)
    if "-" in text:
        text = _HYPHEN.sub(_hyphen, text)
    return text


def _script(found: re.Match[str]) -> str:
    signs = found[0]
    table, mark = (SUPERSCRIPTS, "^") if signs[0] in SUPERSCRIPTS else (SUBSCRIPTS, "_")
    return f"{mark}{{{''.join(table[sign] for sign in signs)}}}"


def _hyphen(found: re.Match[str]) -> str:
    """A blank for a hyphen of a compound word, the minus for any other."""
    text, end, right = found.string, found.start(), found[1]
    start = end - 1
    while start > 0 and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    left = text[start:end]
    if left in NAMES or right in NAMES:
        return "-"
    if right.isdigit():
        compound = left in ("by", "to", "of")
    elif left[-1].isdigit():
        compound = len(right) >= 4 or right in COMPOUNDS
    elif len(left) == 1:  # a letter, or what ends a formula
        compound = len(right) >= 5 or right in COMPOUNDS
    else:
        compound = max(len(left), len(right)) >= 4 or left in COMPOUNDS or right in COMPOUNDS
    return " " if compound else "-"


def _tokens(text: str) -> list[str]:
    """Tokens of a prepared text, with ``_END`` after sentences."""
    out: list[str] = []
    braces: list[tuple[int, str]] = []  # of those open: place in ``out``, and what closes them
    tables: list[bool] = []
    vectors = _VECTORS.search(text) is not None
    closing = "}"  # of the next brace, where a command goes before it
    for token in _TOKEN.findall(text):
        last, closing = closing, "}"
        first = token[0]
        if first.isalpha():
            token = token.replace("'", "")
            if token.isascii() or not _CJK.search(token):
                out.append(token)
            else:
                out.extend(_SPLIT_CJK.findall(token))
        elif first == "\\":
            name = token[1:]
            if name[0].isalpha():
                if token[-1] in "}." and name not in COMMANDS:
                    out.extend(_environment(token, tables))
                elif name in STYLES:
                    closing = ""
                elif vectors and name in ("cdot", "times"):
                    out.append({"cdot": "·", "times": "×"}[name])
                elif name == "pmod":
                    out += ["(", "mod"]
                    closing = ")"
                elif name not in SILENT:
                    out.extend(COMMANDS.get(name, name).split())
            else:
                out.extend(_escaped(token, tables))
        elif first == "{":
            braces.append((len(out), last))
            out.append(token)
        elif first == "}":
            _close(out, braces)
        elif token[:2] == "..":
            out.append("...")
            if token[-1] != ".":
                out.append(_END)
        elif first == "." and len(token) > 1:
            out.append(f"0{token}")
        elif token == "!=":
            out += token  # as in "5! = 120", which blanks must not change
        elif first == "!" and not _ends(out):
            out.append("!")
            if len(token) > 1:
                out.append(_END)
        elif first in ".?!":
            out.append(_END)
        elif first == ":":  # of a ratio
            if out and out[-1][0].isdigit():
                out.append(token)
        elif first == "&":
            if tables and tables[-1]:
                out.append(token)
        elif first == "'" and len(token) == 3:
            out.append(token[1])
        elif first in ")]" and out and out[-1] == _END:
            out.insert(-1, token)
        elif token == "]" and out[-3:] == _DRAWN:
            out += ["]", _END]
        else:
            out.append(first if first in "-_" and token != "->" else token)
    return out


def _ends(out: list[str]) -> bool:
    """Whether an exclamation mark is one: no factorial of a number, a letter or a bracket."""
    if not out:
        return True
    before = out[-1]
    return len(before) > 1 and before.isalpha()


def _environment(token: str, tables: list[bool]) -> Iterator[str]:
    """The token of a ``\\begin`` or ``\\end`` of a table; nothing for the rest: layout."""
    if not token.startswith(("\\begin", "\\end")):
        return
    name = token[token.index("{") + 1 : token.index("}")].rstrip("*")
    table = name in TABLES
    if token.startswith("\\begin"):
        tables.append(table)
    elif tables:
        tables.pop()
    if table:
        yield f"{token[1]}:{name}"


def _escaped(token: str, tables: list[bool]) -> Iterator[str]:
    sign = token[1]
    if sign == "\\":
        if tables and tables[-1]:
            yield token
    elif sign == "|":
        yield "‖"
    elif sign in "{}%_":
        yield sign


def _close(out: list[str], braces: list[tuple[int, str]]) -> None:
    """The end of a group: its braces stay where they hold more than one token together."""
    if not braces:
        out.append("}")
        return
    place, closing = braces.pop()
    inside = len(out) - place - 1
    if closing != "}":
        del out[place]
        out.extend(closing)
    elif inside > 1 or (inside == 1 and _spelled_exponent(out, place)):
        out.append("}")
    else:
        del out[place]
        if not inside and out and out[-1] in "^_":  # an empty script
            out.pop()


def _spelled_exponent(out: list[str], place: int) -> bool:
    """Several letters that a script holds together: ``x^{ab}``, which is no ``x^ab``."""
    return place > 0 and out[place - 1] in "^_" and out[-1].isalpha() and len(out[-1]) > 1
