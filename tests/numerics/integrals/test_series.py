"""Truncated Hermite series: known coefficients, published truncations, remainders that cover the exact value."""

from collections.abc import Callable
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals import quadrature
from numerics.integrals.evaluate import Estimate, value
from numerics.integrals.series import aligned_series, kernel_series
from numerics.rates.search_time import search_time
from tests.strategies import any_activation, covariances, decaying
from theory.calculus import reference
from theory.calculus.pieces import pieces
from theory.errors import InputError, NotIntegrableError, ParameterError, QuadratureError
from theory.language.activations import REGISTRY, activation
from theory.network.derivation import derive
from theory.symbols import mu, x

RELU_TAU = {"0.032": 3.3927, "0.8985": 196.112}  # A = (1 - mu)/2 and B = -1/2, exactly


@pytest.mark.parametrize(
    ("alignment", "order", "tau"),
    [("0.032", 16, 1.286), ("0.032", 1024, 3.019), ("0.8985", 16, 182.97), ("0.8985", 1024, 194.42)],
)
def test_relu_truncations_and_their_remainders(alignment: str, order: int, tau: float) -> None:
    """The corrected Hermite sums of arXiv:2602.02855's curve, with the k = 0 term: THEORY, section 2."""
    found = search_time(derive("relu"), alignment, order=order)
    assert found.tau == pytest.approx(tau, abs=5e-4 if tau < 100 else 5e-3)
    low, high = found.interval
    assert low < RELU_TAU[alignment] < high
    assert abs(found.tau - RELU_TAU[alignment]) <= found.error
    assert found.error == pytest.approx(max(found.tau - low, high - found.tau))


def test_relu_remainder_shrinks_like_the_root_of_the_order() -> None:
    """sum_{k > N} k s_k^2 ~ N^(-1/2) for a kink: s_k^2 ~ k^(-5/2) (Stirling in He_k(0))."""
    relu = activation("relu").expr
    errors = [aligned_series(relu, relu, 0.5, order)[1].error for order in (64, 256, 1024)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.03)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.03)


@cache
def drive_and_bend_of(student: str, teacher: str, alignment: float) -> tuple[Estimate, Estimate]:
    """The derived A and B, for all orders of a series once."""
    escape = derive(student, teacher).escape
    return value(escape.A, {mu: alignment}), value(escape.B, {mu: alignment})


@pytest.mark.parametrize(
    "student", ["tanh", "sigmoid", "relu", "log(1+exp(x))", "abs(x)*tanh(x)", "max(tanh(x), 0)", "he3"]
)
@pytest.mark.parametrize("teacher", ["tanh", "relu", "erf"])
@pytest.mark.parametrize("order", [0, 3, 16, 200])
def test_remainders_cover_the_exact_A_and_B(student: str, teacher: str, order: int) -> None:
    for alignment in (0.1, 0.7):
        pair = aligned_series(activation(student).expr, activation(teacher).expr, alignment, order)
        for cut, exact in zip(pair, drive_and_bend_of(student, teacher, alignment), strict=True):
            assert abs(cut.value - exact.value) <= cut.error + exact.error


@given(any_activation, any_activation, covariances(strict=False), st.integers(0, 60))
@settings(max_examples=30, deadline=None)
def test_kernel_remainder_covers_the_kernel(
    f: sp.Expr, g: sp.Expr, at: tuple[sp.Rational, sp.Rational], order: int
) -> None:
    q, r = map(float, at)
    cut, exact = kernel_series(f, g, q, r, order), quadrature.kernel(f, g, q, r)
    assert abs(cut.value - exact.value) <= cut.error + exact.error


DECAYING = (
    *("max(0,1-abs(x))", "max(0,2-abs(x))", "max(0,x*(1-x))", "max(0,(x-1)*(2-x))", "exp(-4*x**2)"),
    *("exp(-x**2)*abs(x)", "max(0,1-x**2)**2", "max(0,1-abs(20*(x-2))) + exp(-9*x**2)", "max(x-4,0)"),
)
CONTINUOUS = tuple(name for name in REGISTRY if name not in ("sign", "step"))
HIGH = tuple(f"he{k}" for k in range(9, 21))
ORDERS = (8, 16, 32)


def drive_and_bend(student: sp.Expr, teacher: sp.Expr, alignment: sp.Rational) -> tuple[mpmath.mpf, mpmath.mpf]:
    """A and B without a Hermite coefficient: with g(z) = sigma(mu z),

    A = E[z g' (phi - g)]/mu and B = -(E[g' phi'] + E[z g' (g - phi)])/mu^2, by Stein's lemma.
    """
    sigma, phi = pieces(student), pieces(teacher)
    g, slope = (f.as_expr().subs(x, alignment * x) for f in (sigma, sigma.diff()[0]))
    slope, link, link_slope = alignment * slope, phi.as_expr(), phi.diff()[0].as_expr()
    drive = reference.mean(x * slope * (link - g), 0, 1, digits=20)
    bend = reference.mean(slope * link_slope + x * slope * (g - link), 0, 1, digits=20)
    return drive / alignment, -bend / alignment**2


def assert_covered(student: sp.Expr, teacher: sp.Expr, alignment: sp.Rational) -> None:
    exact = drive_and_bend(student, teacher, alignment)
    for order in ORDERS:
        cut = aligned_series(student, teacher, float(alignment), order)
        for found, true in zip(cut, exact, strict=True):
            assert abs(found.value - true) <= found.error, (student, teacher, alignment, order)


@pytest.mark.parametrize("teacher", [None, pytest.param("relu", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "student",
    [name if name not in HIGH else pytest.param(name, marks=pytest.mark.slow) for name in (*DECAYING, *CONTINUOUS)],
)
def test_remainders_cover_A_and_B_of_functions_of_every_kind(student: str, teacher: str | None) -> None:
    sigma = activation(student).expr
    phi = sigma if teacher is None else activation(teacher).expr
    for alignment in (sp.Rational(1, 20), sp.Rational(11, 25), sp.Rational(9, 10)):
        assert_covered(sigma, phi, alignment)


@pytest.mark.slow
@given(decaying, st.sampled_from(["same", "relu", "tanh"]), st.fractions("1/20", "1", max_denominator=20))
@settings(max_examples=25, deadline=None)
def test_remainders_cover_generated_functions(f: sp.Expr, teacher: str, alignment: sp.Rational) -> None:
    phi = f if teacher == "same" else activation(teacher).expr
    assert_covered(activation(f).expr, phi, sp.Rational(alignment))


def tent(z: mpmath.mpf) -> mpmath.mpf:
    return max(mpmath.mpf(0), 1 - abs(z))


def tent_slope(z: mpmath.mpf) -> mpmath.mpf:
    return -mpmath.sign(z) if abs(z) < 1 else mpmath.mpf(0)


def parabola(z: mpmath.mpf) -> mpmath.mpf:
    return max(mpmath.mpf(0), z * (1 - z))


def parabola_slope(z: mpmath.mpf) -> mpmath.mpf:
    return 1 - 2 * z if 0 < z < 1 else mpmath.mpf(0)


@pytest.mark.parametrize(
    ("text", "f", "slope", "tau"),
    [("max(0,1-abs(x))", tent, tent_slope, 16.246476), ("max(0,x*(1-x))", parabola, parabola_slope, None)],
)
def test_search_times_of_bumps_are_covered(text: str, f: Callable, slope: Callable, tau: float | None) -> None:
    """tau = 2/(B + sqrt(B^2 + 4 A^2)) from integrals of functions written out here."""
    alignment = mpmath.mpf("0.44")

    def mean(h: Callable) -> mpmath.mpf:
        cuts = [-12, -1 / alignment, -1, 0, 1, 1 / alignment, 12]
        return mpmath.quad(lambda z: h(z) * mpmath.npdf(z), cuts)

    pull = mean(lambda z: z * slope(alignment * z) * (f(alignment * z) - f(z)))
    drive, bend = -pull, -(mean(lambda z: slope(alignment * z) * slope(z)) + pull) / alignment
    exact = 2 / (bend + mpmath.sqrt(bend**2 + 4 * drive**2))
    assert tau is None or exact == pytest.approx(tau, abs=1e-6)
    system = derive(text)
    assert search_time(system, "0.44").tau == pytest.approx(float(exact), rel=1e-12)
    for order in ORDERS:
        found = search_time(system, "0.44", order=order)
        low, high = found.interval
        assert low < exact
        assert high is None or exact < high
        assert abs(found.tau - exact) <= found.error


@pytest.mark.parametrize("teacher", [None, "relu", "sign"])
@pytest.mark.parametrize("student", [*DECAYING, "relu", "hardtanh", "gelu", "step"])
def test_remainders_cover_kernels_of_functions_of_every_kind(student: str, teacher: str | None) -> None:
    f = activation(student).expr
    g = f if teacher is None else activation(teacher).expr
    for q, r in ((0.1, 0.2), (0.5, 1.0), (-0.9, 1.0), (0.3, 0.1), (1.5, 4.0), (0.02, 0.001)):
        exact = quadrature.kernel(f, g, q, r)
        for order in ORDERS:
            cut = kernel_series(f, g, q, r, order)
            assert abs(cut.value - exact.value) <= cut.error + exact.error, (q, r, order)


@pytest.mark.parametrize("student", ["exp(-4*x**2)", "max(0,x*(1-x))"])
def test_remainders_cover_the_oracle(student: str) -> None:
    f = activation(student).expr
    exact = reference.kernel(f, f, "0.5", 1, digits=12)
    for order in ORDERS:
        cut = kernel_series(f, f, 0.5, 1.0, order)
        assert abs(cut.value - exact) <= cut.error


def test_jumps_have_a_series_of_the_kernel() -> None:
    """E sign(l) sign(l*) = (2/pi) arcsin(c) (Sheppard 1899)."""
    for c in (0.0, -0.3, 0.8, 1.0):
        cut = kernel_series("sign", "sign", c, 1.0, 50)
        assert abs(cut.value - 2 / np.pi * np.arcsin(c)) <= cut.error
    assert kernel_series("sign", "sign", 0.8, 1.0, 50).error < 1e-4


def test_smooth_series_are_sharp() -> None:
    """Coefficients fall geometrically: order 64 is exact to rounding, and the remainder says so."""
    tanh = activation("tanh").expr
    A, B = aligned_series(tanh, tanh, 0.5, 64)
    assert max(A.error, B.error) < 1e-11
    assert kernel_series("he2", "he2", 0.5, 1.0, 2).value == pytest.approx(2 * 0.5**2, abs=1e-13)  # k! c^k
    assert kernel_series("he2", "he2", 0.5, 1.0, 1).value == pytest.approx(0, abs=1e-13)


def test_growth_and_near_poles_are_integrated() -> None:
    """E exp(2 l + 2 l*) = exp((4 + 4 + 8 c)/2) for unit variances; the steep kernel by adaptive quadrature."""
    grown = kernel_series("exp(2*x)", "exp(2*x)", 0.3, 1.0, 60)
    assert abs(grown.value - np.exp(4 + 4 * 0.3)) <= grown.error < 1e-9 * grown.value
    steep = kernel_series("tanh(8*x)", "tanh(8*x)", 0.3, 1.0, 200)
    exact = quadrature.kernel(sp.tanh(8 * x), sp.tanh(8 * x), 0.3, 1.0)
    assert abs(steep.value - exact.value) <= steep.error + exact.error


def test_upper_end_is_none_where_the_remainder_allows_no_escape() -> None:
    system = derive("max(tanh(x), 0)")
    found = search_time(system, 0.5, order=4)
    assert found.interval[1] is None
    assert found.error == np.inf
    assert found.interval[0] <= search_time(system, 0.5).tau


def test_a_narrow_step_is_expanded() -> None:
    step = "tanh(5000*(x - 1/3))"
    series = kernel_series(step, "relu", 0.1, 1.0, 3)
    whole = quadrature.kernel(activation(step).expr, activation("relu").expr, 0.1, 1.0)
    assert abs(series.value - whole.value) <= series.error + whole.error


def test_refusals() -> None:
    relu, sign, tanh = (activation(name).expr for name in ("relu", "sign", "tanh"))
    for student, teacher in ((sign, tanh), (relu, sign)):
        with pytest.raises(NotIntegrableError, match="no finite remainder"):
            aligned_series(student, teacher, 0.5, 16)
    assert np.isfinite(aligned_series(tanh, sign, 0.5, 16)[0].error)
    for order in (-1, 2.5, 10_001):
        with pytest.raises(ParameterError, match="accepted: an integer from 0 to 10000"):
            kernel_series("relu", "relu", 0.1, 1.0, order)
    with pytest.raises(ParameterError, match=r"q\^2 <= r"):
        kernel_series("relu", "relu", 1.0, 0.5, 3)
    with pytest.raises(QuadratureError, match="varies too fast"):
        kernel_series("tanh(1e5*(x**3 - 1/3))*sin(400*x)", "relu", 0.1, 1.0, 3)
    with pytest.raises(InputError, match="model lora"):
        search_time(derive("relu", model="plain"), 0.5, order=16)
    with pytest.raises(ParameterError, match="order and digits"):
        search_time(derive("relu"), 0.5, order=16, digits=30)
