"""Stationary search times of polynomial A(p) and B(p), and their limits, against tau itself."""

import math

import pytest
import sympy as sp
from sympy import Rational as Q
from sympy import S

from theory.language.parameters import declared
from theory.search.stationary import limit_of_tau, stationary_values, tau_of

PART = declared("p")[0]
p = PART.symbol


def tau(drive: sp.Expr, bend: sp.Expr, value: float, square: float = 1) -> float:
    a, b = (float(f.subs(p, value)) for f in (drive, bend))
    return (math.sqrt(square**2 * b**2 + 4 * square * a**2) - square * b) / (2 * square * a**2)


@pytest.mark.parametrize("square", [1, 4])
def test_every_minimum_of_tau_is_among_the_candidates(square: int) -> None:
    drive, bend = p**3 - 2 * p + 3, -(p**4) + p - 2  # A = 0 < tau at p = -1.89, between two minima
    candidates = [float(v) for v in stationary_values(drive, bend, sp.Integer(square), PART)]
    places = [i / 1000 for i in range(-3000, 3001)]
    times = [tau(drive, bend, place, square) for place in places]
    turns = [places[i] for i in range(1, 6000) if times[i - 1] > times[i] < times[i + 1]]
    assert len(turns) >= 1
    for turn in turns:
        assert min(abs(turn - candidate) for candidate in candidates) < 2e-3


@pytest.mark.parametrize(
    ("drive", "bend"),
    [(p, -(p**2)), (2 * p, -3 * p**2 + p), (S.One, -S(2)), (p, -p), (p**2 + 1, p - p**3), (S.One, p), (p, -(p**4))],
)
@pytest.mark.parametrize("side", [1, -1])
def test_limits_are_those_of_tau(drive: sp.Expr, bend: sp.Expr, side: int) -> None:
    limit = limit_of_tau(sp.sympify(drive), sp.sympify(bend), S.One, p, side)
    near, far = (tau(sp.sympify(drive), sp.sympify(bend), side * 10.0**n) for n in (3, 4))
    if limit == S.Infinity:
        assert far > 5 * near > 100
    elif limit == 0:
        assert far < near / 5
    else:
        assert far == pytest.approx(float(limit), rel=1e-3)


def test_tau_of_numbers() -> None:
    assert tau_of(Q(1, 3), Q(1, 2), S.One) == sp.radsimp(2 / (Q(1, 2) + sp.sqrt(Q(1, 4) + Q(4, 9))))
    assert tau_of(sp.sqrt(2), -S.One, S.One).is_Float
    assert (tau_of(S.Zero, S(2), S.One), tau_of(S.Zero, S.Zero, S.One)) == (Q(1, 2), S.Infinity)


def test_what_is_no_polynomial() -> None:
    assert stationary_values(sp.exp(p), -S.One, S.One, PART) is None
    assert stationary_values(p, sp.pi * p, S.One, PART) is None
    assert stationary_values(p, -S.One, sp.Symbol("alpha") ** 2, PART) is None
