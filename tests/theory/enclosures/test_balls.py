"""Balls against mpmath at 40 digits, of the expressions as they are written."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from flint import acb, arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.enclosures.balls import constant, function, precision, real_number
from theory.enclosures.primitives import prepared
from theory.errors import NotCertifiedError
from theory.symbols import x, y

SMOOTH = [
    1 / (1 + sp.exp(-x)),
    sp.exp(x) / (1 + sp.exp(x)),
    sp.log(1 + sp.exp(100 * x)),
    sp.log(3 + 2 * sp.exp(-x)),
    x * sp.tanh(sp.log(1 + sp.exp(x))),
    1 - sp.tanh(x) ** 2,
    1 + sp.erf(x / sp.sqrt(2)),
    2 - sp.erfc(x),
    1 + 1 / sp.cosh(1000 * (x - sp.Float("0.3"))),
    1 / (2 + sp.sinh(x) ** 2) ** sp.Rational(3, 2),
    sp.asinh(x) + sp.atan(3 * x) * sp.exp(-(x**2)),
    sp.sqrt(1 + x**2) ** 3,
    (1 + x**2) ** sp.Rational(1, 3),
    sp.sin(x) / x,
    sp.cos(x) * sp.sin(3 * x) ** 2 / x**2,
    x**12 - 66 * x**10 + 1485 * x**8 - 13860 * x**6 + 51975 * x**4 - 62370 * x**2 + 10395,
    sp.exp(-((x - 1) ** 2)) * sp.erfi(x / 2),
    5 * sp.exp(-(10**6) * (x - sp.Float("0.3")) ** 2),
]


def oracle(expr: sp.Expr, point: Fraction) -> mpmath.mpf:
    """The value by mpmath from SymPy's own printing; 1,200 digits survive every cancellation met here."""
    expr = expr.xreplace({number: sp.Rational(str(number)) for number in expr.atoms(sp.Float)})
    with mpmath.workdps(1200):
        return sp.lambdify(x, expr, "mpmath")(mpmath.mpf(point.numerator) / point.denominator)


def contains(ball: arb, value: mpmath.mpf) -> bool:
    middle, radius = (
        mpmath.ldexp(int(m), int(e)) if m else mpmath.mpf(0) for m, e in (ball.mid().man_exp(), ball.rad().man_exp())
    )
    with mpmath.workdps(400):
        return bool(abs(middle - value) <= radius + abs(value) * mpmath.mpf(10) ** -300)


POINTS = st.fractions(min_value=-9, max_value=9, max_denominator=1000).filter(bool)


@settings(deadline=None)
@given(st.sampled_from(SMOOTH), POINTS, st.integers(0, 2), st.sampled_from([64, 192]))
def test_balls_contain_function_and_derivatives(expr: sp.Expr, point: Fraction, order: int, bits: int) -> None:
    with precision(bits):
        ball = function(sp.diff(prepared(expr), x, order), x)(acb(real_number(point)), analytic=True).real
    assert ball.is_finite()
    assert contains(ball, oracle(sp.diff(expr, x, order), point))


@settings(deadline=None)
@given(st.sampled_from(SMOOTH), POINTS, st.floats(0.001, 5))
def test_wide_balls_contain_what_lies_in_them(expr: sp.Expr, point: Fraction, radius: float) -> None:
    with precision(64):
        f = function(expr, x)
        wide = f(acb(arb(real_number(point).mid(), radius))).real
        inside = [f(acb(real_number(point + Fraction(radius) * Fraction(k, 3)))).real for k in (-3, -1, 0, 2, 3)]
    assert all(not wide.is_finite() or wide.overlaps(ball) for ball in inside)


@pytest.mark.parametrize("expr", [sp.sqrt(x), sp.log(x), x ** sp.Rational(1, 3), sp.asinh(x), sp.atan(x), sp.asin(x)])
def test_nothing_is_analytic_across_a_cut(expr: sp.Expr) -> None:
    across = acb(arb(0, 2), arb(0, 3))
    with precision(64):
        assert not function(expr, x)(across, analytic=True).is_finite()


@pytest.mark.parametrize(
    "expr", [sp.sqrt(2) + sp.pi, sp.CRootOf(x**5 - x - 1, 0), sp.CRootOf(x**3 - 3 * x + 1, 1), sp.asin(sp.S(1) / 3)]
)
def test_constants(expr: sp.Expr) -> None:
    for bits in (64, 256):
        with precision(bits):
            ball = constant(expr)
        assert contains(ball, _number(expr))
        assert ball.rel_accuracy_bits() > bits - 12


def _number(expr: sp.Expr) -> mpmath.mpf:
    with mpmath.workdps(400):
        return mpmath.mpmathify(sp.N(expr, 390))


def test_decimals_are_what_they_print() -> None:
    with precision(192):
        assert constant(sp.Float("0.1") * 10 - 1) == 0


@pytest.mark.parametrize("expr", [sp.zeta(x), sp.Function("f")(x), x + y, sp.oo * y])
def test_what_has_no_enclosure_says_so(expr: sp.Expr) -> None:
    with precision(64), pytest.raises(NotCertifiedError):
        function(expr, x)


def test_threads_take_turns_and_leave_the_precision() -> None:
    def bits(wanted: int) -> bool:
        with precision(wanted):
            return constant(sp.sqrt(sp.Integer(wanted))).rel_accuracy_bits() >= wanted - 3 and ctx.prec == wanted

    before = ctx.prec
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(bits, [64, 128, 256, 1024] * 20))
    assert ctx.prec == before
