"""Bifurcations of polynomial A: every kind at places that are known, and the family of He_1 and He_3."""

import pytest
import sympy as sp
from sympy import Rational as Q
from sympy import S

from theory.language.parameters import declared
from theory.network.derivation import derive
from theory.search.bifurcations import borders_of, counted, of_polynomial
from theory.symbols import mu

PART = declared("-3 < p < 3")[0]
p = PART.symbol


def analysed(drive: sp.Expr) -> tuple[list[tuple], list[int]]:
    points, count = of_polynomial(sp.expand(drive), PART)
    numbers = counted(borders_of(points, PART), PART, count)
    return [(point.kind, point.value, point.mu) for point in points], numbers


@pytest.mark.parametrize(
    ("drive", "points", "counts"),
    [
        # mu = 1/2 -+ sqrt(1/4 - p), which leaves (0, 1) at p = 0 on both sides
        (p - mu * (1 - mu), [("end", 0, 0), ("end", 0, 1), ("fold", Q(1, 4), Q(1, 2))], [0, 2, 0]),
        # mu = p beside one that stays
        ((mu - Q(1, 2)) * (mu - p), [("end", 0, 0), ("crossing", Q(1, 2), Q(1, 2)), ("end", 1, 1)], [1, 2, 2, 1]),
        # (mu - 1/2)^2 = p^2: branches cross in one irreducible-looking square, and mu = 1/2 -+ p leave at p = -+ 1/2
        (
            (mu - Q(1, 2)) ** 2 - p**2,
            [
                ("end", -Q(1, 2), 0),
                ("end", -Q(1, 2), 1),
                ("crossing", 0, Q(1, 2)),
                ("end", Q(1, 2), 0),
                ("end", Q(1, 2), 1),
            ],
            [0, 2, 2, 0],
        ),
        # a cusp of one cubic: p = (2 mu - 1)^3 is one branch with a vertical tangent, and no fold
        ((2 * mu - 1) ** 3 - p, [("end", -1, 0), ("crossing", 0, Q(1, 2)), ("end", 1, 1)], [0, 1, 1, 0]),
        # a root that touches mu = 0 from inside, mu = p^2, and one that does from outside
        (mu - p**2, [("end", -1, 1), ("end", 1, 1)], [0, 1, 0]),
        (mu + p**2, [], [0]),
        # p = 1 turns the search off; mu and 1 - mu vanish for every p
        ((p - 1) * mu**2 * (1 - mu) * (mu - Q(1, 3)), [("flat", 1, None)], [1, 1]),
        # a double root for every p is one critical alignment
        ((3 * mu - 1) ** 2 * (1 + p**2), [], [1]),
        # nothing that moves
        ((1 - mu) * (1 + p**2), [], [0]),
        # the discriminant vanishes where the roots are complex or outside
        ((mu - 5) ** 2 - p, [], [0]),
    ],
)
def test_every_kind(drive: sp.Expr, points: list, counts: list) -> None:
    assert analysed(drive) == (points, counts)


def test_numbers_that_are_not_rational_are_exact() -> None:
    points, _ = of_polynomial(mu**3 - p * mu + Q(1, 10), PART)
    (fold,) = [point for point in points if point.kind == "fold"]
    minimal = sp.minimal_polynomial(fold.value, sp.Symbol("t"))
    assert minimal.subs("t", sp.cbrt(Q(27, 400))).evalf(30) == pytest.approx(0, abs=1e-25)  # 4 p^3 = 27/100
    assert fold.mu.evalf(20) == sp.cbrt(Q(1, 20)).evalf(20)  # 2 mu^3 = 1/10


def test_linear_and_cubic_hermite() -> None:
    """A/(1 - mu) = c1^2 + 3 c1 (4 mu^2 + mu - 1) + 9 mu (5 mu^3 + 5 mu^2 + mu - 1) with c3 = 1."""
    family = derive("p*x + He(3, x)", parameters="p")
    expected = p**2 + 3 * p * (4 * mu**2 + mu - 1) + 9 * mu * (5 * mu**3 + 5 * mu**2 + mu - 1)
    assert sp.expand(family.escape.A - (1 - mu) * expected) == 0
    points, count = of_polynomial(family.escape.A, PART)
    fold = points[0]
    assert fold.kind == "fold"
    assert float(fold.value) == pytest.approx(-0.437120971963953, abs=1e-15)
    assert float(fold.mu) == pytest.approx(0.222229649225026, abs=1e-15)
    assert counted(borders_of(points, PART), PART, count) == [0, 2, 1]


def test_what_is_no_polynomial_is_left_to_others() -> None:
    assert of_polynomial(sp.exp(-p * mu), PART) is None
    assert of_polynomial(sp.pi * mu - p, PART) is None
    assert of_polynomial(mu - S.One / p, PART) is None
