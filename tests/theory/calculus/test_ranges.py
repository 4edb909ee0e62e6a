"""Bounds of functions with parameters, against values on a fine grid of x at random parameters."""

import numpy as np
import pytest
import sympy as sp
from sympy import Rational, S

from theory.calculus.ranges import range_of
from theory.calculus.signs import OpenSignError, at
from theory.symbols import x

a, b = sp.symbols("a b", real=True)
GRID = np.concatenate([np.linspace(-3, 3, 2001), np.geomspace(3, 600, 300), -np.geomspace(3, 600, 300)])
POINTS = [(Rational(1, 2), Rational(7, 3)), (Rational(-3, 2), Rational(1, 5)), (Rational(4, 3), Rational(-5, 2))]
BEST = [
    *(a + b * sp.tanh(x), sp.sin(a * x) + b, 1 / (1 + sp.exp(-a * x)), a * sp.tanh(x) ** 2 + b, sp.exp(-(x**2)) * a),
    *(b * sp.Min(1, sp.Max(-1, x)), sp.Abs(sp.tanh(a * x) - Rational(1, 3)), sp.acos(sp.tanh(x)) + a, sp.erfc(b * x)),
    *(sp.atan(x) ** 3 * a, sp.cosh(sp.tanh(x) * b), sp.log(1 + a**2 + sp.erf(x)), 1 / (2 + sp.sin(x)), sp.Max(a, b)),
    *(b / sp.sqrt(1 + x**2), 2 ** sp.tanh(a * x), sp.Heaviside(x - 1) * a, sp.asinh(sp.sin(x)) - b),
]
LOOSE = [sp.tanh(x) + sp.tanh(-2 * x) + a, sp.tanh(x) * sp.sin(x) * b, x**2 * sp.exp(-(x**2)) + b, x * sp.tanh(x)]


def bounds_and_values(f: sp.Expr, point: tuple) -> tuple[float, float, np.ndarray]:
    values = dict(zip((a, b), point, strict=True))
    with at(values):
        found = range_of(f)
    low, high = (float(sp.N(end.subs(values))) for end in (found.low, found.high))
    special = {"erfc": np.vectorize(lambda z: float(sp.erfc(z)))}
    rule = sp.lambdify(
        x, f.subs(values), [{"Heaviside": lambda z, _=0: np.heaviside(z, 0.5)}, special, "scipy", "numpy"]
    )
    with np.errstate(over="ignore"):
        return low, high, np.broadcast_to(np.asarray(rule(GRID), float), GRID.shape)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("f", [*BEST, *LOOSE], ids=str)
def test_values_stay_between_the_bounds(f: sp.Expr, point: tuple) -> None:
    low, high, values = bounds_and_values(f, point)
    assert low <= values.min() + 1e-12
    assert values.max() - 1e-12 <= high
    if f in BEST:
        assert (values.min(), values.max()) == (pytest.approx(low, abs=2e-2), pytest.approx(high, abs=2e-2))


def test_bounds_hold_wherever_their_conditions_do() -> None:
    with at({a: S(2), b: S(1)}) as notes:
        found = range_of(b + a * sp.sin(x))
    assert (found.low, found.high, notes.positive) == (b - a, a + b, [a])
    with at({a: -S(2), b: S(1)}) as notes:
        found = range_of(b + a * sp.sin(x))
    assert (found.low, found.high, notes.positive) == (a + b, b - a, [-a])


def test_whether_a_bound_is_reached() -> None:
    expected = {
        sp.tanh(x): (False, False),
        sp.sin(x): (True, True),
        x**2: (True, False),
        sp.exp(-(x**2)): (False, True),
    }
    with at({}):
        assert {f: range_of(f).reached for f in expected} == expected
        assert range_of(1 + sp.tanh(x)).is_positive
        assert not range_of(1 + sp.sin(x)).is_positive


@pytest.mark.parametrize("f", [sp.gamma(x), 1 / (x**2 - 1), sp.sqrt(x), sp.tanh(a * x) / (b + x)], ids=str)
def test_functions_without_known_bounds(f: sp.Expr) -> None:
    with at({a: S(2), b: S(1)}), pytest.raises(OpenSignError):
        range_of(f)
