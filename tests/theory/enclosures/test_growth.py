"""Growth classes at random points, by mpmath, whose exponents have no bounds; tails against its integrals."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theory.enclosures.test_balls import SMOOTH
from theory.enclosures.balls import precision
from theory.enclosures.growth import Bound, growth, reflected
from theory.enclosures.primitives import prepared
from theory.errors import NotCertifiedError
from theory.symbols import x

FUNCTIONS = [
    *(f for f in SMOOTH if f.is_real is not False),
    x**3 - 20 * x + 5,
    sp.tanh(x) - sp.Rational(1, 2),
    sp.atan(x) - 1,
    1 / (sp.atan(x) + 2),
    sp.log(sp.cosh(x)),
    sp.log(1 + x**2) / (1 + x**2),
    sp.exp(sp.sin(x)) * x,
    sp.exp(-sp.sqrt(1 + x**2)),
    sp.exp(x**2 / 5 - 3 * x) * (x - 1),
    sp.cosh(2 * x) / (1 + sp.sinh(x) ** 2),
    sp.sinh(x - 3) / 7,
    sp.erfi(x / 3) * x,
    sp.asinh(sp.exp(x)) - x / 3,
    sp.exp(x) - 1,
    x - x * sp.tanh(x),
    (x + sp.sqrt(x**2 + 4)) / 2,
    2**x - x,
    sp.exp(-1 / (1 + x**2)),
    1 / sp.sinh(x),
    sp.sech(x) * sp.coth(x),
]
PLACES = st.tuples(st.sampled_from([Fraction(1, 8), Fraction(5, 8), 1, 2, 4, 10]), st.floats(0, 40))


def number(ball: arb) -> mpmath.mpf:
    return mpmath.mpf(ball.mid().str(60, radius=False)) if ball.is_finite() else mpmath.mpf("nan")


def at(bound: Bound, z: mpmath.mpf) -> mpmath.mpf:
    n, a, b = map(number, (bound.n, bound.a, bound.b))
    return number(bound.C) * (1 + z) ** n * mpmath.exp(a * z + b * z * z)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(FUNCTIONS), st.integers(0, 2), st.booleans(), PLACES)
def test_bounds_hold(f: sp.Expr, order: int, left: bool, place: tuple[Fraction, float]) -> None:
    T, beyond = place
    f = sp.diff(f.xreplace({n: sp.Rational(str(n)) for n in f.atoms(sp.Float)}), x, order)
    try:
        known = growth(reflected(sp.diff(prepared(f), x, 0)) if left else f, T)
    except NotCertifiedError:
        return
    with mpmath.workdps(120):
        z = mpmath.mpf(float(T)) + mpmath.mpf(beyond)
        value = sp.lambdify(x, f, "mpmath")(-z if left else z)
        slack = 1 + mpmath.mpf(10) ** -15  # of the decimals above
        assert abs(value) <= at(known.upper, z) * slack + mpmath.mpf(10) ** -100
        assert known.sign * value >= -(mpmath.mpf(10) ** -100)
        if known.lower is not None:
            assert abs(value) * slack + mpmath.mpf(10) ** -100 >= at(known.lower, z)
        assert not known.low > arb(float(value) + 1e-12)
        assert not known.high < arb(float(value) - 1e-12)


UNARY = (
    *(sp.exp, sp.tanh, sp.erf, sp.erfc, sp.atan, sp.asinh, sp.sin, sp.cosh, sp.sinh, sp.sech, sp.erfi),
    *(lambda f: sp.log(1 + sp.exp(f)), lambda f: 1 / (1 + sp.exp(-f)), lambda f: f**2, lambda f: f**3, lambda f: -f),
    *(lambda f: sp.sqrt(1 + f**2), lambda f: 1 / (1 + f**2), lambda f: sp.log(1 + f**2), lambda f: 1 / f),
)
NUMBERS = st.sampled_from([sp.Integer(k) for k in (-3, -1, 1, 2)] + [sp.Rational(1, 3), sp.Rational(-5, 2), sp.pi])
EXPRESSIONS = st.recursive(
    st.one_of(st.just(x), NUMBERS),
    lambda inner: st.one_of(
        st.builds(lambda f, g: f(g), st.sampled_from(UNARY), inner),
        st.builds(lambda f, g: f + g, inner, inner),
        st.builds(lambda f, g: f * g, inner, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(EXPRESSIONS, PLACES)
def test_bounds_of_any_expression_hold(f: sp.Expr, place: tuple[Fraction, float]) -> None:
    T, beyond = place
    if f.has(sp.zoo, sp.nan, sp.oo, sp.I):
        return
    try:
        known = growth(f, T)
    except NotCertifiedError:
        return
    with mpmath.workdps(300):
        try:
            value = sp.lambdify(x, f, "mpmath")(mpmath.mpf(float(T)) + mpmath.mpf(beyond))
        except (OverflowError, ZeroDivisionError, ValueError):
            return
        z = mpmath.mpf(float(T)) + mpmath.mpf(beyond)
        value = mpmath.re(value)  # mpmath's sech is complex
        slack, least = 1 + mpmath.mpf(10) ** -12, mpmath.mpf(10) ** -200
        if not known.upper.C.is_finite():
            return
        assert abs(value) <= at(known.upper, z) * slack + least
        assert known.sign * value >= -least
        if known.lower is not None:
            assert abs(value) * slack + least >= at(known.lower, z)


@pytest.mark.parametrize(
    ("f", "sign"),
    [(sp.tanh(x) - sp.Rational(1, 2), 1), (sp.atan(x) - 1, 1), (3 * x - x**2, -1), (sp.exp(x) - 1, 1), (sp.sin(x), 0)],
)
def test_signs(f: sp.Expr, sign: int) -> None:
    known = growth(f, 8)
    assert (known.sign, known.is_definite) == (sign, sign != 0)


@pytest.mark.parametrize("f", [sp.log(sp.sin(x)), sp.tan(x), x ** sp.Rational(1, 3) * sp.gamma(x), (-2) ** x])
def test_no_rule_is_said(f: sp.Expr) -> None:
    with pytest.raises(NotCertifiedError):
        growth(f, 2)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(-3, 4), st.floats(-3, 3), st.floats(-2, 0.3), st.floats(-2, 2), st.floats(0.05, 1.5), st.integers(8, 20)
)
def test_tails_and_compositions(n: float, a: float, b: float, m: float, s: float, T: int) -> None:
    with precision(64):
        inner = Bound(arb(2), arb(n), arb(a), arb(b))
        outer = inner.composed(arb(m), arb(s))
        tail = outer.tail(arb(T))
    with mpmath.workdps(30):
        start = max(mpmath.mpf(T), -mpmath.mpf(m) / s)

        def f(z: mpmath.mpf) -> mpmath.mpf:
            return at(inner, m + s * z) * mpmath.npdf(z)

        true = mpmath.quad(f, [start, start + 1, start + 5, start + 40])
        assert start > T or not tail < arb(float(true) * (1 - 1e-9))


def test_the_total_of_equal_bounds_counts_both() -> None:
    with precision(64):
        one = Bound(arb(1), arb(2))
        assert Bound.total([one, one], arb(1)).C >= 2


def test_fractions_are_places() -> None:
    assert growth(x, Fraction(5, 2)).low <= arb(2.5)
