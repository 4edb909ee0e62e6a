"""Every class of closed form against 30-digit quadrature: K, its gradient, one-point moments and J; edges included."""

import random

import mpmath
import pytest
import sympy as sp

from numerics.compile.codegen import compile_function
from theory.calculus import reference
from theory.calculus.expectations import Distribution, gaussian_kernel, gaussian_mean, is_closed
from theory.language.activations import Activation, activation
from theory.language.labels import labels
from theory.network.loss import Loss
from theory.network.system import GAP, guard
from theory.symbols import q, r

SMOOTH = [
    *("x**3 - x", "he5", "erf", "erf(2*x + 1)", "3*erf(x/2) - 1", "Phi(x)", "gelu", "(1 + erf(x/2))/2"),
    *("sin(2*x + 1)", "cos(x)", "exp(x/2)", "exp(-x**2)", "exp(-x**2)*sin(x)", "x**2*exp(-x**2)", "x*erf(x + 1)"),
    *("sinh(x/2)", "cos(x)**2", "x*sin(x)"),
]
KINKED = [
    *("relu", "max(x, x/10)", "2*max(x, 0) - 3*max(-x, 0)", "abs", "sign", "step", "max(x, 0)**3", "max(x - 1, 0)"),
    *("hardtanh", "elu", "exp(-abs(x))", "step(x)*step(1 - x)", "abs(x - 1) + abs(x + 1)", "step(x - 1)*exp(x/2)"),
]
MIXED = [
    *(("relu", "erf"), ("erf", "relu"), ("he3", "relu"), ("gelu", "max(x - 1, 0)"), ("sin(x)", "relu"), ("erf", "abs")),
    *(("exp(-x**2)", "elu"), ("hardtanh", "erf(x + 1)"), ("cos(2*x)", "erf"), ("he2", "sign"), ("elu", "hardtanh")),
]
PAIRS = [(name, name) for name in (*SMOOTH, *KINKED)] + MIXED
CHEAP = (*SMOOTH, "relu", "abs")
MARKED = [
    pair if pair[0] in CHEAP else pytest.param(pair, marks=pytest.mark.slow)  # two kinks: a second an integral
    for pair in PAIRS
]


def digits(*functions: Activation) -> int:
    """30 where the oracle's trapezoidal rule is quick, 20 for one kinked function, 16 for two."""
    kinked = sum(bool(f.kinks) for f in functions)
    return (30, 20, 16)[kinked]


def points(seed: str, count: int) -> list[tuple[sp.Rational, sp.Rational]]:
    """Random fractions with q^2 < r, then q = 0."""
    drawn = random.Random(seed)
    found = []
    for _ in range(count):
        variance = sp.Rational(drawn.randint(3, 30), 20)
        root = sp.Rational(int(1000 * sp.sqrt(variance)), 1000)
        found.append((root * sp.Rational(drawn.randint(-18, 18), 20), variance))
    return [*found, (sp.S.Zero, sp.Rational(2, 3))]


def close(found: sp.Expr, expected: mpmath.mpf, to: int) -> bool:
    with mpmath.workdps(to + 10):
        value = mpmath.mpmathify(str(found.evalf(to + 8)))
        return abs(value - expected) < mpmath.mpf(10) ** (2 - to) * (1 + abs(expected))


def kernel(f: Activation, g: Activation) -> sp.Expr:
    return gaussian_kernel(Distribution.of(f.expr), Distribution.of(g.expr), q, r)


@pytest.mark.parametrize("pair", MARKED, ids=" on ".join)
def test_kernel_against_quadrature(pair: tuple[str, str]) -> None:
    f, g = map(activation, pair)
    K, to = kernel(f, g), digits(f, g)
    assert is_closed(K)
    assert not K.has(sp.I)
    for overlap, variance in points(str(pair), 2 if pair[0] in CHEAP else 1):
        oracle = reference.kernel(f.expr, g.expr, overlap, variance, digits=to)
        assert close(K.subs({q: overlap, r: variance}), oracle, to), (overlap, variance)


@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
def test_kernel_at_the_edge(pair: tuple[str, str]) -> None:
    """r = q^2, where l = q l*: one-dimensional quadrature; approached from inside, the kernel tends to that."""
    f, g = map(activation, pair)
    edge = sp.Rational(-3, 5)
    there = gaussian_kernel(Distribution.of(f.expr), Distribution.of(g.expr), edge, edge**2)
    oracle = reference.kernel(f.expr, g.expr, edge, edge**2, digits=25)
    assert close(there, oracle, 25)
    near = kernel(f, g).subs({q: edge, r: edge**2 + sp.Rational(1, 10**12)}).evalf(30)
    assert abs(float(near) - float(oracle)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
def test_gradient_against_differences_of_the_oracle(pair: tuple[str, str]) -> None:
    """L_q and L_r by central differences of 1/2 E_r sigma^2 - K, all by quadrature."""
    f, g = map(activation, pair)
    slope, bend = Loss.of(f, labels(g)).gradient()
    to = min(digits(f, g), 24)  # with which differences have the digits of a float
    (overlap, variance), *_ = points("gradient" + str(pair), 1)
    h = sp.Rational(1, 10 ** (to // 3))

    def loss(overlap: sp.Rational, variance: sp.Rational) -> mpmath.mpf:
        own = reference.mean(f.expr**2, 0, variance, digits=to)
        return own / 2 - reference.kernel(f.expr, g.expr, overlap, variance, digits=to)

    with mpmath.workdps(to + 10):
        along = (loss(overlap + h, variance) - loss(overlap - h, variance)) / (2 * mpmath.mpf(1) / h.q)
        across = (loss(overlap, variance + h) - loss(overlap, variance - h)) / (2 * mpmath.mpf(1) / h.q)
    at = {q: overlap, r: variance}
    accuracy = 10.0 ** (3 - 2 * (to // 3))
    assert abs(float(slope.subs(at).evalf(25)) - float(along)) < accuracy * (1 + abs(float(along)))
    assert abs(float(bend.subs(at).evalf(25)) - float(across)) < accuracy * (1 + abs(float(across)))


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_one_point_moments(name: str) -> None:
    f = activation(name)
    second = gaussian_mean(Distribution.of(f.expr**2), sp.S.Zero, r)
    assert is_closed(second)
    for _, variance in points(name, 2):
        assert close(second.subs(r, variance), reference.mean(f.expr**2, 0, variance, digits=25), 25)


@pytest.mark.parametrize(
    "pair", [("relu", "relu"), ("erf", "erf"), ("he3", "relu"), ("sin(x)", "sin(x)"), ("elu", "elu")]
)
def test_gradient_noise_is_three_kernels(pair: tuple[str, str]) -> None:
    """J = E (sigma sigma')^2 - 2 E[sigma sigma'^2 phi] + E[sigma'^2 phi^2], each by quadrature."""
    f, g = map(activation, pair)
    found = Loss.of(f, labels(g)).noise()
    assert is_closed(found)
    sigma, slope, phi = f.expr, f.derivative, g.expr
    (overlap, variance), *_ = points("noise" + str(pair), 1)
    to = digits(f, g)
    parts = [(1, sigma**2 * slope**2, sp.S.One), (-2, sigma * slope**2, phi), (1, slope**2, phi**2)]
    with mpmath.workdps(to + 10):
        oracle = mpmath.fsum(k * reference.kernel(a, b, overlap, variance, digits=to) for k, a, b in parts)
    assert close(found.subs({q: overlap, r: variance}), oracle, to - 1)


CONTINUOUS = [pair for pair in PAIRS if activation(pair[0]).is_continuous]
COMPILED = [pair if pair in CONTINUOUS[::4] else pytest.param(pair, marks=pytest.mark.slow) for pair in CONTINUOUS]


@pytest.mark.parametrize("pair", COMPILED, ids=" on ".join)
def test_compiled_form_keeps_its_digits_towards_the_edge(pair: tuple[str, str]) -> None:
    """The guarded gradient in float64, D = r - q^2 down to 1e-24, against 60 digits of the plain form."""
    f, g = map(activation, pair)
    gradient = Loss.of(f, labels(g)).gradient()
    compiled = compile_function((q, r, GAP), [guard(part) for part in gradient])
    overlap = sp.Rational(3, 10)
    for exponent in (1, 6, 12, 18, 24):
        gap = sp.Rational(1, 10**exponent)
        values = compiled(float(overlap), float(overlap**2 + gap), float(gap))
        for value, part in zip(values, gradient, strict=True):
            exact = float(part.subs({q: overlap, r: overlap**2 + gap}).evalf(60))
            assert value == pytest.approx(exact, rel=1e-11, abs=1e-11), (exponent, part)


def test_label_transforms_stay_in_the_class() -> None:
    for student, link, transform in (("erf", "relu", "y**2"), ("relu", "he2", "y**2"), ("relu", "abs", "y**3")):
        given = labels(link, transform=transform)
        loss = Loss.of(activation(student), given)
        assert loss.is_closed
        oracle = reference.kernel(loss.student.expr, given.mean.expr, "0.4", "0.7", digits=16)
        assert close(loss.kernel().subs({q: sp.Rational(2, 5), r: sp.Rational(7, 10)}), oracle, 15)
