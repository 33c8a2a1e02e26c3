from __future__ import annotations

from fractions import Fraction

import pytest

from recipes.grading.math_expression import MAX_TOKENS, Ambiguous, Node, NotAnExpression, parse_expression


def shown(tree: Node) -> str:
    if tree.kind in ("number", "symbol", "constant"):
        return str(tree.operands[0])
    return f"{tree.kind}({', '.join(shown(operand) for operand in tree.operands)})"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("12.50", "25/2"),
        (".5", "1/2"),
        ("-2^2", "negative(power(2, 2))"),
        (r"2\cdot -3", "multiply(2, negative(3))"),
        ("a-b-c", "add(add(a, negative(b)), negative(c))"),
        ("1/2x", "multiply(divide(1, 2), x)"),
        ("2(x+1)", "multiply(2, add(x, 1))"),
        (r"\frac12", "divide(1, 2)"),
        (r"\frac1{72}", "divide(1, 72)"),
        (r"\frac{n}2", "divide(n, 2)"),
        (r"\frac\pi2", "divide(pi, 2)"),
        (r"1\frac12", "add(1, divide(1, 2))"),
        (r"x\frac12", "multiply(x, divide(1, 2))"),
        (r"\sqrt3", "root(3, 2)"),
        (r"\sqrt[3]{x}^2", "power(root(x, 3), 2)"),
        ("2^10", "power(2, 10)"),
        ("10^-3", "power(10, negative(3))"),
        ("x^{2/3}", "power(x, divide(2, 3))"),
        ("2^6 3^5 5^4", "multiply(multiply(power(2, 6), power(3, 5)), power(5, 4))"),
        (r"\sin 2x+1", "add(sin(multiply(2, x)), 1)"),
        (r"\sin^2(x)y", "multiply(power(sin(x), 2), y)"),
        (r"\sin^{-1} x", "arcsin(x)"),
        (r"2\sin b\cos a", "multiply(multiply(2, sin(b)), cos(a))"),
        (r"\log_2 8", "divide(ln(8), ln(2))"),
        (r"\sin(90^\circ-x)", "sin(add(degrees(90), negative(x)))"),
        ("|x-1|+|x|", "add(absolute(add(x, negative(1))), absolute(x))"),
        (r"\lfloor x\rfloor", "floor(x)"),
        (r"\binom{n}2", "binomial(n, 2)"),
        ("n!", "factorial(n)"),
        ("x_1+x_{12}", "add(x_1, x_12)"),
        ("f'", "f'"),
        ("ei", "multiply(e, i)"),
        (r"5\%", "divide(5, 100)"),
    ],
)
def test_trees(text: str, tree: str) -> None:
    assert shown(parse_expression(text)) == tree


@pytest.mark.parametrize("text", ["2 3", r"2\frac33", r"11\frac76", "x2", r"\pi 2"])
def test_what_could_be_read_in_two_ways_is_not_read(text: str) -> None:
    with pytest.raises(Ambiguous):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "1+",
        "(1",
        "1)",
        "a^b^c",
        "5!!",
        r"\frac{1}",
        r"\unknown",
        r"\{1\}",
        "1,2",
        "x=1",
        "é",
        "|",
        r"\sqrt",
        "^2",
    ],
)
def test_no_expressions(text: str) -> None:
    with pytest.raises(NotAnExpression):
        parse_expression(text)


@pytest.mark.parametrize(
    "text", ["(" * 90 + "1" + ")" * 90, r"\sqrt" * 150 + "2", "-" * 150 + "1", r"\sin" * 150 + "x"]
)
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(NotAnExpression, match="deep"):
        parse_expression(text)


def test_size_is_bounded() -> None:
    with pytest.raises(NotAnExpression, match=f"expected 1 to {MAX_TOKENS}"):
        parse_expression("1+" * MAX_TOKENS + "1")


def test_numbers_are_exact() -> None:
    assert parse_expression("0." + "1" * 40).operands == (Fraction(int("1" * 40), 10**40),)
