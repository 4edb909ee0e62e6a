"""Quadrature against the mpmath oracle: the true error must be covered by the estimate."""

import math
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals import quadrature
from numerics.integrals.evaluate import evaluator
from numerics.rates.search_time import search_time
from tests.strategies import any_activation, covariances
from theory.calculus import reference
from theory.calculus.expectations import Distribution, gaussian_kernel
from theory.errors import InputError, ParameterError, QuadratureError
from theory.network.derivation import derive
from theory.symbols import mu, q, r, x

SPREAD = {
    "tanh": sp.tanh(x),
    "sigmoid": 1 / (1 + sp.exp(-x)),
    "softplus": sp.log(1 + sp.exp(x)),
    "silu": x / (1 + sp.exp(-x)),
    "mish": x * sp.tanh(sp.log(1 + sp.exp(x))),
    "hard tanh": sp.Max(-1, sp.Min(1, x)),
    "ELU": sp.Piecewise((x, x > 0), (sp.exp(x) - 1, True)),
    "one kink": sp.Max(sp.tanh(x), 0),
    "kinks": sp.Abs(x**3 - x) / (1 + x**2),
    "jump": sp.sign(x - sp.Rational(1, 3)) * sp.exp(-x / 3),
    "pieces": sp.Piecewise((x**2, x < -1), (sp.cos(3 * x), x < 2), (sp.log(1 + x), True)),
    "near pole": 1 / (1 + 25 * x**2),
    "steep": sp.tanh(8 * x),
    "oscillation": sp.sin(12 * x) * x * sp.tanh(x),
    "growth": sp.exp(2 * x) * sp.tanh(x),
    "root": sp.sqrt(1 + x**2),
}
TANH, RELU = sp.tanh(x), sp.Max(x, 0)


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize(
    ("centre", "variance"), [("0", "1"), ("0.7", "2.5"), ("-1.3", "0.04"), ("0.3", "1e-6"), ("0", "4"), ("1", "4")]
)
def test_mean_error_is_honest(name: str, centre: str, variance: str) -> None:
    found = quadrature.mean(SPREAD[name], float(centre), float(variance))
    oracle = reference.mean(SPREAD[name], sp.Rational(float(centre)), sp.Rational(float(variance)), digits=25)
    assert abs(found.value - oracle) <= found.error
    assert found.error <= 1e-10 * max(1, abs(found.value))


def assert_honest(f: sp.Expr, g: sp.Expr, q: str, gap: str) -> None:
    overlap, beyond = sp.Rational(float(q)), sp.Rational(float(gap))
    found = quadrature.kernel(f, g, float(q), float(overlap**2 + beyond), gap=float(gap))
    oracle = reference.kernel(f, g, overlap, overlap**2 + beyond, digits=17)
    assert abs(found.value - oracle) <= found.error
    assert found.error <= 1e-10 * max(1, abs(found.value))


CHEAP = [name for name in SPREAD if name not in ("near pole", "steep", "oscillation")]


@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize(("q", "gap"), [("0.3", "0.41"), ("-0.6", "1e-4"), ("0.5", "1e-8"), ("0", "0.7")])
def test_kernel_error_is_honest(name: str, q: str, gap: str) -> None:
    assert_honest(SPREAD[name], TANH, q, gap)


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("q", ["0.5", "-0.5", "1.2"])
def test_kernel_error_at_the_edge_is_honest(name: str, q: str) -> None:
    assert_honest(SPREAD[name], SPREAD[name], q, "0")
    assert_honest(SPREAD[name], RELU, q, "0")


@pytest.mark.parametrize(
    ("f", "g", "q", "gap"),
    [
        ("oscillation", "tanh", "0.3", "0.41"),
        ("oscillation", "oscillation", "1.2", "0.5"),
        ("steep", "tanh", "0.9", "0.3"),
        ("near pole", "near pole", "0", "0.7"),
        ("kinks", "one kink", "0.4", "0.3"),
        ("jump", "ELU", "-0.3", "0.3"),
        ("pieces", "hard tanh", "0.7", "0.4"),
    ],
)
def test_kernel_error_of_hard_pairs_is_honest(f: str, g: str, q: str, gap: str) -> None:
    assert_honest(SPREAD[f], SPREAD[g], q, gap)


@given(st.fractions(0, 300, max_denominator=64), st.floats(-3, 3), st.floats(1e-6, 4))
@settings(deadline=None)
def test_no_frequency_is_aliased(frequency: Fraction, centre: float, variance: float) -> None:
    """E cos(w (M + sqrt(v) Z)) = cos(w M) exp(-w^2 v/2): a uniform grid sees w only modulo 2 pi/h."""
    found = quadrature.mean(sp.cos(sp.Rational(frequency) * x), centre, variance)
    with mpmath.workdps(30):
        w = mpmath.mpf(frequency.numerator) / frequency.denominator
        assert abs(found.value - mpmath.cos(w * centre) * mpmath.exp(-(w**2) * variance / 2)) <= found.error


@given(st.fractions(0, 60, max_denominator=64), st.fractions(0, 60, max_denominator=64), st.floats(-1, 1))
@settings(max_examples=40, deadline=None)
def test_no_pair_of_frequencies_is_aliased(a: Fraction, b: Fraction, q: float) -> None:
    """E cos(a l) cos(b l*) = (exp(-V_-/2) + exp(-V_+/2))/2, V the variances of a l -+ b l*."""
    found = quadrature.kernel(sp.cos(sp.Rational(a) * x), sp.cos(sp.Rational(b) * x), q, q * q + 0.01, gap=0.01)
    across, along = float(a) ** 2 * 0.01, [float(a) * q + sign * float(b) for sign in (-1, 1)]
    exact = sum(math.exp(-(across + w * w) / 2) for w in along) / 2
    assert abs(found.value - exact) <= found.error


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("f", [sp.Max(x, 0), sp.Abs(x), sp.erf(x), sp.sign(x)], ids=str)
def test_kernel_near_the_edge_against_closed_forms(f: sp.Expr, gap: float) -> None:
    variance = sp.Rational(9, 25) + sp.Rational(repr(gap))
    exact = gaussian_kernel(Distribution.of(f), Distribution.of(f), q, r).subs({q: sp.Rational(3, 5), r: variance})
    found = quadrature.kernel(f, f, 0.6, float(variance), gap=gap)
    assert abs(found.value - float(exact.evalf(25))) <= found.error


@given(any_activation, covariances())
@settings(max_examples=15, deadline=None)
def test_kernel_is_bounded_by_cauchy_schwarz(f: sp.Expr, at: tuple[sp.Rational, sp.Rational]) -> None:
    q, r = float(at[0]), float(at[1])
    cross = quadrature.kernel(f, f, q, r)
    own, target = quadrature.mean(f**2, 0.0, r), quadrature.mean(f**2, 0.0, 1.0)
    assert cross.value**2 <= own.value * target.value * (1 + 1e-9) + 1e-12


def test_unreachable_tolerance_is_said() -> None:
    with pytest.raises(QuadratureError, match="larger tolerance"):
        quadrature.mean(sp.sin(4000 * x), 0.3, 1.0, tolerance=1e-15)
    with pytest.raises(ParameterError, match=r"q\^2 <= r"):
        quadrature.kernel(x, x, 1.0, 0.5)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("alignment", ["0.032", "0.5", "0.9"])
def test_search_time_to_1e8_against_mpmath(name: str, alignment: str) -> None:
    """A and B from their integrals over the aligned law: A = E[Z s'(mu Z)(s(Z) - s(mu Z))], and B with s''."""
    s = {"tanh": sp.tanh(x), "sigmoid": 1 / (1 + sp.exp(-x))}[name]
    alignment_exact = sp.Rational(alignment)
    inner = {k: sp.diff(s, x, k).subs(x, alignment_exact * x) for k in range(3)}
    A = reference.mean(x * inner[1] * (s - inner[0]), 0, 1, digits=22)
    B = -reference.mean(inner[1] ** 2 + (inner[0] - s) * inner[2], 0, 1, digits=22)
    tau = (-B + (B**2 + 4 * A**2) ** 0.5) / (2 * A**2)
    found = search_time(derive(name), float(alignment))
    assert abs(found.tau - tau) <= 1e-8 * tau
    assert 0 < found.error <= 1e-8 * tau
    assert abs(found.tau - tau) <= found.error + 1e-14 * tau


def test_relu_search_time_is_exact_and_not_the_published_one() -> None:
    system = derive("relu")
    assert search_time(system, 0.032).tau == pytest.approx(3.3927, abs=5e-5)
    assert search_time(system, 0.8985).tau == pytest.approx(196.112, abs=5e-4)
    assert search_time(system, 0.5).error <= 2.0**-52 * search_time(system, 0.5).tau


def test_no_escape_is_said_and_not_a_large_number() -> None:
    for name in ("linear", "relu", "erf", "he3", "tanh"):
        assert search_time(derive(name), 1.0).tau is None, name


def test_bad_mu_and_systems_without_a_rate() -> None:
    for value in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ParameterError, match=r"\(0, 1\]"):
            search_time(derive("relu"), value)
    with pytest.raises(InputError, match="no linearisation"):
        search_time(derive("step"), 0.5)
    with pytest.raises(InputError, match="no linearisation"):
        search_time(derive("relu", model="plain"), 0.5)


def test_error_propagates_through_closed_parts() -> None:
    from theory.calculus.expectations import GaussianMean

    node = GaussianMean(sp.tanh(x) ** 2, 0, mu)
    alone = evaluator((mu,), (node,))(0.7)[0]
    tenfold = evaluator((mu,), (10 * node + mu,))(0.7)[0]
    assert tenfold.value == pytest.approx(10 * alone.value + 0.7, rel=1e-14)
    assert tenfold.error == pytest.approx(10 * alone.error)


@pytest.mark.parametrize("variance", [0.2, 0.36, 0.5, 0.7, 0.9])
def test_functions_that_vanish_are_reached_to_their_end(variance: float) -> None:
    """The reach of a nearby larger scale ends before the support of a step between -0.7 and 1.1 does."""
    step = sp.Heaviside(x + sp.Rational(7, 10)) - sp.Heaviside(x - sp.Rational(11, 10))
    estimate = quadrature.mean(step, 0.0, variance)
    ends = [math.erf(c / math.sqrt(2 * variance)) / 2 for c in (-0.7, 1.1)]
    assert abs(estimate.value - (ends[1] - ends[0])) <= estimate.error + 1e-16


@pytest.mark.parametrize("deviations", [20.0, 36.0, 37.5, 39.0, 200.0])
def test_what_begins_far_out_is_nothing_within_an_error(deviations: float) -> None:
    """A kink at so many standard deviations: true values are below a double from some 38 on, and not 0."""
    unit = sp.Max(x - sp.Rational(1, 5), 0) * sp.tanh(x)
    estimate = quadrature.mean(unit, 0.0, (0.2 / deviations) ** 2)
    with mpmath.workdps(20):
        start = mpmath.mpf(deviations)
        scale, peak = 0.2 / start, mpmath.npdf(start)  # tolerances of `quad` are absolute ones
        ends = [start + k / start for k in (0, 1, 2, 5, 20, 60)]
        shape = mpmath.quad(lambda z: scale * (z - start) * mpmath.tanh(scale * z) * mpmath.npdf(z) / peak, ends)
        assert abs(estimate.value - shape * peak) <= estimate.error + 1e-13 * estimate.value  # of the variance
    assert estimate.error > 0
