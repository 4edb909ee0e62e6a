"""Every registered activation: heat equation, Price's theorem, parity, and the oracle, which knows no closed form.

An identity of a closed form is compared exactly; where there is none, derivatives are differences of its values.
"""

import mpmath
import pytest
import sympy as sp

from numerics.integrals.evaluate import evaluator
from theory.calculus import reference
from theory.calculus.expectations import Distribution, gaussian_kernel, is_closed
from theory.language.activations import REGISTRY, Activation, activation
from theory.language.hermite import coefficients
from theory.language.labels import labels
from theory.language.smoothing import smoothing
from theory.network.derivation import derive
from theory.network.loss import Loss
from theory.symbols import a, mu, q, r, x

NAMES = list(REGISTRY)
MOVING = [name for name in NAMES if activation(name).derivative != 0]  # SGD never moves the others
MEAN, VARIANCE = sp.Rational(2, 7), sp.Rational(3, 5)
OVERLAP = sp.Rational(3, 10)
STEP = sp.Rational(1, 10**5)
POINT = {q: OVERLAP, r: VARIANCE}


def agree(found: sp.Expr | mpmath.mpf, expected: sp.Expr | mpmath.mpf, to: float) -> bool:
    """Whether two numbers differ by at most `to` times the expected one, or `to`."""
    with mpmath.workdps(40):
        left, right = (
            mpmath.mpf(str(value.evalf(30))) if isinstance(value, sp.Expr) else value for value in (found, expected)
        )
        return abs(left - right) <= to * (1 + abs(right))


def kernel(f: Distribution, g: Distribution) -> sp.Expr:
    return gaussian_kernel(f, g, q, r)


def slopes(sigma: Activation) -> tuple[sp.Expr, sp.Expr]:
    """S_r and S_aa at the point, by differentiation of a closed form and by differences of values otherwise."""
    S, at = smoothing(sigma), {a: MEAN, r: VARIANCE}
    if sigma.has_closed_class:
        return sp.diff(S, r).subs(at), sp.diff(S, a, 2).subs(at)
    here, up, down, more, less = (
        S.subs({a: MEAN + i * STEP, r: VARIANCE + j * STEP}).evalf(30)
        for i, j in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    )
    return (more - less) / (2 * STEP), (up - 2 * here + down) / STEP**2


@pytest.mark.parametrize("name", NAMES)
def test_smoothing_solves_the_heat_equation(name: str) -> None:
    """S(a, r) = E f(a + sqrt(r) Z): S_r = S_aa/2, and S is the oracle's mean."""
    sigma = activation(name)
    in_time, in_space = slopes(sigma)
    assert agree(in_time, in_space / 2, 1e-15 if sigma.has_closed_class else 1e-8)
    assert agree(smoothing(sigma).subs({a: MEAN, r: VARIANCE}), reference.mean(sigma.expr, MEAN, VARIANCE), 1e-14)


def differences(f: sp.Expr, step: sp.Rational) -> tuple[mpmath.mpf, mpmath.mpf]:
    """K_q and K_r at the point, from values of the oracle."""
    values = [
        reference.kernel(f, f, OVERLAP + i * step, VARIANCE + j * step, digits=14)
        for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    return (values[0] - values[1]) / (2 * step), (values[2] - values[3]) / (2 * step)


@pytest.mark.parametrize("name", NAMES)
def test_prices_theorem(name: str) -> None:
    """K = E f(l) f(l*): K_q = E f'(l) f'(l*), K_r = E f''(l) f(l*)/2, derivatives of kinks and jumps included."""
    f = Distribution.of(REGISTRY[name])
    K, along, across = kernel(f, f), kernel(f.diff(), f.diff()), kernel(f.diff(2), f) / 2
    if is_closed(K):
        assert agree(sp.diff(K, q).subs(POINT), along.subs(POINT), 1e-15)
        assert agree(sp.diff(K, r).subs(POINT), across.subs(POINT), 1e-15)
        return
    derived = [found.value for found in evaluator((q, r), (along, across))(float(OVERLAP), float(VARIANCE))]
    assert derived == pytest.approx([*map(float, differences(REGISTRY[name], sp.Rational(1, 1000)))], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_kernel_is_the_oracles(name: str) -> None:
    f = REGISTRY[name]
    K = kernel(Distribution.of(f), Distribution.of(f))
    assert agree(K.subs(POINT), reference.kernel(f, f, OVERLAP, VARIANCE, digits=12), 1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_loss_vanishes_at_the_teacher_and_is_positive_elsewhere(name: str) -> None:
    """At q = r = 1 the kernel, derived at that edge, is E f^2 and the loss 0; elsewhere it is not."""
    f, loss = Distribution.of(REGISTRY[name]), Loss.of(activation(name), labels(name)).expr
    edge = gaussian_kernel(f, f, sp.S.One, sp.S.One)
    assert agree(edge, reference.mean(REGISTRY[name] ** 2, 0, 1), 1e-14)
    (elsewhere,) = evaluator((q, r), (loss,))(float(OVERLAP), float(VARIANCE))
    assert elsewhere.value > 1e3 * elsewhere.error


@pytest.mark.parametrize("name", NAMES)
def test_parity_holds_and_kills_half_of_the_coefficients(name: str) -> None:
    sigma = activation(name)
    f = sp.lambdify(x, sigma.expr, "mpmath")
    with mpmath.workdps(60):
        pairs = [(f(z), f(-z)) for z in map(mpmath.mpf, ("0.3", "1.1", "2.7"))]
        close = {
            sign: all(abs(right - sign * left) < 1e-40 * (1 + abs(right)) for right, left in pairs) for sign in (1, -1)
        }
    assert sigma.parity == ("even" if close[1] else "odd" if close[-1] else None)
    found = coefficients(sigma, 5)
    for k in range(6):
        if (sigma.parity == "even" and k % 2) or (sigma.parity == "odd" and k % 2 == 0):
            assert abs(found[k].evalf(20)) < 1e-15
    assert any(abs(c.evalf(20)) > 1e-6 for c in found) or int(name.removeprefix("he")) > 5


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_are_the_oracles(name: str) -> None:
    """E He_k(Z) f(Z)."""
    sigma = activation(name)
    for k, c in enumerate(coefficients(sigma, 2)):
        he = (sp.S.One, x, x**2 - 1)[k]
        assert agree(c, reference.mean(he * sigma.expr, 0, 1), 1e-13), k


@pytest.mark.parametrize("name", MOVING)
def test_drive_is_the_oracles(name: str) -> None:
    """A(0.3) of the aligned search against one integral that takes no derivative of a kernel."""
    system = derive(name)
    loss = system.loss_function
    oracle = reference.drive(loss.student.expr, loss.student.derivative, loss.teacher.expr, OVERLAP, digits=15)
    assert agree(system.escape.A.subs(mu, OVERLAP), oracle, 1e-12)
