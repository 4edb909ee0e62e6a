"""What must hold for every activation: the heat equation, Price's theorem, parity, the closed forms of the theory."""

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import closed, covariances, smooth_closed
from theory.calculus import reference
from theory.calculus.expectations import Distribution, gaussian_kernel
from theory.language.activations import REGISTRY, activation
from theory.language.hermite import coefficient, coefficients, information_exponent
from theory.language.labels import labels
from theory.language.smoothing import smoothing
from theory.network.derivation import derive
from theory.network.loss import Loss
from theory.symbols import a, mu, q, r, x

QUICK = settings(max_examples=12, deadline=None)
A_HE3 = 9 * mu * (1 - mu) * (5 * mu**3 + 5 * mu**2 + mu - 1)


def kernel(f: sp.Expr, g: sp.Expr) -> sp.Expr:
    return gaussian_kernel(Distribution.of(f), Distribution.of(g), q, r)


@pytest.mark.parametrize(
    ("name", "A", "B"),
    [
        ("linear", 1 - mu, -1),
        ("relu", (1 - mu) / 2, -sp.Rational(1, 2)),
        ("he2", 6 * mu * (1 - mu**2), 2 - 6 * mu**2),
    ],
)
def test_linearisation_is_the_closed_form_of_the_theory(name: str, A: sp.Expr, B: sp.Expr) -> None:
    escape = derive(name).escape
    assert sp.simplify(escape.A - A) == 0
    assert sp.simplify(escape.B - B) == 0
    assert sp.simplify(escape.tau - (-B + sp.sqrt(B**2 + 4 * A**2)) / (2 * A**2)) == 0


def test_he3_has_its_critical_strength_at_0_32072() -> None:
    A = derive("he3").escape.A
    assert sp.expand(A - A_HE3) == 0
    roots = [root for root in sp.real_roots(sp.Poly(A, mu)) if 0 < root <= 1]
    assert [round(float(root), 5) for root in roots] == [0.32072, 1.0]


def test_a_is_minus_the_slope_of_the_pretraining_loss() -> None:
    for name in ("erf", "relu", "he3", "abs", "exp(x)", "sin(x)"):
        system = derive(name)
        along = system.loss.subs({q: mu, r: mu**2})
        slope = sp.diff(along, mu).subs(mu, sp.Rational(2, 5)).evalf(25)
        assert abs(slope + system.escape.A.subs(mu, sp.Rational(2, 5)).evalf(25)) < 1e-20, name


@pytest.mark.parametrize("name", ["erf", "relu"])
def test_kernel_against_quadrature_to_25_digits_edges_included(name: str) -> None:
    f = REGISTRY[name]
    K = kernel(f, f)
    points = [(sp.Rational(k, 13), sp.Rational(1, 5) + sp.Rational(abs(k), 7)) for k in range(-3, 5)]
    points += [(sp.Rational(1, 2), sp.Rational(1, 4)), (sp.Rational(-3, 4), sp.Rational(9, 16))]
    for overlap, variance in points:
        value = K.subs({q: overlap, r: variance}).evalf(40)
        oracle = reference.kernel(f, f, overlap, variance, digits=28)
        with mpmath.workdps(40):
            assert abs(mpmath.mpf(str(value)) - oracle) < mpmath.mpf(10) ** -25, (overlap, variance)


def test_published_closed_kernels() -> None:
    """Williams (1997) for erf, Cho & Saul (2009) for ReLU."""
    erf = 2 / sp.pi * sp.asin(2 * q / sp.sqrt((1 + 2 * r) * 3))
    c = q / sp.sqrt(r)
    relu = sp.sqrt(r) * (sp.sqrt(1 - c**2) + c * (sp.pi - sp.acos(c))) / (2 * sp.pi)
    at = {q: sp.Rational(1, 3), r: sp.Rational(3, 4)}
    for name, published in (("erf", erf), ("relu", relu)):
        derived = kernel(REGISTRY[name], REGISTRY[name])
        assert abs((derived - published).subs(at).evalf(30)) < 1e-28


@given(closed)
@QUICK
def test_smoothing_solves_the_heat_equation(f: sp.Expr) -> None:
    S = smoothing(activation(f))
    residue = sp.diff(S, r) - sp.diff(S, a, 2) / 2
    assert abs(residue.subs({a: sp.Rational(2, 7), r: sp.Rational(3, 5)}).evalf(20)) < 1e-15


@given(smooth_closed, closed, covariances())
@QUICK
def test_prices_theorem(f: sp.Expr, g: sp.Expr, at: tuple[sp.Rational, sp.Rational]) -> None:
    point = {q: at[0], r: at[1]}
    K, left, right = kernel(f, g), Distribution.of(f), Distribution.of(g)
    along = sp.diff(K, q) - gaussian_kernel(left.diff(), right.diff(), q, r)
    across = sp.diff(K, r) - gaussian_kernel(left.diff(2), right, q, r) / 2
    assert abs(along.subs(point).evalf(20)) < 1e-14
    assert abs(across.subs(point).evalf(20)) < 1e-14


@given(closed, closed, covariances())
@settings(max_examples=8, deadline=None)
def test_kernel_against_quadrature(f: sp.Expr, g: sp.Expr, at: tuple[sp.Rational, sp.Rational]) -> None:
    value = kernel(f, g).subs({q: at[0], r: at[1]}).evalf(20)
    oracle = reference.kernel(f, g, *at, digits=12)
    assert abs(float(value) - float(oracle)) < 1e-10 * max(1, abs(float(oracle)))


@given(closed, covariances())
@QUICK
def test_loss_is_nonnegative_and_vanishes_at_the_teacher(f: sp.Expr, at: tuple[sp.Rational, sp.Rational]) -> None:
    loss = Loss.of(activation(f), labels(f)).expr
    assert loss.subs({q: at[0], r: at[1]}).evalf(20) > -1e-15
    assert abs(loss.subs({q: 1, r: 1}).evalf(20)) < 1e-15


@given(closed)
@QUICK
def test_parity_kills_half_of_the_coefficients(f: sp.Expr) -> None:
    parity = activation(f).parity
    found = coefficients(activation(f), 5)
    for k, c in enumerate(found):
        if (parity == "even" and k % 2) or (parity == "odd" and k % 2 == 0):
            assert abs(c.evalf(20)) < 1e-15


@given(closed, st.integers(0, 4))
@QUICK
def test_coefficients_against_quadrature(f: sp.Expr, k: int) -> None:
    he = sp.expand(sp.hermite_prob(k, x)) if hasattr(sp, "hermite_prob") else REGISTRY[f"he{k}"]
    oracle = reference.mean(f * he, 0, 1, digits=15)
    assert abs(float(coefficient(activation(f), k).evalf(20)) - float(oracle)) < 1e-12


@pytest.mark.parametrize("k", range(1, 9))
def test_information_exponent_of_hermite(k: int) -> None:
    assert information_exponent(activation(f"he{k}")) == k


def test_information_exponents() -> None:
    expected = {"relu": 1, "abs": 2, "square": 2, "tanh": 1, "sigmoid": 1, "cos(x)": 2, "sign": 1}
    assert {name: information_exponent(activation(name)) for name in expected} == expected
    assert information_exponent(activation("x**3"), activation("he3")) == 3
    assert information_exponent(activation("erf"), activation("abs")) is None


def test_mixed_pairs_and_a_polynomial_against_anything_are_exact() -> None:
    for student, teacher in (("relu", "erf"), ("linear", "sign"), ("he3", "relu"), ("erf", "abs"), ("step", "relu")):
        assert derive(student, teacher).is_exact, (student, teacher)
    K = gaussian_kernel(Distribution.of(sp.tanh(x)), Distribution.of(x), q, r)
    assert K.subs({q: sp.Rational(1, 3), r: 1}).evalf(15) == pytest.approx(0.605705509602159 / 3, abs=1e-13)
