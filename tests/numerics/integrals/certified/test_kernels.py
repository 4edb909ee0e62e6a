"""Certified kernels against closed forms and against mpmath's integral over a conditional one."""

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals.certified.integrals import coefficient
from numerics.integrals.certified.kernels import kernel
from numerics.integrals.certified.nested import nested_kernel
from tests.numerics.integrals.certified.test_integrals import (
    BENT,
    GELU,
    HAT,
    LATE,
    RELU,
    SPIKE,
    holds,
    in_mpmath,
)
from theory.enclosures.balls import precision
from theory.enclosures.branches import branches
from theory.errors import NotCertifiedError, ParameterError
from theory.symbols import x


def cho_saul(q: mpmath.mpf, r: mpmath.mpf) -> mpmath.mpf:
    c = q / mpmath.sqrt(r)
    return mpmath.sqrt(r) * (mpmath.sqrt(1 - c * c) + c * (mpmath.pi - mpmath.acos(c))) / (2 * mpmath.pi)


def williams(q: mpmath.mpf, r: mpmath.mpf) -> mpmath.mpf:
    return 2 / mpmath.pi * mpmath.asin(2 * q / mpmath.sqrt(3 * (1 + 2 * r)))


@pytest.mark.parametrize(
    ("f", "true", "q", "r"),
    [
        *((RELU, cho_saul, q, r) for q, r in [("0.4", "1"), ("-0.3", "0.25"), ("0.5", "0.25"), ("-0.5", "0.25")]),
        *((RELU, cho_saul, q, r) for q, r in [("0.01", "4"), ("0.8", "1")]),
        *((sp.erf(x), williams, q, r) for q, r in [("0.4", "1"), ("-0.95", "1"), ("1", "1"), ("0.2", "0.05")]),
    ],
)
def test_known_kernels(f: sp.Expr, true, q: str, r: str) -> None:
    with mpmath.workdps(40):
        known = true(mpmath.mpf(q), mpmath.mpf(r))
        assert holds(kernel(f, f, sp.Rational(q), sp.Rational(r)), known)


@pytest.mark.parametrize(
    ("f", "g", "q", "r", "known"),
    [
        (x**3, sp.exp(x), "0.7", "1.3", lambda q, r: mpmath.exp(0.5) * (q**3 + 3 * q * r)),
        (sp.exp(x), sp.exp(-2 * x), "0.3", "0.5", lambda q, r: mpmath.exp(r / 2 + 2 - 2 * q)),
        (sp.cos(x), sp.cos(3 * x), "-0.6", "0.9", lambda q, r: mpmath.exp(-(r + 9) / 2) * mpmath.cosh(3 * q)),
        (sp.sign(x), sp.sign(x), "0.3", "1", lambda q, r: 2 / mpmath.pi * mpmath.asin(q)),
    ],
)
def test_elementary_kernels(f: sp.Expr, g: sp.Expr, q: str, r: str, known) -> None:
    with mpmath.workdps(40):
        true = known(mpmath.mpf(q), mpmath.mpf(r))
        assert holds(kernel(f, g, sp.Rational(q), sp.Rational(r)), true)


@pytest.mark.parametrize(
    ("f", "places", "q", "r"),
    [(SPIKE, [0.29, 0.297, 0.3, 0.303, 0.31], "0.3", "0.5"), (HAT, [-1, 1], "0.2", "0.3"), (LATE, [1], "0.3", "0.3")],
)
def test_kernels_with_tanh(f: sp.Expr, places: list[float], q: str, r: str) -> None:
    """E f(l) E[x^2 | l]: the second function's conditional mean is known."""
    with mpmath.workdps(40):
        a, b, h = mpmath.mpf(q), mpmath.mpf(r), in_mpmath(f)
        ends = sorted({*map(mpmath.mpf, map(str, places)), *(mpmath.mpf(k) for k in range(-10, 11, 2))})
        s = mpmath.sqrt(b)

        def integrand(l: mpmath.mpf) -> mpmath.mpf:
            return h(l) * ((a / b * l) ** 2 + 1 - a * a / b) * mpmath.npdf(l / s) / s

        true = mpmath.quad(integrand, ends, maxdegree=10)
        assert holds(kernel(f, x**2, sp.Rational(q), sp.Rational(r)), true, 30)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from([sp.tanh(x), GELU, RELU, BENT]), st.sampled_from([RELU, sp.atan(x)]), st.integers(-8, 8))
def test_kernels_are_symmetric(f: sp.Expr, g: sp.Expr, tenths: int) -> None:
    q = sp.Rational(tenths, 10)
    one, other = kernel(f, g, q, 1, sp.Rational(4, 5)), kernel(g, f, q, sp.Rational(4, 5), 1)
    assert one.low <= other.high
    assert other.low <= one.high


def test_the_kernel_of_a_polynomial_is_a_coefficient() -> None:
    """E tanh(l) He_3(l*) = q^3 E tanh He_3."""
    third = coefficient(sp.tanh(x), 3)
    found = kernel(sp.tanh(x), x**3 - 3 * x, 0.5, 1)
    assert abs(found.value - third.value / 8) <= found.error + third.error


@pytest.mark.parametrize("q", ["0.99", "-0.97"])
def test_kinks_near_the_edge(q: str) -> None:
    with mpmath.workdps(40):
        assert holds(kernel(RELU, RELU, sp.Rational(q), 1), cho_saul(mpmath.mpf(q), mpmath.mpf(1)))
        signs = kernel(sp.sign(x), sp.sign(x), sp.Rational(q), 1)
        assert holds(signs, 2 / mpmath.pi * mpmath.asin(mpmath.mpf(q)))


@pytest.mark.parametrize(("f", "g"), [(HAT, BENT), (RELU, sp.tanh(x)), (LATE, sp.erf(x)), (GELU, sp.sign(x))])
def test_two_ways_agree(f: sp.Expr, g: sp.Expr) -> None:
    """Mehler's sum and the nested integral share the tails' bounds alone."""
    numbers = (sp.Rational(-1, 3), sp.Rational(1, 2), sp.Rational(6, 5))
    with precision(64):
        nested = nested_kernel(branches(f), branches(g), *numbers)
        assert nested.rad() < 1e-15
        assert nested.overlaps(kernel(f, g, *numbers).ball)


def test_growth_that_no_nested_integral_takes() -> None:
    with precision(64), pytest.raises(NotCertifiedError, match="faster than an exponential"):
        nested_kernel(branches(sp.exp(x**2 / 9)), branches(x), sp.S.Half, sp.S.One)


def test_what_does_not_end_says_so() -> None:
    with pytest.raises(NotCertifiedError):
        kernel(sp.exp(x**2), x, 0.5, 1)
    with pytest.raises(ParameterError):
        kernel(x, x, 2, 1)
