"""Stable forms and filled holes, against mpmath at enough digits for the plain formula."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from numerics.compile.codegen import compile_function
from numerics.integrals.quadrature import law_of
from theory.calculus.removable import evaluator, filled, fillings
from theory.calculus.stable import MPMATH, dawson, logistic, rise, softplus, stable
from theory.errors import NotRealError
from theory.language.activations import activation
from theory.language.parser import parse
from theory.symbols import x

LARGE = [
    *("softplus(100*x)/100", "log(cosh(x))", "log(2 + exp(x) + exp(2*x))", "log(1 + exp(x**2))", "log(1 + cosh(x))"),
    *("exp(x)/(1 + exp(x))**2", "(exp(x) - exp(-x))/(exp(x) + exp(-x))", "sinh(x)/cosh(x)", "sinh(x)**2/cosh(x)**2"),
    *("exp(x/2)/(1 + exp(x))", "exp(x)/(2 + exp(x))", "exp(2*x)/(1 + exp(x) + exp(2*x))", "exp(x)/sqrt(1 + exp(2*x))"),
    *("x*(1 - exp(-2*x))/(1 + exp(-2*x))", "log(1/(1 + exp(-x)))", "exp(x)*(1 - tanh(x)**2)", "log(1 + tanh(x))"),
    *("(exp(x) + 3)/(exp(x) + 1)", "exp(x)/(1 + x**2 + exp(x))", "exp(x)/cosh(x)/cosh(2*x)", "x*tanh(softplus(x))"),
    *("(1 - tanh(x)**2)/(1 + tanh(x))", "log(1/(1 + exp(-x)) + 1)", "log(Phi(x/200))"),
]
POINTS = [-4e3, -800.0, -40.0, -3.2, -0.7, 0.3, 2.1, 35.0, 720.0, 4e3]


def plain(f: sp.Expr, z: float, digits: int = 4000) -> mpmath.mpf:
    with mpmath.workdps(digits):
        return +sp.lambdify(x, f, "mpmath")(mpmath.mpf(z))


@pytest.mark.parametrize("text", LARGE)
def test_values_at_large_arguments(text: str) -> None:
    f = parse(text)
    expected = [float(plain(f, z)) for z in POINTS if abs(z) < 1e3 or text != "log(1 + exp(x**2))"]
    at = POINTS if len(expected) == len(POINTS) else [z for z in POINTS if abs(z) < 1e3]
    code = compile_function([x], [f], jit=False)
    quick = law_of(f)(np.array(at))
    slow = sp.lambdify(x, stable(f, tails=True), [MPMATH, "mpmath"])
    for z, truth, value in zip(at, expected, quick, strict=True):
        accepted = pytest.approx(truth, rel=2e-15 * max(10, abs(z)), abs=3e-16)
        assert code(z)[0] == accepted
        assert value == accepted
        assert float(slow(mpmath.mpf(z))) == accepted


@pytest.mark.parametrize("text", LARGE)
def test_slopes_at_large_arguments(text: str) -> None:
    """The derivative is rewritten as well, and equals that of the rewritten function."""
    f = parse(text)
    code = compile_function([x], [sp.diff(f, x), sp.diff(stable(f, tails=True), x)], jit=False)
    for z in (-300.0, -40.0, -3.2, 0.3, 35.0, 300.0):
        truth = float(plain(sp.diff(f, x), z))
        assert code(z) == pytest.approx([truth, truth], rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("node", "f"), [(logistic, 1 / (1 + sp.exp(-x))), (softplus, sp.log(1 + sp.exp(x)))])
def test_nodes_are_what_they_stand_for(node: type, f: sp.Expr) -> None:
    for z in (-1.3, 0.4, 7.0):
        for order in range(4):
            mine = sp.diff(node(x), x, order).subs(x, sp.Float(z, 40)).evalf(25)
            assert abs(mine - sp.diff(f, x, order).subs(x, sp.Float(z, 40)).evalf(25)) < 1e-22


def test_slopes_of_the_error_functions() -> None:
    for node, f in ((rise, 1 + sp.erf(x)), (dawson, sp.sqrt(sp.pi) / 2 * sp.exp(-(x**2)) * sp.erfi(x))):
        at = sp.Rational(7, 10)
        assert abs((node(x) - f).subs(x, at).evalf(20)) < 1e-18
        assert abs((node(x) - f).diff(x).subs(x, at).evalf(20)) < 1e-18


def test_tails_keep_their_relative_accuracy() -> None:
    f = stable(activation("gelu").expr, tails=True)
    g = sp.lambdify(x, f, [MPMATH, "mpmath"])
    with mpmath.workdps(30):
        value = g(mpmath.mpf(-40))
    truth = plain(activation("gelu").expr, -40.0, 1000)
    assert abs(value / truth - 1) < 1e-25
    assert activation("abs(x*Phi(x))").kinks == (0,)


HOLES = [
    ("sin(x)/x", 0, 1),
    ("(exp(x) - 1)/x", 0, 1),
    ("(1 - cos(x))/x**2", 0, "1/2"),
    ("tanh(x)/x", 0, 1),
    ("x/(exp(x) - 1)", 0, 1),
    ("(tanh(x) - x)/x**3", 0, "-1/3"),
    ("sin(100*x)/x", 0, 100),
    ("sin(x)/(x - pi)", "pi", -1),
    ("log(sinh(x)/x)", 0, 0),
    ("x/sinh(x)", 0, 1),
    ("erf(x)/x", 0, "2/sqrt(pi)"),
]


@pytest.mark.parametrize(("text", "point", "limit"), HOLES)
def test_removable_holes_are_filled(text: str, point: str | int, limit: str | int) -> None:
    f, centre = parse(text), float(sp.N(parse(str(point))))
    radius = float(fillings(f)[0].radius)
    compiled, law, slow = compile_function([x], [filled(f)]), law_of(f), evaluator(f)
    slope = compile_function([x], [filled(sp.diff(f, x))])
    with mpmath.workdps(30):
        there = slow(mpmath.mpf(sp.N(parse(str(point)), 40)))
        assert abs(there - mpmath.mpf(sp.N(parse(str(limit)), 30))) < 1e-27
    for step in (1e-12, 1e-6, 1e-3, 0.1 * radius, 0.69 * radius, 0.71 * radius):
        truth = float(plain(f, centre + step, 60))
        accepted = pytest.approx(truth, rel=1e-14, abs=1e-14)
        assert compiled(centre + step)[0] == accepted
        assert law(np.array([centre + step]))[0] == accepted
        assert slope(centre + step)[0] == pytest.approx(
            float(plain(sp.diff(f, x), centre + step, 80)), rel=1e-11, abs=1e-11
        )


@pytest.mark.parametrize(
    "text",
    [
        *("1/x", "sin(x)/x + 1e-15/x", "exp(-1/x**2)", "x*log(x**2)", "tan(x)", "x/tan(x)", "step(x)/x", "sin(1/x)"),
        *("max(x, 1/step)", "tanh/(Heaviside(he3/step))", "1/step", "max(x, log(step))", "abs(1/step)"),
    ],
)
def test_what_cannot_be_filled_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(NotRealError, match=r"undefined|infinite") as caught:
        activation(text)
    assert "\n" not in str(caught.value)
