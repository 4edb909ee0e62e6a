"""Where functions with parameters are positive: against the lowest of many values, and counts of roots by NumPy."""

import random

import numpy as np
import pytest
import sympy as sp
from sympy import Poly, Rational, S

from theory.calculus.positive import NotPositiveError, _minors, _signature, positive
from theory.calculus.signs import OpenSignError, sign_at
from theory.symbols import x

a, b, c = sp.symbols("a b c", real=True)
GRID = np.unique(np.concatenate([np.linspace(-8, 8, 8001), np.geomspace(8, 400, 300), -np.geomspace(8, 400, 300)]))
FAMILIES = [
    *(x**4 + b * x**2 + 1, x**4 + b * x + 1, x**6 + b * x**3 + b * x + 2, x**4 + b * x**3 + x**2 + 1 + b),
    *(x**4 + b * x**2 + c, x**4 + a * x**2 + b * x + c, x**2 + b * x + c, a * x**2 + b * x + c, x**6 + b * x + c),
    *(a + b * sp.tanh(x), 1 + b * sp.tanh(x) + c * sp.tanh(x) ** 2, a + b * sp.erf(c * x), b + sp.exp(x)),
    *(1 + b * sp.exp(x) + sp.exp(2 * x), sp.cosh(x) + b, sp.cosh(x) + x**2 + b, sp.cosh(x) + b * sp.sinh(x)),
    *(c + a * sp.sin(x) + b * sp.cos(x), c + sp.sin(b * x), c + sp.atan(b * x), 1 + b / (1 + x**2)),
    *((x - b) ** 2 * (x**2 + c), (1 + b * x**2) / (2 + sp.tanh(x)), sp.Abs(x) + b + x**2, b * sp.exp(-(x**2)) + 1),
]
"""Of all of these it is decided at a generic point."""


def lowest(f: sp.Expr, point: dict) -> float:
    """Return the lowest of many values."""
    rule = sp.lambdify(x, f.subs(point), ["scipy", "numpy"])
    with np.errstate(over="ignore"):
        return float(np.min(np.nan_to_num(rule(GRID), nan=np.inf)))


def places(f: sp.Expr, count: int) -> list[dict]:
    generator = random.Random(str(f))
    return [{p: Rational(generator.randint(-400, 400), 101) for p in (a, b, c)} for _ in range(count)]


@pytest.mark.parametrize("f", FAMILIES, ids=str)
def test_a_verdict_is_that_of_values(f: sp.Expr) -> None:
    """Where a function is said to be positive it is, and so it is at every other point with the same conditions."""
    seen, found = places(f, 25), list[tuple]()
    for point in seen:
        try:
            conditions = positive(f, point, strictly=False)
        except NotPositiveError:
            assert lowest(f, point) < 0
            continue
        assert all(sign_at(condition, point) == 1 for condition in conditions)
        assert lowest(f, point) > -1e-9
        found.append(conditions)
    assert found
    for conditions in set(found):
        others = [point for point in seen if all(sign_at(condition, point) == 1 for condition in conditions)]
        assert all(lowest(f, point) > -1e-9 for point in others)


def test_one_interval_of_one_parameter_is_one_condition() -> None:
    assert positive(x**4 + b * x**2 + 1, {b: S(5)}) == positive(x**4 + b * x**2 + 1, {b: -S(1)}) == (b + 2,)
    assert positive(x**4 + b * x + 1, {b: S.Zero}) == (256 - 27 * b**4,)
    assert positive(x**2 + b * x + 1, {b: S.Zero}) == (b + 2, 2 - b)


def test_signs_that_do_not_matter_are_no_conditions() -> None:
    """x^4 + b x^2 + c: b > 0 and c > 0 whatever b^2 - 4 c is, and b^2 < 4 c whatever b is."""
    f = x**4 + b * x**2 + c
    assert set(positive(f, {b: S(5), c: S(1)})) == set(positive(f, {b: S(1), c: S(5)})) == {b, c}
    assert set(positive(f, {b: -S(1), c: S(5)})) == {4 * c - b**2, c}


def test_zeros_that_touch_and_zeros_below() -> None:
    square = (x - b) ** 2
    assert positive(square, {b: S(1)}, strictly=False) == ()
    with pytest.raises(NotPositiveError):
        positive(square, {b: S(1)})
    with pytest.raises(NotPositiveError):
        positive((x**2 + 1) / square, {b: S(1)}, strictly=False)


def test_what_is_undecided() -> None:
    with pytest.raises(OpenSignError):
        positive(x**4 + b * x**2 + 1, {b: -S(2)})  # on the wall
    with pytest.raises(OpenSignError):
        positive(1 + x * sp.tanh(x) * b - x**2 * b / 2 + x**4, {b: S(1)})
    with pytest.raises(NotPositiveError):  # seen at one x
        positive(x**2 + sp.tanh(x) * b + sp.sin(x), {b: S(5)})


@pytest.mark.parametrize(
    "coefficients",
    [
        (1, 0, 0, 0, 1),
        (1, 0, 0, 0, -1),
        (1, 0, -5, 0, 4),
        (2, 1, 3, -1, 5),
        (1, 0, 0, 0, 0, 0, 1),
        (3, 0, 0, 2, 0, -7, 1),
    ],
)
def test_signature_counts_real_roots(coefficients: tuple[int, ...]) -> None:
    roots = np.roots(coefficients)
    minors = _minors(Poly(coefficients, x))
    signs = [int(sp.sign(number)) for number, _ in minors]
    assert _signature(signs) == int(np.sum(abs(roots.imag) < 1e-9))


def test_an_end_that_is_not_reached() -> None:
    assert positive(1 + sp.tanh(b * x), {b: S(2)}) == ()
    assert positive(b + sp.exp(-x), {b: S(2)}) == (b,)
    with pytest.raises(NotPositiveError):
        positive(1 + sp.sin(b * x), {b: S(2)})


def test_bounds_that_are_not_the_best_refute_nothing() -> None:
    """tanh^2(x) - tanh(x) >= -1/4, of which bounds say -1: with 1/2 more it is positive."""
    inner = sp.sqrt(sp.tanh(x) ** 2 - sp.tanh(x) + Rational(1, 2))
    with pytest.raises(OpenSignError):
        positive(inner - b, {b: Rational(1, 3)})
    with pytest.raises(NotPositiveError):
        positive(inner - b, {b: Rational(3, 4)})
    with pytest.raises(OpenSignError):
        positive(b + sp.sin(sp.tanh(x)), {b: Rational(9, 10)})  # above sin(-1)
