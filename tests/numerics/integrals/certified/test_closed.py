"""Closed forms in balls against exact rationals, mpmath's double integrals, and the one-dimensional integrals."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hermescape import derive
from numerics.integrals.certified.closed import value
from numerics.integrals.certified.integrals import curvature, drive
from numerics.integrals.certified.kernels import kernel
from tests.numerics.integrals.certified.test_integrals import holds
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.errors import NotCertifiedError
from theory.language.activations import activation
from theory.symbols import mu, rho, x


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.fractions(0, 1, max_denominator=200).filter(bool))
def test_polynomials_that_cancel_are_exact(k: int, point: Fraction) -> None:
    expr = sp.expand(sp.hermite(k, mu) * (mu - 1) ** 3)
    exact = Fraction(*sp.fraction(expr.subs(mu, sp.Rational(point))))
    result = value(expr, {mu: point})
    assert result.low <= exact <= result.high
    assert abs(Fraction(result.value) - exact) <= Fraction(result.error)


@pytest.mark.parametrize(("h", "k", "r"), [("-1", "-2", "1/2"), ("-9", "-8", "-1/3"), ("-1/2", "-3", "99/100")])
def test_the_bivariate_distribution(h: str, k: str, r: str) -> None:
    with mpmath.workdps(40):
        a, b, c = (mpmath.mpf(sp.Rational(text).p) / sp.Rational(text).q for text in (h, k, r))
        s = mpmath.sqrt(1 - c * c)
        ends = [a - 30, a - 10, a - 4, a - 1, a]
        true = mpmath.quad(lambda y: mpmath.npdf(y) * mpmath.ncdf((b - c * y) / s), ends)
        numbers = [sp.Rational(text) for text in (h, k, r)]
        assert holds(value(Phi2(*numbers)), true, 30)
        assert holds(value(Phi2Angle(*numbers[:2], sp.asin(numbers[2]))), true, 30)


def test_unevaluated_expectations_are_enclosed() -> None:
    both = GaussianKernel(sp.tanh(x), sp.Max(x, 0), sp.Rational(3, 10), sp.Rational(1, 2))
    direct = kernel(sp.tanh(x), sp.Max(x, 0), 0.3, 0.5)
    assert value(2 * both).value == pytest.approx(2 * direct.value, rel=1e-15)
    nested = GaussianMean(sp.tanh(x) ** 2, sp.Rational(1, 10), 2 + both)
    with mpmath.workdps(30):
        variance = 2 + mpmath.mpf(direct.value)
        scale = mpmath.sqrt(variance)
        true = mpmath.quad(
            lambda z: mpmath.tanh(mpmath.mpf("0.1") + scale * z) ** 2 * mpmath.npdf(z), range(-14, 15, 2)
        )
    assert float(true) == pytest.approx(value(nested).value, rel=1e-14)


@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "elu", "hardtanh", "tanh", "softplus", "max(0, x - 1)", "he5"])
def test_derived_drives_are_the_integrals(name: str) -> None:
    escape, sigma = derive(name).escape, activation(name).expr
    for at in (0.1, 0.62, 0.99):
        for formula, direct in ((escape.A, drive), (escape.B, curvature)):
            closed, integral = value(formula, {mu: at}), direct(sigma, sigma, at)
            assert closed.low <= integral.high
            assert integral.low <= closed.high


def loss_of_erf(q: mpmath.mpf, r: mpmath.mpf) -> mpmath.mpf:
    """E_r[erf^2]/2 - K, both arcsines (Williams 1997)."""
    own = mpmath.asin(2 * r / (1 + 2 * r)) / mpmath.pi
    return own - 2 / mpmath.pi * mpmath.asin(2 * q / mpmath.sqrt(3 * (1 + 2 * r)))


@pytest.mark.parametrize(("q", "length"), [("0.3", "0.5"), ("-0.3", "0.4"), ("0.3", "0.3000001")])
def test_misaligned(q: str, length: str) -> None:
    """B = -2 L_r at r = rho^2."""
    result = value(derive("erf", model="misaligned").escape.B, {mu: sp.Rational(q), rho: sp.Rational(length)})
    with mpmath.workdps(60):
        a, r = mpmath.mpf(q), mpmath.mpf(length) ** 2
        assert holds(result, -2 * mpmath.diff(lambda v: loss_of_erf(a, v), r), 20)


def test_misaligned_kernels_without_closed_forms() -> None:
    """B = -E_r[(tanh^2)'']/2 + E[tanh''(l) tanh(l*)], by the trapezoidal rule in two dimensions."""
    at = {mu: sp.Rational(-3, 10), rho: sp.Rational(2, 5)}
    result = value(derive("tanh", model="misaligned").escape.B, at)
    with mpmath.workdps(30):
        q, length, step = mpmath.mpf("-0.3"), mpmath.mpf("0.4"), mpmath.mpf(1) / 5
        grid = [(k * step, step * mpmath.npdf(k * step)) for k in range(-55, 56)]
        own = other = mpmath.mpf(0)
        for z, weight in grid:
            t = mpmath.tanh(length * z)
            bend = -2 * t * (1 - t * t)
            mean = sum(w * mpmath.tanh(q / length * z + mpmath.sqrt(1 - (q / length) ** 2) * y) for y, w in grid)
            own += weight * ((1 - t * t) ** 2 + t * bend)
            other += weight * bend * mean
        assert holds(result, other - own, 18)


@pytest.mark.parametrize("odd", [sp.sin(7 * x), x * sp.Abs(sp.tanh(x))])
def test_the_kernel_of_an_even_and_an_odd_function_is_0(odd: sp.Expr) -> None:
    even = 1 / (1 + x**2)
    for pair in ((even, odd), (odd, even)):
        kernel = value(GaussianKernel(*pair, sp.Rational(3, 10), 1))
        assert (kernel.value, kernel.error) == (0.0, 0.0)
    assert value(GaussianKernel(odd, odd, sp.Rational(3, 10), 1)).value > 0


def test_what_has_no_value_says_so() -> None:
    with pytest.raises(NotCertifiedError):
        value(1 / mu, {mu: 0})
    with pytest.raises(NotCertifiedError):
        value(mu + rho, {mu: 1})
    with pytest.raises(NotCertifiedError):
        value(sp.zeta(mu), {mu: sp.Rational(5, 2)})
