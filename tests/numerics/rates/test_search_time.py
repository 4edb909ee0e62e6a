"""Functions that people use: A, B and tau against second-order jets, which know no SymPy, and values by formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import special

from numerics.integrals import quadrature
from numerics.integrals.hermite import hermite_coefficients
from numerics.rates.search_time import search_time
from theory.calculus import reference
from theory.calculus.terms import as_terms
from theory.errors import QuadratureError
from theory.language.activations import activation
from theory.network.derivation import derive
from theory.symbols import x


@dataclass
class Jet:
    """f, f', f'' at many points."""

    f: np.ndarray
    d: np.ndarray
    dd: np.ndarray

    def __add__(self, o: Jet | float) -> Jet:
        return (
            Jet(self.f + o.f, self.d + o.d, self.dd + o.dd) if isinstance(o, Jet) else Jet(self.f + o, self.d, self.dd)
        )

    def __mul__(self, o: Jet | float) -> Jet:
        if not isinstance(o, Jet):
            return Jet(self.f * o, self.d * o, self.dd * o)
        return Jet(self.f * o.f, self.d * o.f + self.f * o.d, self.dd * o.f + 2 * self.d * o.d + self.f * o.dd)

    def of(self, f: np.ndarray, d: np.ndarray, dd: np.ndarray) -> Jet:
        return Jet(f, d * self.d, dd * self.d**2 + d * self.dd)

    __radd__, __rmul__ = __add__, __mul__


def exp(a: Jet) -> Jet:
    return a.of(*[np.exp(a.f)] * 3)


def power(a: Jet, n: float) -> Jet:
    return a.of(a.f**n, n * a.f ** (n - 1), n * (n - 1) * a.f ** (n - 2))


def tanh(a: Jet) -> Jet:
    t, s = np.tanh(a.f), np.cosh(a.f) ** -2.0
    return a.of(t, s, -2 * t * s)


def sigmoid(a: Jet) -> Jet:
    s, t = special.expit(a.f), special.expit(-a.f)
    return a.of(s, s * t, s * t * (t - s))


def softplus(a: Jet) -> Jet:
    s, t = special.expit(a.f), special.expit(-a.f)
    return a.of(np.logaddexp(0, a.f), s, s * t)


def sin(a: Jet) -> Jet:
    return a.of(np.sin(a.f), np.cos(a.f), -np.sin(a.f))


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772
Case = tuple[str, list[float], list[Callable[[Jet], Jet]]]
CASES: list[Case] = [
    ("1.0507009873554805*(max(x,0) + 1.6732632423543772*min(0, exp(x) - 1))", [0.0],
     [lambda z: LAMBDA * ALPHA * (exp(z) + -1.0), lambda z: LAMBDA * z]),
    ("max(x,0) + min(0, 2*(exp(x/2) - 1))", [0.0], [lambda z: 2.0 * (exp(0.5 * z) + -1.0), lambda z: z]),
    ("x*max(0, min(6, x + 3))/6", [-3.0, 3.0], [lambda z: 0.0 * z, lambda z: z * (z + 3.0) * (1 / 6), lambda z: z]),
    ("x + sin(x)**2", [], [lambda z: z + sin(z) * sin(z)]),
    ("mish", [], [lambda z: z * tanh(softplus(z))]),
    ("(x + sqrt(x**2 + 4))/2", [], [lambda z: 0.5 * (z + power(z * z + 4.0, 0.5))]),
    ("silu", [], [lambda z: z * sigmoid(z)]),
    ("softplus", [], [softplus]),
    ("softplus(100*x)/100", [], [lambda z: 0.01 * softplus(100.0 * z)]),
    ("x/(1 + abs(x))", [0.0], [lambda z: z * power(-1.0 * z + 1.0, -1), lambda z: z * power(z + 1.0, -1)]),
    ("log(cosh(x))", [], [lambda z: softplus(2.0 * z) + -1.0 * z + -np.log(2)]),
    ("log(1/(1 + exp(-x)))", [], [lambda z: -1.0 * softplus(-1.0 * z)]),
    ("x - tanh(x)", [], [lambda z: z + -1.0 * tanh(z)]),
    ("x*(1 + tanh(0.7978845608028654*(x + 0.044715*x**3)))/2", [],
     [lambda z: 0.5 * z * (tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)) + 1.0)]),
    ("max(x - 0.5, 0) - max(-x - 0.5, 0)", [-0.5, 0.5], [lambda z: z + 0.5, lambda z: 0.0 * z, lambda z: z + -0.5]),
    ("(exp(2*x) - 1)/(exp(2*x) + 1)", [], [tanh]),
    ("abs(sin(x))", [k * np.pi for k in range(-4, 5)], [lambda z, s=(-1.0) ** k: s * sin(z) for k in range(-5, 5)]),
]  # fmt: skip


def search_by_jets(cuts: list[float], branches: list[Callable[[Jet], Jet]], mu: float) -> tuple[float, float, float]:
    """A = E[Z s'(mu Z)(s(Z) - s(mu Z))], B = -E s'^2 - E[(s(mu Z) - s(Z)) s''(mu Z)], point masses at kinks by hand."""

    def at(points: np.ndarray) -> Jet:
        which, found = np.searchsorted(cuts, points), np.empty((3, len(points)))
        for i, branch in enumerate(branches):
            z = points[which == i]
            jet = branch(Jet(z, np.ones_like(z), np.zeros_like(z)))
            found[:, which == i] = jet.f, jet.d, jet.dd
        return Jet(*found)

    edges = np.unique([*np.linspace(-13, 13, 261), *cuts, *(c / mu for c in cuts if abs(c) < 13 * mu)])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    z = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes for a, b in pairwise(edges)])
    w = np.concatenate([(b - a) / 2 * weights for a, b in pairwise(edges)]) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    s, phi = at(mu * z), at(z)
    A = w @ (z * s.d * (phi.f - s.f))
    B = -w @ s.d**2 - w @ ((s.f - phi.f) * s.dd)
    for c in cuts:
        below, above = at(np.array([c - 1e-15 * max(1, abs(c)), np.nextafter(c, np.inf) + 1e-15 * abs(c)])).d
        gap = at(np.array([c])).f[0] - at(np.array([c / mu])).f[0]
        B -= (above - below) * gap * np.exp(-((c / mu) ** 2) / 2) / np.sqrt(2 * np.pi) / mu
    return A, B, (-B + np.hypot(B, 2 * A)) / (2 * A * A)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("mu", [0.3, 0.8])
def test_search_times(case: Case, mu: float) -> None:
    text, cuts, branches = case
    found = search_time(derive(text), mu)
    A, B, tau = search_by_jets(cuts, branches, mu)
    scale = 5e-13 * (4 if "100" in text else 1)  # the jets lose digits to cancelling curvatures of softplus(100 x)
    assert pytest.approx(A, abs=scale) == found.A
    assert pytest.approx(B, abs=scale) == found.B
    assert found.tau == pytest.approx(tau, rel=max(scale, 4 * scale / A**2 / tau))


def test_a_steep_softplus() -> None:
    found = [float(c.value) for c in hermite_coefficients(activation("softplus(100*x)/100"), 2)]
    assert found == pytest.approx([0.399007896222335666, 0.5, 0.39887667968355803], abs=1e-14)
    assert search_time(derive("softplus(100*x)/100"), "0.3").tau == pytest.approx(5.3464565440, abs=1e-10)


def test_the_mean_of_a_sine_over_its_argument() -> None:
    """sin(z)/z is the mean of cos(t z) over t in (0, 1): E = integral of exp(-t^2/2) = sqrt(pi/2) erf(1/sqrt 2)."""
    exact = float(mpmath.sqrt(mpmath.pi / 2) * mpmath.erf(1 / mpmath.sqrt(2)))
    found = hermite_coefficients(activation("sin(x)/x"), 0)[0]
    assert exact == pytest.approx(0.8556243918921488, abs=1e-15)
    assert float(found.value) == pytest.approx(exact, abs=1e-14)
    assert float(reference.mean(sp.sin(x) / x, 0, 1, digits=25)) == pytest.approx(exact, abs=1e-15)


def folded_sine(deviation: float) -> float:
    """E|sin(s Z)| by |sin t| = 2/pi - 4/pi sum cos(2 k t)/(4 k^2 - 1)."""
    terms = (mpmath.exp(-2 * k * k * mpmath.mpf(deviation) ** 2) / (4 * k * k - 1) for k in range(1, 40))
    return float(2 / mpmath.pi - 4 / mpmath.pi * mpmath.fsum(terms))


@pytest.mark.parametrize("deviation", [0.3, 1.0, 3.0, 4.4])
def test_kinks_without_end_inside_the_window(deviation: float) -> None:
    found = quadrature.mean(sp.Abs(sp.sin(x)), 0.0, deviation**2)
    assert abs(found.value - folded_sine(deviation)) <= found.error + 1e-15
    assert folded_sine(1.0) == pytest.approx(0.579153218723036, abs=1e-15)


@pytest.mark.parametrize(("q", "r"), [(0.3, 0.5), (-0.6, 0.9)])
def test_a_kernel_with_kinks_without_end(q: float, r: float) -> None:
    """E cos(2 k l) cos(2 j l*) = (exp(-2 (k^2 r + j^2 - 2 k j q)) + exp(-2 (k^2 r + j^2 + 2 k j q)))/2."""

    def wave(k: int, j: int) -> mpmath.mpf:
        mean = k * k * r + j * j
        return (mpmath.exp(-2 * (mean - 2 * k * j * q)) + mpmath.exp(-2 * (mean + 2 * k * j * q))) / 2

    def weight(k: int) -> mpmath.mpf:
        return -4 / (mpmath.pi * (4 * k * k - 1)) if k else 2 / mpmath.pi

    exact = mpmath.fsum(weight(k) * weight(j) * wave(k, j) for k in range(40) for j in range(40))
    found = quadrature.kernel(sp.Abs(sp.sin(x)), sp.Abs(sp.sin(x)), q, r)
    assert abs(found.value - float(exact)) <= found.error + 1e-15


def test_kinks_beyond_the_window_are_not_forgotten() -> None:
    assert as_terms(sp.Abs(sp.sin(x))) is None
    with pytest.raises(QuadratureError, match="standard deviation below 4"):
        quadrature.mean(sp.Abs(sp.sin(x)), 0.0, 36.0)
    with pytest.raises(QuadratureError, match="smaller variance"):
        reference.mean(sp.Abs(sp.sin(x)), 0, 30, digits=20)


def chirp(sign: int, q: float, r: float) -> complex:
    """E exp(i (l^2 + sign l*^2)) = det(1 - 2i D C)^(-1/2)."""
    matrix = np.eye(2) - 2j * np.diag([1, sign]) @ np.array([[r, q], [q, 1.0]])
    return 1 / np.sqrt(np.linalg.det(matrix))


@pytest.mark.parametrize(("q", "r"), [(0.3, 0.5), (-0.4, 0.9), (0.5, 0.25)])
def test_chirps(q: float, r: float) -> None:
    """sin a sin b = (cos(a - b) - cos(a + b))/2 and cos a cos b = (cos(a - b) + cos(a + b))/2."""
    for f, sign in ((sp.sin(x**2), -1), (sp.cos(x**2), 1)):
        system = derive(f)
        assert search_time(system, 0.4).tau is not None
        found = quadrature.kernel(f, f, q, r)
        exact = (chirp(-1, q, r) + sign * chirp(1, q, r)).real / 2
        assert found.value == pytest.approx(exact, abs=1e-13)
    damped = sp.exp(-(x**2)) * sp.sin(x**2)
    assert derive(damped).escape.A is not None
    mean = quadrature.mean(damped, 0.0, r).value
    assert mean == pytest.approx((1 / np.sqrt(1 - 2 * r * (-1 + 1j))).imag, abs=1e-14)


def test_labels_that_fold_gelu() -> None:
    """gelu changes sign once, although it underflows on the left; at mu = 0.3 by mpmath in two dimensions."""
    system = derive("gelu", label="abs(y)")
    assert system.loss_function.teacher.kinks == (0,)
    s = activation("gelu").expr
    slope, bend = sp.diff(s, x), sp.diff(s, x, 2)
    with mpmath.workdps(25):
        f, d, dd = (sp.lambdify(x, g, "mpmath") for g in (s, slope, bend))
        mu = mpmath.mpf("0.3")
        cuts = [-14, -6, -3, -1, 0, 1, 3, 6, 14]
        A = mpmath.quad(lambda z: z * d(mu * z) * (abs(f(z)) - f(mu * z)) * mpmath.npdf(z), cuts)
        B = -mpmath.quad(lambda z: (d(mu * z) ** 2 + (f(mu * z) - abs(f(z))) * dd(mu * z)) * mpmath.npdf(z), cuts)
    found = search_time(system, "0.3")
    assert pytest.approx(float(A), abs=1e-12) == found.A
    assert pytest.approx(float(B), abs=1e-12) == found.B
