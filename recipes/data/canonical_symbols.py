"""Which signs and LaTeX commands say the same: the tables of ``canonical_text``.

Commands that are in no table stand for their own name without the backslash, so that ``\\sin`` is the word ``sin`` and
``\\triangle`` the word ``triangle``. Everything here is lower case: the text is folded first.
"""

# ruff: noqa: RUF001 - signs that look alike are what this file is about

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True))

_FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9),
    "⅒": (1, 10),
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "ϕ": "phi", "ϵ": "epsilon",
    "ϑ": "theta", "µ": "mu",
    "Α": "alpha", "Β": "beta", "Γ": "gamma", "Δ": "delta", "Θ": "theta", "Λ": "lambda", "Ξ": "xi", "Π": "pi",
    "Σ": "sigma", "Φ": "phi", "Ψ": "psi", "Ω": "omega",
}  # fmt: skip
_SYMBOLS = {
    "×": "times", "⋅": "cdot", "·": "cdot", "∙": "cdot", "∗": "ast", "÷": "div", "±": "pm", "∓": "mp", "√": "sqrt",
    "≤": "le", "≥": "ge", "≦": "le", "≧": "ge", "⩽": "le", "⩾": "ge", "≠": "ne", "≈": "approx", "≡": "equiv",
    "≅": "cong", "∼": "sim", "∝": "propto", "∞": "infty", "∑": "sum", "∏": "prod", "∫": "int", "∂": "partial",
    "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "⊃": "supset", "⊇": "supseteq", "∪": "cup", "∩": "cap",
    "∅": "emptyset", "∀": "forall", "∃": "exists", "¬": "neg", "∧": "land", "∨": "lor", "→": "to", "⟶": "to",
    "⇒": "implies", "⟹": "implies", "⇔": "iff", "⟺": "iff", "←": "gets", "∠": "angle", "△": "triangle", "▵": "triangle",
    "∥": "parallel", "⊥": "perp", "⊙": "odot", "°": "degree", "º": "degree", "⌊": "lfloor", "⌋": "rfloor", "⌈": "lceil",
    "⌉": "rceil", "⟨": "langle", "⟩": "rangle", "…": "ldots", "⋯": "ldots", "⋮": "ldots", "∣": "mid", "‖": "Vert",
}  # fmt: skip
_PLAIN = {
    **dict.fromkeys("−‐‑‒–—―﹣－", "-"), **dict.fromkeys("‘’‛´", "'"), **dict.fromkeys("“”„«»", '"'),
    "′": "'", "″": "''",
    **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", ""),
    "⁄": "/", "∕": "/", "∶": ":", "∖": "\\setminus ", "。": ". ",
}  # fmt: skip

CHARACTERS: dict[int, str] = {
    **{ord(sign): f"\\frac{{{top}}}{{{bottom}}}" for sign, (top, bottom) in _FRACTIONS.items()},
    **{ord(sign): f"\\{name} " for sign, name in (_GREEK | _SYMBOLS).items()},
    **{ord(sign): plain for sign, plain in _PLAIN.items()},
}
"""For ``str.translate``: characters outside ASCII as LaTeX or ASCII writes them."""

COMMANDS: dict[str, str] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), "frac"),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), "binom"),
    **dict.fromkeys(("cdot", "times", "ast"), "*"),
    **dict.fromkeys(("le", "leq", "leqslant", "leqq"), "<="),
    **dict.fromkeys(("ge", "geq", "geqslant", "geqq"), ">="),
    **dict.fromkeys(("ne", "neq"), "! ="),
    **dict.fromkeys(("ldots", "dots", "cdots", "dotsc", "dotsb", "dotsm", "dotsi", "vdots"), "..."),
    **dict.fromkeys(("to", "rightarrow", "longrightarrow", "implies"), "->"),
    **dict.fromkeys(("iff", "leftrightarrow"), "<->"),
    **dict.fromkeys(("mid", "vert", "lvert", "rvert"), "|"),
    **dict.fromkeys(("degree", "textdegree"), "°"),
    **dict.fromkeys(("emptyset", "varnothing"), "∅"),
    **dict.fromkeys(("bmod", "mod", "pmod"), "mod"),
    **dict.fromkeys(("land", "wedge"), "∧"),
    **dict.fromkeys(("lor", "vee"), "∨"),
    **dict.fromkeys(("neg", "lnot"), "¬"),
    **dict.fromkeys(("epsilon", "varepsilon"), "epsilon"),
    **dict.fromkeys(("phi", "varphi"), "phi"),
    **dict.fromkeys(("theta", "vartheta"), "theta"),
    "lt": "<", "gt": ">", "in": "∈", "prime": "'", "colon": ":", "pm": "±", "div": "÷", "and": "∧", "or": "∨",
    "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "backslash": "\\",
}  # fmt: skip
"""What a command stands for, where it is not its own name."""

SILENT = _words(
    "left right middle big bigl bigr bigm bigg biggl biggr biggm displaystyle textstyle scriptstyle limits nolimits "
    "quad qquad thinspace enspace noindent hfill newline par centering allowbreak nonumber notag smallskip medskip "
    "bigskip space ensuremath rm bf it sf tt"
)
"""Commands of layout alone."""

STYLES = _words(
    "text textbf textit textrm texttt textsf textsc textnormal mbox hbox fbox mathrm mathbf mathit mathsf mathtt "
    "mathbb mathcal mathfrak mathnormal boldsymbol bm operatorname emph underbrace"
)
"""Commands whose braces hold what is shown, in another type."""

TABLES = _words("matrix pmatrix bmatrix vmatrix smallmatrix array tabular cases")
"""Environments in which ``&`` and a double backslash part entries; elsewhere they are layout."""

NAMES = _words(
    "sqrt sin cos tan cot sec csc sinh cosh tanh log ln lg exp abs min max floor ceil mod gcd lcm det arcsin arccos "
    "arctan alpha beta gamma delta epsilon theta lambda mu pi rho sigma tau phi psi omega"
)
"""Names of functions and letters: a hyphen beside one is a minus."""

COMPOUNDS = _words(
    "one two six ten to by way non re pre co day box gon th cm km mm inch foot mile year old axis sum free up off in "
    "on the of and bit man men odd even semi"
)
"""Short words of hyphenated ones: ``by`` in ``3-by-3``."""
