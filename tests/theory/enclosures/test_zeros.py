"""Proved zeros against mpmath's root finder, and functions with as many zeros as they were made with."""

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theory.enclosures.test_balls import contains
from theory.enclosures.balls import precision
from theory.enclosures.zeros import Zero, place, zeros
from theory.errors import NotCertifiedError
from theory.symbols import x


@pytest.mark.parametrize(
    ("h", "guesses"),
    [
        (sp.tanh(x) - sp.Rational(1, 3), [0.35]),
        (sp.exp(x) - 3 * x, [0.62, 1.51]),
        (sp.atan(x) - 1, [1.56]),
        (x * sp.tanh(sp.log(1 + sp.exp(x))) - sp.Rational(1, 10), [0.16]),
        (x**3 - sp.sqrt(2) * x, [-1.19, 0.0, 1.19]),
        (sp.tanh(1000 * (x - sp.Rational(3, 10))) + x / 10**6, [0.2999999997]),
        (sp.exp(-(x**2)) - sp.Rational(1, 10**6), [-3.7, 3.7]),
    ],
)
def test_zeros_are_all_of_them(h: sp.Expr, guesses: list[float]) -> None:
    found = zeros(h)
    assert not found.undecided
    assert len(found.proved) == len(guesses)
    for point, guess in zip(found.proved, guesses, strict=True):
        with mpmath.workdps(100):
            true = mpmath.findroot(sp.lambdify(x, h, "mpmath"), guess, tol=1e-170, verify=False)
        for bits in (64, 192):
            with precision(bits):
                ball = place(point)
            assert contains(ball, true) or abs(true) < 1e-80
            assert ball.rad() < 2.0 ** (20 - bits)


def test_names_are_found_and_others_are_not() -> None:
    assert zeros(sp.exp(3 * x) - sp.exp(1)).proved == (sp.Rational(1, 3),)
    assert zeros(sp.sin(x) + 2).proved == ()
    assert isinstance(zeros(sp.exp(x) - 3).proved[0], Zero)
    assert zeros(x**5 - x - 1).proved == (sp.CRootOf(x**5 - x - 1, 0),)


@pytest.mark.parametrize("h", [sp.tanh(x) + x**3, sp.sinh(3 * x), sp.atan(x) * (1 + x**2), x * sp.cosh(x)])
def test_a_zero_at_nothing_is_refined_to_an_end(h: sp.Expr) -> None:
    """Signs next to 0 are told at any distance from it."""
    (point,) = zeros(h).proved
    with precision(64):
        assert abs(place(point)) < 1e-30


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(-40, 40), min_size=1, max_size=5))
def test_as_many_as_were_put_in(points: set[int]) -> None:
    h = sp.prod(sp.exp(x / 5) - sp.exp(sp.Rational(k, 50)) for k in points)
    assert zeros(h).proved == tuple(sp.Rational(k, 10) for k in sorted(points))


def test_a_double_zero_is_undecided_and_not_dropped() -> None:
    found = zeros((sp.exp(x) - 2) ** 2 * (x - 5))
    assert [low < sp.log(2) < high for low, high in found.undecided] == [True]
    assert all(high - low < 1e-9 for low, high in found.undecided)
    assert found.proved == (5,)


def test_parts_of_the_line() -> None:
    assert zeros(sp.log(x) - 1, low=sp.Rational(1, 7), high=sp.Integer(9)).undecided == ()
    assert zeros(x**2 - 4, low=sp.Rational(-1)).proved == (2,)


@pytest.mark.parametrize("h", [sp.sin(x), sp.sin(x) + sp.exp(-x), sp.log(x)])
def test_what_is_open_is_said(h: sp.Expr) -> None:
    with pytest.raises(NotCertifiedError):
        zeros(h)
