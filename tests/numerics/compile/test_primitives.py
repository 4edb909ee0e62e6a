"""Special functions of the generated code against SciPy and mpmath."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from numerics.compile import primitives
from numerics.compile.primitives import bivariate_normal, dawson
from theory.calculus.bivariate import Phi2

finite = st.floats(-6, 6)


@given(finite)
@settings(deadline=None)
def test_dawsons_integral(z: float) -> None:
    assert dawson(z) == pytest.approx(float(special.dawsn(z)), rel=2e-14, abs=1e-300)


@given(finite, finite, st.floats(-0.999, 0.999))
@settings(max_examples=40, deadline=None)
def test_bivariate_normal_distribution_function(h: float, k: float, rho: float) -> None:
    law = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    assert bivariate_normal(h, k, math.asin(rho)) == pytest.approx(float(law.cdf([h, k])), abs=2e-8)


def _phi2(h: float, k: float, rho: float) -> float:
    """Integrate the density of the first times the distribution function of the second given it."""
    with mpmath.workdps(30):
        width = mpmath.sqrt(1 - mpmath.mpf(rho) ** 2)
        points = [-mpmath.inf, *sorted({min(h, k / rho if rho else h), h})]
        return float(mpmath.quad(lambda t: mpmath.npdf(t) * mpmath.ncdf((k - rho * t) / width), points))


@pytest.mark.parametrize("rho", [-0.99, -0.5, 0.0, 0.3, 0.95])
def test_bivariate_normal_to_float64(rho: float) -> None:
    for h, k in ((0.3, -0.2), (1.5, 1.4), (-2.0, 0.7)):
        exact = _phi2(h, k, rho)
        assert bivariate_normal(h, k, math.asin(rho)) == pytest.approx(exact, abs=4e-16)
        assert float(Phi2(h, k, rho).evalf(20)) == pytest.approx(exact, rel=1e-14)


def test_ends_of_the_bivariate_normal() -> None:
    for h, k in ((0.3, -0.2), (-1.0, 2.0)):
        low, high = special.ndtr([h, k])
        assert bivariate_normal(h, k, math.pi / 2) == pytest.approx(min(low, high), abs=1e-15)
        assert bivariate_normal(h, k, -math.pi / 2) == pytest.approx(max(low + high - 1, 0), abs=1e-15)
    assert np.isnan(bivariate_normal(np.nan, 0.0, 0.1))


def test_derivatives_of_phi2() -> None:
    """d Phi2/d rho is the density (Plackett 1954); d Phi2/d h is pdf(h) Phi((k - rho h)/sqrt(1 - rho^2))."""
    h, k, rho = sp.symbols("h k rho", real=True)
    at = {h: sp.Rational(1, 3), k: -sp.Rational(1, 2), rho: sp.Rational(2, 5)}
    for symbol in (h, k, rho):
        slope = sp.diff(Phi2(h, k, rho), symbol).subs(at).evalf(20)

        def moved(value: mpmath.mpf, symbol: sp.Symbol = symbol) -> mpmath.mpf:
            return mpmath.mpf(str(Phi2(*[sp.Float(str(value), 40) if s is symbol else at[s] for s in at]).evalf(35)))

        with mpmath.workdps(35):
            assert (
                abs(mpmath.diff(moved, mpmath.mpf(at[symbol].p) / at[symbol].q, h=1e-9) - mpmath.mpf(str(slope)))
                < 1e-12
            )


def test_coefficients_are_those_of_the_interpolants() -> None:
    middle, end, split = primitives._ERF_MIDDLE, primitives._ERF_END, primitives._TANH_SPLIT

    def erfcx(s: mpmath.mpf) -> mpmath.mpf:
        point = middle * (1 + s) / (1 - s)
        return mpmath.exp(point**2) * mpmath.erfc(point)

    def ratio(f, square: mpmath.mpf) -> mpmath.mpf:
        root = mpmath.sqrt(square)
        return f(root) / root if root else mpmath.mpf(1)

    with mpmath.workdps(30):
        span = (end - middle) / (end + middle)
        found = {
            "erf": mpmath.taylor(mpmath.erf, 0, 37)[:0:-2],
            "erfcx": mpmath.chebyfit(erfcx, [-span, span], 20),
            "tanh": mpmath.chebyfit(lambda square: ratio(mpmath.tanh, square), [0, split**2], 13),
            "artanh": mpmath.chebyfit(lambda square: ratio(mpmath.atanh, square), [0, mpmath.mpf(1) / 9], 11),
        }
        high = mpmath.floor(mpmath.ln2 * 2**32) / 2**32
        assert (float(high), float(mpmath.ln2 - high)) == (primitives._LOG2_HIGH, primitives._LOG2_LOW)
    kept = {name: [float(number) for number in text.split()] for name, text in primitives.COEFFICIENTS.items()}
    assert kept == {name: [float(number) for number in numbers] for name, numbers in found.items()}
