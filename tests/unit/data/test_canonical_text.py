"""Canonical prompts: layouts that must not show, differences that must."""

# ruff: noqa: RUF001 - signs that look alike are what this file is about

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.canonical_text import canonical_sentences, canonical_text

SAME = {
    "case": ("Find X", "FIND x"),
    "blanks": ("  Find\n\t x\u00a0+ 1 ", "Find x+1"),
    "zero-width": ("Fi\u200bnd\ufeff x", "Find x"),
    "Unicode form": ("caf\u00e9 \uff11\uff12", "cafe\u0301 12"),
    "ligatures and letters in styles": ("ﬁve ℝ 𝑥", "five R x"),
    "fractions": (r"$\dfrac{1}{2} \tfrac ab \frac1x \cfrac12$", r"$\frac12 \frac{a}{b} \frac{1}{x} \frac{1}{2}$"),
    "vulgar fraction": ("½ of it", r"$\frac{1}{2}$ of it"),
    "delimiters": (r"\(x\) \[y\] $$z$$", "$x$ $y$ z"),
    "left, right and sizes": (r"\left( x \right) \bigl[ y \Bigr]", "(x) [y]"),
    "null delimiter": (r"\left\{ x \right.", r"\{ x"),
    "products": (r"a \cdot b \times c", "a × b * c"),
    "thin spaces": (r"a\,b\;c\:d\!e\quad f~g\ h \hspace{1cm} i", "a b c d e f g h i"),
    "types": (r"\text{if } \mbox{x is} \mathrm{cm} \operatorname{lcm} \textbf{not}", "if x is cm lcm not"),
    "types with words in them": (r"\text{the number of apples}", "the number of apples"),
    "comparisons": (r"a \le b \geq c \neq d \leqslant e", "a ≤ b ≥ c ≠ d <= e"),
    "scripts": ("x^{2} + y_{1} = x^{10}", "x^2 + y_1 = x^10"),
    "superscripts": ("x² y₁ z⁻¹", "x^2 y_1 z^{-1}"),
    "empty scripts": ("m+n^{}_{}. x_{ }^{2}", "m+n. x^2"),
    "thousands": (r"1{,}000 and 2,000,000 and 3\,000", "1000 and 2000000 and 3000"),
    "degrees": (r"30^\circ 40^{\circ} 50\degree", "30° 40° 50°"),
    "dots": (r"1, \ldots, n \dots \cdots ... ..", "1, …, n … … … …"),
    "possessive of mathematics": (r"$A$'s area", r"\(A\)'s area"),
    "possessive of a script": ("the a_i's", "the a_{i}'s"),
    "quoted operators": ("the '*' is any; the '*' of it", "the '*'  is any the '*' of it"),
    "blanks in a ratio": ("3 \n : 4", "3:4"),
    "not equal": ("i!=j", r"i != j"),
    "factorial before an equals sign": ("5!=120", "5! = 120"),
    "primes": (r"f^{\prime}(x) g^\prime f^{\prime\prime}(x)", "f'(x) g' f''(x)"),
    "signs": ("5 − 3 – 2 ÷ 4 ± 1", r"5-3-2 \div 4 \pm 1"),
    "Greek": ("π + θ − Δ", r"\pi + \theta - \Delta"),
    "names of commands": (r"\triangle ABC, \sin x", "triangle ABC, sin x"),
    "quotes and apostrophes": ("“Anna’s” book isn’t «here»", "Anna's \"book\" isn't 'here'"),
    "punctuation": ("First, add; then (later): stop!", "First add then (later) stop."),
    "Markdown": ("# Task\n**Find** *the* `sum` of __all__:", "Task Find the sum of all"),
    "a dash": ("Given — the sum", "Given the sum"),
    "a bullet in the middle": ("It holds\n* the sum is x\n- x > 0", "It holds the sum is x - x > 0"),
    "a bullet": ("Given:\n- the sum", "Given: the sum"),
    "hyphens of words": ("a two-digit, one-to-one 3-digit 3-by-3 n-gon", "a two digit one to one 3 digit 3 by 3 n gon"),
    "hyphens after formulas": (r"the $n$-th \(p_{1}\)-th $x^{2}$-digit", "the n th p_1 th x^2 digit"),
    "currency": (r"It costs \$5 and $6", "It costs 5 and 6"),
    "percent": (r"5\% of 6", "5 % of 6"),
    "modulus": (r"a \equiv b \pmod{n+1}", "a ≡ b (mod n+1)"),
    "alignment": (r"\begin{align*} a &= b \\ c &= d \end{align*}", "a = b c = d"),
    "column types": (r"\begin{array}{cl} 1 & 2 \end{array}", r"\begin{array}{rr} 1 & 2 \end{array}"),
    "HTML": ("a &lt; b<br/>c&nbsp;d", "a < b c d"),
    "leading zero": (".5", "0.5"),
    "instruction": (r"Find x. Please reason step by step, and put your final answer within \boxed{}.", "Find x."),
}
DIFFERENT = {
    "sign": ("x+1", "x-1"),
    "minus before a letter": ("5-x", "5x"),
    "minus between short products": ("ab - cd", "ab cd"),
    "minus before a spaced function": ("sin x - cos y", "sin x cos y"),
    "minus before a function": (r"3-\sqrt{2}", r"3\sqrt{2}"),
    "minus before a plain function": ("3-sqrt(2)", "3 sqrt(2)"),
    "number": ("12 apples", "1 2 apples"),
    "decimal": ("1.5", "15"),
    "list": ("f(1,2)", "f(12)"),
    "variable": ("Find x", "Find y"),
    "comparison": ("a < b", "a > b"),
    "strictness": (r"a \le b", "a < b"),
    "exponent": ("x^2y", "x^{2y}"),
    "letters of an exponent": ("x^ab", "x^{ab}"),
    "product and power": ("2x", "2^x"),
    "subscript": ("x_1", "x 1"),
    "superscript": ("x²", "x2"),
    "factorial": ("n! + 1", "n + 1"),
    "prime": ("f'(x)", "f(x)"),
    "primed points": ("A'B'C'", "ABC"),
    "brackets": ("(0, 1]", "[0, 1]"),
    "ratio": ("3:4", "3, 4"),
    "fraction": (r"\frac{1}{23}", r"\frac{12}{3}"),
    "function": (r"\sin x", r"\cos x"),
    "degree": ("30°", "30"),
    "percent": ("5%", "5"),
    "membership": (r"x \in A", r"x \notin A"),
    "quantity of dots": ("1, ..., n", "1, n"),
    "rows of a matrix": (r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}", r"\begin{pmatrix}1 & 2 & 3 & 4\end{pmatrix}"),
    "determinant": (r"\begin{vmatrix}1\end{vmatrix}", r"\begin{pmatrix}1\end{pmatrix}"),
    "products of vectors": (r"\vec a \cdot \vec b", r"\vec a \times \vec b"),
    "word": ("the greatest", "the least"),
    "line over": (r"\overline{ab}", "ab"),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_layout_does_not_show(pair: tuple[str, str]) -> None:
    assert canonical_text(pair[0]) == canonical_text(pair[1])


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_makes_another_problem_shows(pair: tuple[str, str]) -> None:
    assert canonical_text(pair[0]) != canonical_text(pair[1])


def test_tokens() -> None:
    text = r"Let $\frac{3}{x^{2}} \le 1{,}000$. Is $f'(x)$ even? (See A.) Yes"
    assert canonical_sentences(text) == [
        ["let", "frac", "3", "{", "x", "^", "2", "}", "<=", "1000"],
        ["is", "f", "'", "(", "x", ")", "even"],
        ["(", "see", "a", ")"],
        ["yes"],
    ]


def test_sentences_end_before_blanks_alone() -> None:
    assert canonical_sentences("It is 3.5 m. So $x = 5.$ Find \\[y = 2.\\] Then 5.Stop, e.g. here") == [
        ["it", "is", "3.5", "m"],
        ["so", "x", "=", "5"],
        ["find", "y", "=", "2"],
        ["then", "5", "stop", "e", "g"],
        ["here"],
    ]


def test_an_instruction_alone_is_the_problem() -> None:
    assert canonical_text("Please reason step by step.") == "please reason step by step"


def test_languages_without_blanks_have_a_token_for_each_character() -> None:
    assert canonical_sentences("求x的值。答") == [["求", "x", "的", "值"], ["答"]]


PIECES = (
    "x",
    "Y",
    "12",
    "1,000",
    ".5",
    " ",
    "\n",
    "{",
    "}",
    "$",
    "\\frac",
    "\\left",
    "\\",
    "^",
    "_",
    "-",
    "'",
    "!",
    ".",
)
MORE = ("*", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", "²", "½", "≤", "é", "\u0301", "\0", "text", "\\text")


@given(st.lists(st.sampled_from(PIECES + MORE), max_size=25).map("".join))
def test_any_text_has_tokens_without_blanks(text: str) -> None:
    sentences = canonical_sentences(text)
    assert all(
        sentence and all(token and token == "".join(token.split()) for token in sentence) for sentence in sentences
    )
    assert canonical_text(f" {text}\n") == canonical_text(text)


@given(st.lists(st.sampled_from("abcxyz0123456789+-=<>()^*/| "), max_size=30).map("".join))
def test_plain_mathematics_keeps_every_sign(text: str) -> None:
    kept = [sign for sign in text if sign in "+=<>()^/|"]
    assert [sign for sign in canonical_text(text) if sign in "+=<>()^/|"] == kept
