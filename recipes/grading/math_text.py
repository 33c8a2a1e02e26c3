# ruff: noqa: RUF001 - look-alike characters are this module's subject
r"""One spelling for what LaTeX typesets alike, so that later steps meet one notation only.

Text in, text out; every function is pure and linear in the length of the text (regular expressions, no parsing).
The vocabulary after ``normalize``: ``\frac``, ``\binom``, ``\text{...}`` for all words, ``\le \ge \ne < > =``,
``\cdot``, ``\pi``, ``^\circ``, ``\%``, plain ``( ) [ ] |`` and ``\{ \}``, one space only between letters or digits.
"""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ", "0123456789+-()nix")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢₓ", "0123456789+-()nix")
_VULGAR = {
    "½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34", "⅕": "15", "⅖": "25", "⅗": "35", "⅘": "45", "⅙": "16",
    "⅚": "56", "⅛": "18", "⅜": "38", "⅝": "58", "⅞": "78",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_SYMBOLS = {
    **{letter: rf"\{name} " for letter, name in _GREEK.items()},
    **{mark: "-" for mark in "\u2212\u2013\u2014\u2010\u2011\ufe63\uff0d"},
    **{mark: r"\cdot " for mark in "×·⋅∙✕⨯"},
    **{mark: " " for mark in "\u00a0\u2007\u2008\u2009\u200a\u202f\u205f\u3000"},
    **{mark: "" for mark in "\u200b\u200c\u200d\u2060\ufeff\u2061\u2062\u2063"},
    "÷": "/", "∕": "/", "⁄": "/", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "⩽": r"\le ", "⩾": r"\ge ", "≈": r"\approx ", "≅": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}", "°": r"^\circ ", "º": r"^\circ ", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"',
    "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "∣": "|", "％": r"\%", "＄": r"\$", "∖": r"\setminus ", "…": r"\dots ", "¬": r"\neg ",
    "€": r"\text{ euro}", "£": r"\text{ pound}", "¥": r"\text{ yen}",
}  # fmt: skip
_SYMBOL = re.compile("[" + re.escape("".join(_SYMBOLS)) + "]")
_RADICAL = re.compile(r"√\s*(?:([0-9.]+|[A-Za-z])|\(([^()]*)\))?")

_DELIMITED = re.compile(
    r"(?<!\\)\$\$?([^$]*?)(?<!\\)\$\$?|\\\(((?:(?!\\\().)*?)\\\)|\\\[((?:(?!\\\[).)*?)\\\]", re.DOTALL
)
_WORDY = (
    r"(?:text|textbf|textit|textrm|textnormal|textsf|texttt|mathrm|mathbf|mathit|mathsf|mbox|hbox|bf|rm"
    r"|operatorname\*?)"
)
_FUNCTIONS = [
    "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh", "cosh", "tanh", "coth", "sin", "cos", "tan",
    "cot", "csc", "log", "ln", "lg", "exp", "gcd", "lcm",
]  # fmt: skip
"""Names that are no words or units; "sec", "min" and "deg" are."""

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:label|tag\*?|vspace\*?|hspace\*?|color|phantom|hphantom|vphantom)\{[^{}]*\}", " "),
        (r"\\textcolor\{[^{}]*\}", ""),
        (r"\\(?:left|right|middle)(?![A-Za-z])\.?", ""),
        (r"\\[bB]igg?[lrm]?(?![A-Za-z])\.?", ""),
        (
            r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|nonumber|mathstrut|strut|hline|hfill|cancel)(?![A-Za-z])",
            "",
        ),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\(?:lvert|rvert|vert|mid)(?![A-Za-z])", "|"),
        (r"\\(?:lbrack)(?![A-Za-z])", "["),
        (r"\\(?:rbrack)(?![A-Za-z])", "]"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\(?:leq|leqslant)(?![A-Za-z])|<=|=<", r"\\le "),
        (r"\\(?:geq|geqslant)(?![A-Za-z])|>=|=>", r"\\ge "),
        (r"\\neq(?![A-Za-z])|!=|\\not\s*=", r"\\ne "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\(?:simeq|cong|thickapprox)(?![A-Za-z])", r"\\approx "),
        (r"\\(?:varnothing)(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:lor|vee)(?![A-Za-z])", r"\\text{ or }"),
        (r"\\(?:land|wedge)(?![A-Za-z])", r"\\text{ and }"),
        (r"\\(?:times|ast|bullet)(?![A-Za-z])|\*", r"\\cdot "),
        (r"\\div(?![A-Za-z])", "/"),
        (r"\\var(epsilon|phi|theta|rho|sigma)(?![A-Za-z])", r"\\\1 "),
        (r"\^\{\\circ\}|\^\\circ|\\degree(?![A-Za-z])", r"^\\circ "),
        (r"\^\{\\prime\}|\^\\prime(?![A-Za-z])", "'"),
        (r"(?<![\\A-Za-z])(sqrt|pi|infty|theta|alpha|beta|omega|" + "|".join(_FUNCTIONS) + r")(?![A-Za-z])", r"\\\1 "),
        (r"(?<![\\A-Za-z])(?:infinity|inf|oo)(?![A-Za-z])", r"\\infty "),
        (r"(?<!\\)%", r"\\%"),
        (r"\\(?:ldots|cdots|dotsc|dotsb|dotsm|dotso)(?![A-Za-z])", r"\\dots "),
        (r" ?\{\s*([,:;])\s*\}", r"\1\\!"),
        (r"(?<=[0-9])\s*\\!\s*(?=,)", ""),
        (r"(?<=[0-9]),\s*\\!\s*(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<!\\)\\!", ""),
        (r"(?<=[0-9])(?<!\\)\\[,;: ](?=[0-9]{3}(?![0-9]))", ""),  # 10\,000, the thin space between thousands
        (
            r"(?<!\\)\\(?:[,;:>] ?|[ \n]|(?:quad|qquad|thinspace|enspace)(?![A-Za-z]))|~",
            " ",
        ),
    )
)
_ONE_LETTER = re.compile(
    r"\\(?:mathrm|mathit|mathbf|mathsf|boldsymbol|bm|mathcal|operatorname\*?|vec)\{\s*(\\?[A-Za-z]|\\[a-z]+)\s*\}"
)
_LETTER_UNIT = re.compile(r"(?<=[0-9}), ~;])\\mathrm\{[ ~]*([mgshlLNJWVKC])[ ~]*\}")  # 5\,\mathrm{m}
_FUNCTION = re.compile(
    r"\\(?:mathrm|text)\{\s*(" + "|".join(_FUNCTIONS) + r")\s*\}|\\operatorname\*?\{\s*([a-z]+)\s*\}"
)
_SHORT_STYLE = re.compile(r"\\(?:mathrm|mathbf)\s+([A-Za-z0-9])(?![A-Za-z])")
_WORDS = re.compile(r"\\" + _WORDY + r"\s*\{")
_BLACKBOARD = re.compile(r"\\(?:mathbb|Bbb)\s*(?:\{\s*([RZNQC])\s*\}|([RZNQC])(?![A-Za-z]))")
_ONE_SPACE = re.compile(r"\s+")
# A space counts between letters and digits only ("\pi r", "2 3"), and in "3, 125", which is not 3,125.
_LOOSE_SPACE = re.compile(r"((?<=[0-9]), (?=[0-9]))| ?([^0-9A-Za-z ]) ?")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MARKUP = "*_`\"' \t\r\n"


def undelimited(answer: str) -> str:
    r"""Without markup, final punctuation, ``$...$``, ``\(...\)`` or ``\[...\]`` around the whole answer."""
    for _ in range(4):
        before = answer
        answer = answer.strip(_MARKUP if answer.strip().startswith(("*", "_", "`", '"')) else None)
        answer = _without_final_mark(answer)
        if delimited := _DELIMITED.fullmatch(answer):
            answer = next(group for group in delimited.groups() if group is not None)
        if answer == before:
            break
    return answer


def _without_final_mark(answer: str) -> str:
    if answer.endswith(("...", r"\dots", "…")):
        return answer
    stripped = answer.rstrip(".,;:").rstrip() if not answer.endswith(r"\,") else answer
    return stripped.rstrip("\\").rstrip() if stripped.endswith("\\") and not stripped.endswith(r"\\end") else stripped


def math_segments(text: str) -> list[str]:
    r"""The contents of all ``$...$``, ``$$...$$``, ``\(...\)`` and ``\[...\]`` in the order of the text."""
    return [next(group for group in match.groups() if group is not None).strip() for match in _segments(text)]


def without_segments(text: str) -> str:
    """What is left of a text without its math segments."""
    for match in reversed(_segments(text)):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text


def _segments(text: str) -> list[re.Match[str]]:
    """Inline mathematics does not begin with a line break; two stray dollars on different lines are none."""
    return [
        match
        for match in _DELIMITED.finditer(text)
        if match[0][:2] in ("$$", r"\[") or not re.match(r"\s*\n", match[1] or match[2] or "")
    ]


def _ascii(answer: str) -> str:
    """Unicode mathematics as LaTeX, full-width characters as ASCII."""
    if answer.isascii():
        return answer
    answer = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", answer)
    answer = re.sub("[₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢₓ]+", lambda m: "_{" + m[0].translate(_SUBSCRIPTS) + "}", answer)
    answer = re.sub(
        "[" + "".join(_VULGAR) + "]", lambda m: rf"\frac{{{_VULGAR[m[0]][0]}}}{{{_VULGAR[m[0]][1]}}}", answer
    )
    answer = _RADICAL.sub(lambda m: rf"\sqrt{{{m[1] or m[2]}}}" if m[1] or m[2] else r"\sqrt ", answer)
    answer = _SYMBOL.sub(lambda m: _SYMBOLS[m[0]], answer)
    return unicodedata.normalize("NFKC", answer)


def _unescaped_twice(answer: str) -> str:
    r"""``\\frac`` of doubly escaped LaTeX as ``\frac``; the ``\\`` between rows of a matrix stays."""
    if "\\\\" not in answer:
        return answer
    if r"\\begin{" in answer:
        return answer.replace("\\\\", "\\")
    if r"\begin" not in answer:
        return re.sub(r"\\\\(?=[A-Za-z{}%,;:! $])", r"\\", answer)
    return answer


_ACCIDENT = re.compile(r"\\begin\{([pb]?matrix)\}((?:(?!\\begin\{).)*?)\\end\{\1\}", re.DOTALL)
_LONE_OPERATOR = re.compile(r"\s*(?:[-+*/=(^_]|\\times|\\cdot|\\left\(|\\ln|\\log|\\sqrt|\^\{\})\s*")


def _without_layout_matrices(answer: str) -> str:
    r"""A "matrix" whose rows are no expressions (``\frac{ \\ 3 \\ }{ \\ 5 \\ }``) is a formula written downwards."""

    def rewritten(match: re.Match[str]) -> str:
        rows = match[2].split("\\\\")
        broken = any(row.count("{") != row.count("}") or _LONE_OPERATOR.fullmatch(row) for row in rows)
        return " ".join(rows) if broken and "&" not in match[2] else match[0]

    return _ACCIDENT.sub(rewritten, answer) if "matrix}" in answer else answer


def _worded(answer: str) -> str:
    r"""All of ``\mathrm{cm}``, ``\mbox{...}``, ``\textbf{...}`` as ``\text{...}``; single letters lose their style."""
    if "\\" not in answer:
        return answer
    answer = _LETTER_UNIT.sub(r"\\text{ \1}", answer)
    answer = _FUNCTION.sub(lambda m: "\\" + (m[1] or m[2]) + " ", answer)
    answer = _ONE_LETTER.sub(r"\1 ", answer)
    answer = _SHORT_STYLE.sub(r"\1 ", answer)
    answer = _BLACKBOARD.sub(lambda m: rf"\text{{{m[1] or m[2]}{m[1] or m[2]}}}", answer)
    return _WORDS.sub(r"\\text{", answer)


def _on_one_line(answer: str) -> str:
    """Lines that are each a whole number or formula are the items of a list."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", answer) if line.strip()]
    if len(lines) < 2 or r"\begin" in answer or len(lines) > 60:
        return answer
    whole = all(
        line[0] not in "+*/=^_&,;)" and line[-1] not in "-+*/=^_&,;({[\\" and re.search("[0-9]", line) for line in lines
    )
    return ", ".join(lines) if whole and all(line.count("{") == line.count("}") for line in lines) else answer


_TEXT = re.compile(r"\\text\{([^{}]*)\}")


def normalize(answer: str) -> str:
    """One spelling for what LaTeX typesets alike; see the module's vocabulary.

    Keeps letters' case and every space that separates letters or digits. Idempotent up to spacing, linear.
    """
    answer = _unescaped_twice(_without_layout_matrices(undelimited(_ascii(answer))))
    answer = _on_one_line(_BOX.sub("{", answer))
    kept: list[str] = []
    answer = _worded(answer)

    def hide(match: re.Match[str]) -> str:  # words keep their spaces
        kept.append(_ONE_SPACE.sub(" ", re.sub(r"\\[ ,;:!]|~", " ", match[1])))
        return f"\\text\x00{len(kept) - 1}\x00"

    answer = _TEXT.sub(hide, answer.replace("\x00", ""))
    for pattern, replacement in _REWRITES:
        answer = pattern.sub(replacement, answer)
    answer = re.sub(r"(?<!\\)\$", " ", answer)
    answer = _ONE_SPACE.sub(" ", answer)
    answer = _LOOSE_SPACE.sub(r"\1\2", answer).strip()
    answer = re.sub("\\\\text\x00([0-9]+)\x00", lambda m: rf"\text{{{kept[int(m[1])]}}}", answer)
    return _without_final_mark(answer)
