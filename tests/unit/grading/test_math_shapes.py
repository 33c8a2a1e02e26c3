from __future__ import annotations

import pytest

from recipes.grading.math_guard import may_explode
from recipes.grading.math_numbers import decimal_comma, decimal_literal, mixed, without_thousands
from recipes.grading.math_shapes import (
    Items,
    Leaf,
    Matrix,
    Named,
    Relation,
    Shape,
    UnionOf,
    is_name,
    read,
)
from recipes.grading.math_text import math_segments, normalize, undelimited, without_segments
from recipes.grading.math_words import Quantity, quantity, time_of_day, units_agree, words


def shown(shape: Shape) -> str:
    if isinstance(shape, Items):
        inner = " ".join(map(shown, shape.items))
        return f"{shape.kind}{shape.brackets}<{inner}>"
    if isinstance(shape, Named):
        return f"{shape.name}:{shown(shape.value)}"
    if isinstance(shape, UnionOf):
        return "union<" + " ".join(map(shown, shape.parts)) + ">"
    if isinstance(shape, Matrix):
        return "matrix<" + "; ".join(" ".join(map(shown, row)) for row in shape.rows) + ">"
    if isinstance(shape, Relation):
        return " ".join(part for pair in zip(shape.sides, (*shape.operators, ""), strict=True) for part in pair).strip()
    return shape.text if isinstance(shape, Leaf) else f"'{shape.text}'"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("5", "5"),
        ("{5}", "5"),
        ("1,2", "list<1 2>"),
        (r"1,2\text{ and }3", "list<1 2 3>"),
        ("1 or 2", "list<1 2>"),
        (r"\{1,2\}", "set<1 2>"),
        ("(1,2)", "tuple()<1 2>"),
        ("[0,1)", "tuple[)<0 1>"),
        (r"\langle 1,2\rangle", "tuple()<1 2>"),
        ("((1,2))", "tuple()<1 2>"),
        ("(x+1)(x+2)", "(x+1)(x+2)"),
        ("(5)", "(5)"),
        ("(0,1)\\cup[2,3]", "union<tuple()<0 1> tuple[]<2 3>>"),
        (r"2\pm 1", "list<2+ 1 2- 1>"),
        (r"\{1\pm 2,3\}", "set<1+ 2 1- 2 3>"),
        (r"a\pm b\mp c", "list<a+ b- c a- b+ c>"),
        ("x=5", "x:5"),
        ("5=x", "x:5"),
        (r"x\in[0,1]", "x:tuple[]<0 1>"),
        ("x=1,y=2", "list<x:1 y:2>"),
        ("x=1,x=2", "list<1 2>"),
        ("n=1,2,3", "list<1 2 3>"),
        ("x=1+1=2", "x:2"),
        (r"x=1/3\approx 0.33", "x:1/3"),
        (r"\sqrt2\approx 1.41", r"\sqrt2"),
        ("x+y=5", "x+y = 5"),
        (r"0<x\le 1", r"0 < x \le 1"),
        (r"\begin{pmatrix}1&2\\3&4\\\end{pmatrix}", "matrix<1 2; 3 4>"),
        (r"(\begin{array}{cc}1&2\end{array})", "matrix<1 2>"),
        (r"\text{Even}", "'even'"),
        ("Monday", "'monday'"),
        ("(1,2", "(1,2"),
        (r"\{x:x>2\}", r"\{x:x>2\}"),
    ],
)
def test_forms(text: str, form: str) -> None:
    assert shown(read(text)) == form


@pytest.mark.parametrize("text", ["x", "x_1", "f(x)", "(x,y)", r"\theta", "AB", r"\text{area}", r"\angle ABC", "f'(x)"])
def test_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "2x", "x+y", "x^2", "5", "e", "i", r"\pi", r"\sin x", "(1,2)", r"\text{4 cm}"])
def test_no_names(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"5\text{ cm}^2", Quantity("5", "centimeter^2")),
        ("10 square units", Quantity("10", "unit^2")),
        (r"10\text{ sq ft}", Quantity("10", "foot^2")),
        ("10weeks", Quantity("10", "week")),
        ("10m", Quantity("10m", None)),
        (r"10\text{ m}", Quantity("10", "meter")),
        (r"\$5", Quantity("5", "dollar")),
        (r"-\$5", Quantity("-5", "dollar")),
        (r"\$5\text{ million}", Quantity("5", "dollar")),
        (r"20\%", Quantity("20", "percent")),
        ("20 percent", Quantity("20", "percent")),
        (r"90^\circ", Quantity("90", "degree")),
        (r"x\text{ is even}", Quantity(r"x\text{ is even}", None)),
    ],
)
def test_quantities(text: str, expected: Quantity) -> None:
    assert quantity(text) == expected


def test_units_that_agree() -> None:
    assert units_agree(None, "mile") and units_agree("mile", "mile")
    assert units_agree("different ways", "ways")
    assert not units_agree("boys", "girls")
    assert not units_agree("centimeter", "centimeter^2")
    assert not units_agree("mile per hour", "mile")


def test_words_and_times() -> None:
    assert words(r"\text{(A)}") == "a"
    assert words("ab") is None and words("abcd") == "abcd"
    assert words(r"\text{North-East.}") == "north east"
    assert words("x+1") is None
    assert time_of_day("20:34") == time_of_day(r"8:34\text{ p.m.}") == (20, 34, 0)
    assert time_of_day(r"12:05\text{ AM}") == (0, 5, 0)
    assert time_of_day("3:4") is None


def test_numbers_in_digits() -> None:
    assert decimal_literal(r"1.50\cdot 10^{3}").value == 1500  # type: ignore[union-attr]
    assert decimal_literal("2e-3").decimals == 3  # type: ignore[union-attr]
    assert decimal_literal("1.") is not None and decimal_literal(".") is None and decimal_literal("x") is None
    assert decimal_literal("0.333333").precise and decimal_literal("1234.567").precise  # type: ignore[union-attr]
    assert not decimal_literal("0.33333").precise and not decimal_literal("0.000001").precise  # type: ignore[union-attr]
    assert not decimal_literal("1234567").precise  # type: ignore[union-attr]
    assert without_thousands("1,234,567 and 12,34 and 1, 234") == "1234567 and 12,34 and 1, 234"
    assert without_thousands("1 000 000") == "1000000"
    assert mixed("2 1/2") == r"2\frac{1}{2}" and mixed("1/2 1/2") == "1/2 1/2"
    assert decimal_comma("2,74") == "2.74" and decimal_comma("0,5") == "0.5" and decimal_comma("1,5") is None


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        (r"\left( 1 , 2 \right)", "(1,2)"),
        (r"$\dfrac{ 1 }{ 2 }$.", r"\frac{1}{2}"),
        ("1½", r"1\frac{1}{2}"),
        ("√15 + 2√(x+1)", r"\sqrt{15}+2\sqrt{x+1}"),
        ("x²⁺ⁿ", "x^{2+n}"),
        (r"11,\! 111,\! 100", "11111100"),
        (r"14 {, }916", "14916"),
        ("3, 125", "3, 125"),
        (r"\pi r", r"\pi r"),
        (r"\mathrm{e}^{\mathrm i}", "e^{i}"),
        (r"5\,\mathrm{m}", r"5\text{ m}"),
        (r"\textbf{(A) }", r"\text{(A) }"),
        (r"\operatorname{arctan} x", r"\arctan x"),
        (r"x \leqslant 2", r"x\le 2"),
        ("1\n2", "1, 2"),
        ("1 +\n2", "1+2"),
        (r"\boxed{5}", "{5}"),
        ("185\\", "185"),
        ("1, 2, ...", "1, 2,..."),
    ],
)
def test_normalizing(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


def test_segments() -> None:
    text = r"If $x$ then \(y\), \[z\] and $ " + "\n w $"
    assert math_segments(text) == ["x", "y", "z"]
    assert without_segments("a $x$ b") == "a   b"
    assert undelimited(" **$5$.** ") == "5"


@pytest.mark.parametrize(
    "text", ["5!", "2^{10000}", "2^{x^2}", r"\int x", r"\sum_{k=1}^{1000}k", "1+", "{", "(", "the dogs", "x" * 301]
)
def test_what_the_library_never_sees(text: str) -> None:
    assert may_explode(text)


@pytest.mark.parametrize(
    "text", [r"\sum_{k=1}^{4}k", r"\begin{pmatrix}1&2\end{pmatrix}+x", r"-[0,1)", r"F_n=F_{n-1}+1"]
)
def test_what_the_library_may_see(text: str) -> None:
    assert not may_explode(text)
