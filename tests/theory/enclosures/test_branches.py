"""Proved branches against SymPy's own evaluation of the function, and those of `theory.calculus.pieces`."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.theory.enclosures.test_balls import contains
from theory.calculus.pieces import pieces
from theory.enclosures.balls import constant, precision
from theory.enclosures.branches import branches
from theory.enclosures.zeros import exact, place
from theory.errors import NotCertifiedError
from theory.symbols import x

SWITCHED = [
    sp.Max(x, 0),
    sp.Max(x, 0) + sp.Min(0, sp.exp(x) - 1),
    sp.Max(-1, sp.Min(1, x)),
    sp.Abs(sp.tanh(x) - sp.Rational(1, 3)) * sp.Max(x - 1, 0),
    sp.sign(x**3 - 2 * x) * x,
    sp.Heaviside(sp.exp(x) - 2) + sp.Heaviside(x + sp.Float("0.1")),
    sp.Piecewise((x**2, (x > 1) & (x < 3)), (sp.exp(x), x < -1), (0, True)),
    sp.Max(x, -x / 10, sp.sqrt(2) - x**2),
    sp.Max(sp.Max(sp.exp(x) - 3, 0), 2 * (sp.exp(x) - 3)),
    sp.Abs(sp.Abs(x) - 1),
    sp.Max(0, 1 - x**2) ** 2,
]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(SWITCHED), st.fractions(min_value=-6, max_value=6, max_denominator=997))
def test_the_branch_is_the_function(f: sp.Expr, point: Fraction) -> None:
    split = branches(f)
    with precision(64):
        ends = [exact(place(cut).mid()) for cut in split.cuts]
    assert ends == sorted(ends)
    assume(point not in ends)  # where a value is a convention
    part = split.parts[sum(end < point for end in ends)]
    there = sp.Rational(point.numerator, point.denominator)
    f = f.xreplace({number: sp.Rational(str(number)) for number in f.atoms(sp.Float)})
    with precision(128), mpmath.workdps(400):
        assert contains(constant(part.subs(x, there)), mpmath.mpmathify(sp.N(f.subs(x, there), 380)))


@pytest.mark.parametrize("f", SWITCHED)
def test_as_many_as_pieces_has(f: sp.Expr) -> None:
    known, found = pieces(f), branches(f)
    with precision(64):
        ours = [float(place(cut)) for cut in found.cuts]
    assert ours == pytest.approx([float(c) for c in known.breakpoints], abs=1e-14)


@pytest.mark.parametrize(
    ("f", "is_continuous"),
    [
        (sp.Max(sp.exp(x) - 3, 0), True),
        (sp.tanh(sp.Max(sp.exp(x) - 3, 0)), True),
        (x * sp.Abs(sp.tanh(x) - sp.Rational(1, 3)), True),
        (sp.Heaviside(sp.exp(x) - 3), False),
        (sp.sign(x), False),
        (x * sp.sign(x), True),
    ],
)
def test_continuity(f: sp.Expr, is_continuous: bool) -> None:
    assert branches(f).is_continuous == is_continuous


@pytest.mark.parametrize("f", [sp.Abs(sp.sin(x)), sp.Max(x, sp.exp(x) - 1), sp.Abs(sp.exp(x) - 1 - x)])
def test_what_is_open_is_said(f: sp.Expr) -> None:
    with pytest.raises(NotCertifiedError):
        branches(f)
