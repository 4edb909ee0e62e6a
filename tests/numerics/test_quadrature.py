"""Quadrature against the mpmath oracle: the true error must be covered by the estimate."""

import pytest
import sympy as sp
from hypothesis import given, settings

from numerics import quadrature
from numerics.evaluate import evaluator
from numerics.search import search_time
from tests.strategies import any_activation, covariances
from theory import reference
from theory.dynamics import derive
from theory.errors import InputError, ParameterError, QuadratureError
from theory.expectations import Distribution, gaussian_kernel
from theory.symbols import mu, q, r, x

HARD = (
    sp.tanh(x),
    sp.tanh(3 * x),
    1 / (1 + sp.exp(-x)),
    1 / (1 + x**2),
    sp.Max(sp.tanh(x), 0),
    sp.Abs(x**3 - x) / (1 + x**2),
)


@pytest.mark.parametrize("f", HARD, ids=str)
@pytest.mark.parametrize(("centre", "variance"), [(0, "1"), (0, "0.04"), ("0.7", "2.5")])
def test_mean_error_is_honest(f: sp.Expr, centre: str, variance: str) -> None:
    found = quadrature.mean(f, float(centre), float(variance))
    oracle = reference.mean(f, str(centre), variance, digits=20)
    assert abs(found.value - oracle) <= found.error
    assert found.error <= 1e-11 * max(1, abs(found.value))


@pytest.mark.parametrize(
    "pair", [(HARD[0], HARD[0]), (HARD[2], HARD[1]), (sp.Max(x, 0), HARD[0]), (HARD[4], sp.Abs(x))], ids=str
)
@pytest.mark.parametrize(("q", "r"), [("0.3", "0.8"), ("0.6", "0.39"), ("0.5", "0.25")])
def test_kernel_error_is_honest(pair: tuple[sp.Expr, sp.Expr], q: str, r: str) -> None:
    found = quadrature.kernel(*pair, float(q), float(r))
    oracle = reference.kernel(*pair, q, r, digits=13)
    assert abs(found.value - oracle) <= found.error + 1e-13
    assert found.error <= 1e-10


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("f", [sp.Max(x, 0), sp.Abs(x), sp.erf(x)], ids=str)
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
@pytest.mark.parametrize("strength", ["0.032", "0.5", "0.9"])
def test_search_time_to_1e8_against_mpmath(name: str, strength: str) -> None:
    """A and B from their integrals over the aligned law: A = E[Z s'(mu Z)(s(Z) - s(mu Z))], and B with s''."""
    s = {"tanh": sp.tanh(x), "sigmoid": 1 / (1 + sp.exp(-x))}[name]
    strength_exact = sp.Rational(strength)
    inner = {k: sp.diff(s, x, k).subs(x, strength_exact * x) for k in range(3)}
    A = reference.mean(x * inner[1] * (s - inner[0]), 0, 1, digits=22)
    B = -reference.mean(inner[1] ** 2 + (inner[0] - s) * inner[2], 0, 1, digits=22)
    tau = (-B + (B**2 + 4 * A**2) ** 0.5) / (2 * A**2)
    found = search_time(derive(name), float(strength))
    assert abs(found.tau - tau) <= 1e-8 * tau
    assert 0 < found.error <= 1e-8 * tau
    assert abs(found.tau - tau) <= found.error + 1e-14 * tau


def test_relu_search_time_is_exact_and_not_the_published_one() -> None:
    system = derive("relu")
    assert search_time(system, 0.032).tau == pytest.approx(3.3927, abs=5e-5)
    assert search_time(system, 0.8985).tau == pytest.approx(196.112, abs=5e-4)
    assert search_time(system, 0.5).error == 0


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
    from theory.expectations import GaussianMean

    node = GaussianMean(sp.tanh(x) ** 2, 0, mu)
    alone = evaluator((mu,), (node,))(0.7)[0]
    tenfold = evaluator((mu,), (10 * node + mu,))(0.7)[0]
    assert tenfold.value == pytest.approx(10 * alone.value + 0.7, rel=1e-14)
    assert tenfold.error == pytest.approx(10 * alone.error)
