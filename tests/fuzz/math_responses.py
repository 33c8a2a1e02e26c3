r"""Random, mutated and hostile mathematics responses with gold answers, repeatable from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

GENERATED_GOLDS = (
    "42", "-7", "016", "10,000", "0.125", r"\frac{3}{7}", r"1\frac{1}{2}", r"50\%", r"90^\circ", r"\$12.50",
    r"15\text{ cm}^2",
    r"2\sqrt{3}", r"\frac{1+\sqrt{5}}{2}", r"\frac{\pi}{6}", "1-e^{-1}", "3+4i", "2^{99}", r"\binom{20}{10}", "25!",
    r"\log_2 3",
    "x^2-3x+2", "(x-1)(x-2)", r"\frac{n(n+1)}{2}", r"\sin^2 x", "y=2x+1", "x+y=7", "x=5", r"x \ge 3",
    r"-1 < x \le 4", "[0,1)",
    r"(-\infty,2)\cup(2,\infty)", "(1,2)", "(3,-1,4)", r"\{1,2,3\}", "1,2,3", r"2\pm\sqrt{3}", r"\infty", "1011_2",
    "12:30",
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", r"\text{even}", "(C)",
    r"\text{Monday}",
    r"\mathbb{R}", r"f(2)<f(1)<f(4)", r"\sum_{k=1}^{4}k",
)  # fmt: skip


class Case(NamedTuple):
    kind: str
    response: str
    gold: str
    same: bool
    """Whether the response surely gives the gold answer."""


def cases(seed: int, count: int, golds: Sequence[str] = GENERATED_GOLDS) -> Iterator[Case]:
    """``count`` cases; the same for the same arguments."""
    source = random.Random(seed)
    makers = [*_MAKERS]
    for _ in range(count):
        maker = source.choices(makers, weights=[_MAKERS[maker] for maker in makers])[0]
        yield maker(source, source.choice(golds))


def _boxed(answer: str) -> str:
    return rf"<think>Let me see.</think>The answer is \boxed{{{answer}}}."


def _itself(source: random.Random, gold: str) -> Case:
    return Case("gold itself", _boxed(gold), gold, same=True)


def _restyled(source: random.Random, gold: str) -> Case:
    r"""Changes that LaTeX does not show."""
    answer = gold
    for old, new in (
        (r"\frac", r"\dfrac"),
        ("(", r"\left("),
        (")", r"\right)"),
        ("+", " + "),
        ("-", " -"),
        ("=", " = "),
    ):
        if source.random() < 0.5 and r"\begin" not in gold and r"\text" not in gold:
            answer = answer.replace(old, new)
    answer = source.choice(["{}", "${}$", " {} ", r"\displaystyle {}", "{}.", r"\({}\)"]).format(answer)
    return Case("restyled gold", _boxed(answer), gold, same=True)


def _mutated(source: random.Random, gold: str) -> Case:
    characters = list(gold)
    for _ in range(source.randint(1, 4)):
        position = source.randrange(len(characters) + 1)
        action = source.random()
        if action < 0.4:
            characters.insert(position, source.choice(_PIECES))
        elif characters and action < 0.8:
            characters[position % len(characters)] = source.choice(_PIECES)
        elif characters:
            del characters[position % len(characters)]
    return Case("mutated gold", _boxed("".join(characters)), gold, same=False)


def _grammatical(source: random.Random, gold: str) -> Case:
    return Case("random expression", _boxed(expression(source, source.randint(1, 6))), gold, same=False)


def _two_expressions(source: random.Random, gold: str) -> Case:
    depth = source.randint(1, 4)
    return Case("two expressions", _boxed(expression(source, depth)), expression(source, depth), same=False)


def _noise(source: random.Random, gold: str) -> Case:
    pieces = (source.choice(_PIECES) for _ in range(source.randint(0, 200)))
    wrapped = _boxed if source.random() < 0.7 else str
    return Case("noise", wrapped("".join(pieces)), gold, same=False)


def _unicode(source: random.Random, gold: str) -> Case:
    characters = (
        chr(source.choice((source.randrange(0x300), source.randrange(0x110000)))) for _ in range(source.randint(1, 80))
    )
    return Case("unicode", _boxed("".join(characters)), gold, same=False)


def _hostile(source: random.Random, gold: str) -> Case:
    answer = source.choice(HOSTILE)(source.randint(2, 400))
    return Case("hostile", _boxed(answer), gold, same=False)


def _hostile_response(source: random.Random, gold: str) -> Case:
    size = source.choice((1_000, 10_000, 1_000_000)) if source.random() < 0.05 else source.randint(10, 2_000)
    unit = source.choice(
        (r"\boxed{1}", r"\boxed{", "}", "{", "\\", "$", "</think>", "<think>", " ", "9", r"\boxed{3}, ", "\n")
    )
    response = "<think></think>" + unit * (size // len(unit)) + source.choice(("", r"\boxed{5}"))
    return Case("hostile response", response, gold, same=False)


_MAKERS: dict[Callable[[random.Random, str], Case], float] = {
    _itself: 10,
    _restyled: 15,
    _mutated: 25,
    _grammatical: 15,
    _two_expressions: 10,
    _noise: 8,
    _unicode: 5,
    _hostile: 10,
    _hostile_response: 2,
}

_PIECES = (
    *"0123456789+-*/^_=<>!|.,;:()[]{}$%&~'\" abcdefxyzneiABC\n\t\x00\\",
    r"\frac", r"\sqrt", r"\pi", r"\cdot", r"\pm", r"\infty", r"\left(", r"\right)", r"\{", r"\}", r"\text{",
    r"\text{ and }", r"\%",
    r"\circ", r"\le", r"\cup", r"\in", r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", r"\sin", r"\log_", r"\binom",
    r"\sum_{k=1}^{9}",
    r"\int_0^1", "{,}", "\u221a", "\u00b2", "\u00bd", "\u2212", "\u03c0", "\u221e", "\ud800", "**", "10^", "!",
    "999999", "0.0",
)  # fmt: skip


def expression(source: random.Random, depth: int) -> str:
    """A random expression in LaTeX, most of them well-formed."""
    if depth <= 0:
        return source.choice(
            [
                "x",
                "y",
                "n",
                "a_1",
                r"\pi",
                "e",
                "i",
                str(source.randint(0, 12)),
                str(source.randint(0, 10**9)),
                "0.5",
                r"\theta",
            ]
        )
    inner = [expression(source, depth - 1 - source.randint(0, 1)) for _ in range(3)]
    a, b, c = inner
    template = source.choice(
        [
            f"{a}+{b}", f"{a}-{b}", f"{a}{b}", rf"{a}\cdot {b}", f"{a}/{b}", f"({a})", rf"\frac{{{a}}}{{{b}}}",
            rf"\sqrt{{{a}}}",
            rf"\sqrt[3]{{{a}}}", f"({a})^{{{b}}}", f"{a}^2", f"({a})!", rf"\binom{{{a}}}{{{b}}}", rf"\sin({a})",
            rf"\ln {a}",
            f"|{a}|", f"-{a}", rf"{a}\pm {b}", f"{a}, {b}", f"({a},{b})", f"[{a},{b})", rf"\{{{a},{b},{c}\}}",
            f"{a}={b}",
            rf"{a}\le {b}", rf"({a},{b})\cup({b},{c})", rf"\begin{{pmatrix}}{a}&{b}\\{b}&{c}\end{{pmatrix}}", rf"{a}\%",
            rf"{a}\text{{ cm}}", rf"{a}^\circ", rf"\lfloor {a} \rfloor", rf"\log_{{{a}}} {b}",
            rf"\sum_{{k=1}}^{{{a}}} {b}",
            rf"\int_0^{{{a}}} {b}\,dx", rf"{a} \text{{ and }} {b}", rf"\arctan\left({a}\right)", rf"e^{{{a}}}",
        ]
    )  # fmt: skip
    return template


HOSTILE: tuple[Callable[[int], str], ...] = (
    lambda n: "^{".join(["9"] * min(n, 200)) + "}" * (min(n, 200) - 1),
    lambda n: "10^{10^{10}}" + "+1" * (n % 5),
    lambda n: "2^{" + "9" * min(n, 300) + "}",
    lambda n: f"{10**6 + n}!",
    lambda n: f"(10^{{{n}}})!",
    lambda n: "3" + "!" * n,
    lambda n: rf"\binom{{{10**9 + n}}}{{{10**8 + n}}}",
    lambda n: rf"\sum_{{k=1}}^{{{10**8 + n}}} \frac{{1}}{{k^2}}",
    lambda n: rf"\prod_{{k=1}}^{{{10**7 + n}}} k",
    lambda n: rf"\int_0^{{{n}}} e^{{-x^{n}}} \sin(x^x)\,dx",
    lambda n: "(" * n + "x" + ")" * n,
    lambda n: "(" * (5 * n),
    lambda n: r"\frac{1}{" * min(n, 100) + "x" + "}" * min(n, 100),
    lambda n: r"\sqrt{" * min(n, 120) + "2" + "}" * min(n, 120),
    lambda n: "+".join(f"x_{{{k}}}^{{{k}}}" for k in range(min(n, 100))),
    lambda n: "(" + "+".join("abcdefghjk") + f")^{{{n}}}",
    lambda n: "9" * min(3 * n, 990),
    lambda n: "0." + "3" * min(3 * n, 990),
    lambda n: "1," * min(n, 490),
    lambda n: r"\{" + ",".join(map(str, range(min(n, 250)))) + r"\}",
    lambda n: r"\pm 1" * min(n, 150),
    lambda n: "=".join(["x"] * min(n, 300)),
    lambda n: "|" * n,
    lambda n: r"\text{" * min(n, 150),
    lambda n: r"\begin{pmatrix}" + r"1&2\\" * min(n, 120) + r"\end{pmatrix}",
    lambda n: "\x00" * n,
    lambda n: "\ud800\udfff" * n,
    lambda n: "{" * n + "5" + "}" * n,
    lambda n: r"\sin" * min(n, 240) + " x",
    lambda n: "-" * n + "5",
    lambda n: f"x^{{{n}}}^{{{n}}}",
    lambda n: f"1e{n}" + "0" * (n % 4),
    lambda n: r"\left" * min(n, 150),
    lambda n: "1/" * min(n, 480) + "0",
    lambda n: f"e^{{e^{{e^{{e^{{{n}}}}}}}}}",
    lambda n: rf"\sin(10^{{{n}}}) + \tan(10^{{10^{{{n % 9}}}}})",
    lambda n: f"(2+\\sqrt{{3}})^{{{n * 1000}}}",
    lambda n: "5" + " " * n + "6",
)
