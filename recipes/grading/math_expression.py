r"""From normalised LaTeX to an expression tree: a small recursive descent parser with hard limits.

Covers what final answers are made of: numbers, symbols, ``+ - \cdot /``, juxtaposition, powers, roots, fractions,
factorials, binomials, absolute values, floors, elementary functions and degrees. Anything else raises
``NotAnExpression``; nothing is guessed. Time is linear in the tokens, depth and size are bounded, nothing is evaluated.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

MAX_TOKENS = 400
MAX_DEPTH = 60


class NotAnExpression(ValueError):
    """The text is no expression of the supported kind."""


class Ambiguous(NotAnExpression):
    """The text could be read in two ways, neither of which is taken: ``2 3``, ``2\\frac33``."""


class Node(NamedTuple):
    """``kind`` with its operands: nodes, or one Fraction for "number", or one name for "symbol"."""

    kind: str
    operands: tuple[Node | Fraction | str, ...]


ELEMENTARY = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc",
    "sinh", "cosh", "tanh", "coth", "ln", "log", "lg", "exp",
})  # fmt: skip
_CONSTANTS = {"pi": "pi", "e": "e", "i": "i", "I": "i"}
_GREEK = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu",
    "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "ell", "Gamma", "Delta", "Theta", "Lambda",
    "Xi", "Sigma", "Phi", "Psi", "Omega", "hbar",
})  # fmt: skip
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[0-9]+\.(?![0-9])|[A-Za-z]'*|\S")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+|[0-9]+\.")
_CLOSING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc"}


def parse_expression(normalized: str) -> Node:
    """The tree of one expression in the vocabulary of ``math_text.normalize``. Raises NotAnExpression."""
    tokens = _TOKEN.findall(normalized)
    if not tokens or len(tokens) > MAX_TOKENS:
        raise NotAnExpression(f"found {len(tokens)} tokens, expected 1 to {MAX_TOKENS}")
    parser = _Parser(tokens)
    tree = parser.sum()
    if parser.position != len(tokens):
        raise NotAnExpression(f"unexpected {tokens[parser.position]!r}")
    return tree


def number(value: int | Fraction) -> Node:
    return Node("number", (Fraction(value),))


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0  # open absolute values

    @property
    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.next
        if not token or (expected is not None and token != expected):
            raise NotAnExpression(f"expected {expected or 'more'}, found {token!r}")
        self.position += 1
        return token

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAnExpression("nested too deeply")
        tree = self.product()
        while self.next in ("+", "-"):
            operator = self.take()
            term = self.product()
            tree = Node("add", (tree, term if operator == "+" else Node("negative", (term,))))
        self.depth -= 1
        return tree

    def product(self) -> Node:
        if self.next in ("-", "+"):
            sign = self.take()
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise NotAnExpression("nested too deeply")
            inner = self.product()
            self.depth -= 1
            return Node("negative", (inner,)) if sign == "-" else inner
        tree = self.power()
        while True:
            if self.next in (r"\cdot", "/"):
                operator = self.take()
                factor = self.signed_power()
                tree = Node("multiply" if operator == r"\cdot" else "divide", (tree, factor))
            elif self.starts_factor(self.next):
                tree = self.juxtaposed(tree)
            else:
                return tree

    def juxtaposed(self, left: Node) -> Node:
        """``left`` times the next factor, or a mixed number; never two bare numbers side by side."""
        opens_fraction = self.next == r"\frac"
        bare = bool(_NUMBER.fullmatch(self.next)) and self.tokens[self.position - 1] != ")"
        right = self.power()
        last = left.operands[1] if left.kind == "multiply" else left
        if bare and last.kind != "power":  # type: ignore[union-attr]
            raise Ambiguous("a number after a factor")
        if opens_fraction and left.kind == "number" and right.kind == "divide":
            top, bottom = right.operands
            if top.kind == bottom.kind == "number":  # type: ignore[union-attr]
                return _mixed(left, right)
        return Node("multiply", (left, right))

    def signed_power(self) -> Node:
        if self.next in ("-", "+"):
            sign = self.take()
            inner = self.power()
            return Node("negative", (inner,)) if sign == "-" else inner
        return self.power()

    def starts_factor(self, token: str) -> bool:
        if not token:
            return False
        if token == "|":
            return not self.bars
        return bool(
            _NUMBER.fullmatch(token)
            or token[0].isalpha()
            or token in _CLOSING
            or token in (r"\frac", r"\sqrt", r"\binom", r"\operatorname")
            or (token[0] == "\\" and (token[1:] in ELEMENTARY or token[1:] in _GREEK or token[1:] in _CONSTANTS))
        )

    def power(self) -> Node:
        tree = self.postfix(self.primary())
        if self.next == "^":
            self.take()
            tree = Node("power", (tree, self.argument(signed=True)))
            tree = self.postfix(tree)
            if self.next == "^":
                raise NotAnExpression("double exponent")
        return tree

    def postfix(self, tree: Node) -> Node:
        while True:
            if self.next == "!":
                self.take()
                if self.next == "!":
                    raise NotAnExpression("double factorial")
                tree = Node("factorial", (tree,))
            elif self.next == "^" and self.tokens[self.position + 1 : self.position + 2] == [r"\circ"]:
                self.position += 2
                tree = Node("degrees", (tree,))
            elif self.next == r"\%":
                self.take()
                tree = Node("divide", (tree, number(100)))
            else:
                return tree

    def argument(self, *, signed: bool = False) -> Node:
        """What follows ``^``, ``_``, ``\\frac``: a braced group or the next single digit, letter or command."""
        token = self.next
        if token == "{":
            return self.group()
        if signed and token in ("-", "+"):  # 10^-3, as plain text writes it
            self.take()
            inner = self.whole_number() if _NUMBER.fullmatch(self.next) else self.primary()
            return Node("negative", (inner,)) if token == "-" else inner
        if signed and token == "(":
            return self.group()
        if _NUMBER.fullmatch(token) and len(token) > 1:
            if signed:
                return self.whole_number()  # LaTeX would raise the first digit alone; nobody who writes 2^10 means that
            first, rest = token[0], token[1:]  # \frac12 reads one digit
            if first == "." or "." in rest:
                raise NotAnExpression("a decimal without braces")
            self.tokens[self.position] = rest
            return number(int(first))
        if token in (r"\sqrt", r"\frac"):
            return self.primary()
        if token and (token[0].isalnum() or token[1:] in _GREEK or token[1:] in _CONSTANTS):
            return self.atom()
        raise NotAnExpression(f"no argument: {token!r}")

    def whole_number(self) -> Node:
        return number(Fraction(_decimal(self.take())))

    def group(self) -> Node:
        closing = _CLOSING[self.take()]
        tree = self.sum()
        self.take(closing)
        return tree

    def primary(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAnExpression("nested too deeply")
        tree = self.operand()
        self.depth -= 1
        return tree

    def operand(self) -> Node:
        token = self.next
        if token in ("(", "[", "{", r"\{"):
            if token == r"\{":
                raise NotAnExpression("a set")
            return self.group()
        if token in (r"\lfloor", r"\lceil"):
            return Node("floor" if token == r"\lfloor" else "ceiling", (self.group(),))
        if token == "|":
            self.take()
            self.bars += 1
            inner = self.sum()
            self.take("|")
            self.bars -= 1
            return Node("absolute", (inner,))
        if token == r"\frac":
            self.take()
            return Node("divide", (self.argument(), self.argument()))
        if token == r"\binom":
            self.take()
            return Node("binomial", (self.argument(), self.argument()))
        if token == r"\sqrt":
            return self.root()
        if token[:1] == "\\" and token[1:] in ELEMENTARY:
            return self.function()
        return self.atom()

    def root(self) -> Node:
        self.take()
        if self.next == "[":
            self.take()
            degree = self.sum()
            self.take("]")
            return Node("root", (self.argument(), degree))
        if self.next == "(":
            return Node("root", (self.group(), number(2)))
        return Node("root", (self.argument(), number(2)))

    def function(self) -> Node:
        r"""``\sin x``, ``\sin^2 x``, ``\sin^{-1} x``, ``\log_2 x``, ``\sin(x)^2``; ``\sin 2x y`` takes the product."""
        name = self.take()[1:]
        exponent: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.next == "_" and name in ("log", "ln") and base is None:
                self.take()
                base = self.argument()
            elif self.next == "^" and exponent is None:
                self.take()
                exponent = self.argument(signed=True)
        if exponent == Node("negative", (number(1),)):
            if name not in _INVERSE:
                raise NotAnExpression(f"an inverse of {name}")
            name, exponent = _INVERSE[name], None
        if self.next in ("(", "{", "["):
            argument = self.group()
        else:
            argument = self.power()
            while self.starts_factor(self.next) and self.next[1:] not in ELEMENTARY:
                argument = self.juxtaposed(argument)
        tree = (
            Node(name, (argument,)) if base is None else Node("divide", (Node("ln", (argument,)), Node("ln", (base,))))
        )
        return tree if exponent is None else Node("power", (tree, exponent))

    def atom(self) -> Node:
        token = self.take()
        if _NUMBER.fullmatch(token):
            return number(_decimal(token))
        name = token.lstrip("\\")
        if token[0] == "\\" and name not in _GREEK and name not in _CONSTANTS:
            raise NotAnExpression(f"unknown command {token!r}")
        if not name.rstrip("'").isalpha() or not name.isascii():
            raise NotAnExpression(f"unexpected {token!r}")
        if self.next == "_":
            self.take()
            return Node("symbol", (name + "_" + self.subscript(),))
        return Node("constant", (_CONSTANTS[name],)) if name in _CONSTANTS else Node("symbol", (name,))

    def subscript(self) -> str:
        if self.next != "{":
            return self.take()
        self.take()
        parts: list[str] = []
        while self.next != "}":
            if self.next == "{" or len(parts) > 12:
                raise NotAnExpression("a long subscript")
            parts.append(self.take())
        self.take()
        return "".join(parts)


def _decimal(token: str) -> Fraction:
    if len(token) > 1000:
        raise NotAnExpression("a number of more than a thousand digits")
    return Fraction("0" + token if token[0] == "." else token.rstrip("."))


def _mixed(whole: Node, fraction: Node) -> Node:
    r"""``1\frac12`` is one and a half; ``2\frac33`` is no proper mixed number, and no product either."""
    (units,) = whole.operands
    top, bottom = (part.operands[0] for part in fraction.operands)  # type: ignore[union-attr]
    integral = all(isinstance(part, Fraction) and part.denominator == 1 for part in (units, top, bottom))
    if not integral or not 0 <= top < bottom:  # type: ignore[operator]
        raise Ambiguous("a fraction after a number that is no mixed number")
    return Node("add", (whole, fraction))
