"""Formulas as MathML keep what LaTeX says; a command without an element is an error."""

import re

import pytest

from hermescape.mathml import aligned, formula
from theory.errors import UnsupportedExpressionError
from theory.typeset.layout import Line


def test_formulas_keep_what_latex_says() -> None:
    assert '<mi mathvariant="normal">He</mi>' in formula(r"\mathrm{He}_{k}")
    assert "<mo>∼</mo>" in formula(r"x \sim y")
    assert 'stretchy="false"' in formula(r"\left(a + b\right)")
    assert 'stretchy="true"' in formula(r"\left(\frac{a}{b}\right)")
    assert formula(r"\log d").count('rspace="0.167em"') == 1
    assert formula(r"\log{\left(d\right)}").count('rspace="0"') == 1
    assert formula(r"\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)").count("<mtd>") == 4


@pytest.mark.parametrize("tex", [r"\unknown{x}", r"\left( \unknown \right)", r"\frac{", "x^"])
def test_latex_without_mathml_is_an_error(tex: str) -> None:
    with pytest.raises(UnsupportedExpressionError, match="accepted"):
        formula(tex)


def test_only_the_first_line_of_an_equation_has_a_number() -> None:
    lines = [Line("one", "a", "= b"), Line(None, "", r"\quad + c"), Line("two", "d", "= e")]
    text = aligned(lines, {"one": 7, "two": 8}.__getitem__)
    assert re.findall(r"\(\d\)", text) == ["(7)", "(8)"]
    assert re.findall('id="([^"]*)"', text) == ["eq-one", "eq-two"]
    assert text.count("<mtr") == 3


def test_without_numbers_there_is_no_id_either() -> None:
    text = aligned([Line("one", "a", "= b")])
    assert 'id="' not in text
    assert "<mtext>" not in text
