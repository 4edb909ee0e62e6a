r"""How the critical alignments of a family change with a parameter: folds, and ends of branches at mu = 0 and 1.

The critical alignments are the roots of A(mu, p) in (0, 1). Divide out of A the factors that vanish for every p (mu,
and 1 - mu where student and teacher are one function); what is left is F. As p varies, the number of roots of F in
(0, 1) changes only where

    F = 0 = dF/dmu          two roots meet, at a *fold*, or branches cross,
    F(0, p) = 0, F(1, p) = 0    a root passes an *end* of the interval,
    F = 0 for every mu      the parameter turns the search off.

Where A is a polynomial in mu and p with rational coefficients all of these are found: F is factored over the rationals,
one unknown is eliminated by resultants, and the real roots of these are isolated, so that no bifurcation is missed, and
each p and mu is an exact algebraic number. The number of roots between two bifurcations is that at one rational p
between them, by Sturm's theorem. What is decided by digits (80 of them) is which p and mu of the two eliminations
belong together. `numerics.best.bifurcations` looks for the same points where A is no polynomial. The zeros of B are
treated alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Literal

import mpmath
import sympy as sp
from sympy import Expr, Poly, S

from theory.language.parameters import Parameter
from theory.search.window import middle, part_between, rational_in, roots_between
from theory.shown import Shown, short
from theory.symbols import mu

__all__ = ["ZEROS", "Bifurcation", "Kind", "Quantity", "borders_of", "counted", "of_polynomial"]

Kind = Literal["fold", "crossing", "end", "flat", "wall", "below", "above", "unclear"]
Quantity = Literal["A", "B"]
DIGITS = 80
NOTHING = mpmath.mpf(10) ** (-DIGITS // 2)
UNIT = Parameter(mu, S.Zero, S.One)
ZEROS: dict[Quantity, tuple[str, str]] = {
    "A": ("critical alignment", "critical alignments"),
    "B": ("zero of B", "zeros of B"),
}
"""What one zero in 0 < mu < 1, and several, are called."""
MEANINGS = {
    "fold": "two {zeros} meet at mu = {at}",
    "crossing": "{zeros} cross at mu = {at}",
    "end": "a {zero} enters or leaves at mu = {at}",
    "flat": "{quantity} = 0 for every mu",
    "wall": "another formula holds beyond",
    "below": "a {zero} enters or leaves below mu = {at}, where {quantity} has no known sign",
    "above": "a {zero} enters or leaves above mu = {at}, where {quantity} has no known sign",
    "unclear": "the number of {zeros} seen changes; how is not known",
}


@dataclass(frozen=True)
class Bifurcation(Shown):
    """A value of a parameter at which the critical alignments of a family change.

    Attributes:
        kind: "fold" (two meet and vanish), "crossing" (they meet and go on), "end" (one enters or leaves (0, 1) at
            mu = 0 or 1), "flat" (A = 0 for every mu) or "wall" (another formula holds beyond); and, where they are
            searched for, "below" and "above" (one enters or leaves where A has no known sign, beyond `mu`) and
            "unclear" (their number changes, and it is not known how).
        value: of the parameter, exact (`error` 0) or a Float.
        mu: the alignment, exact or a Float; None for flat, wall and unclear.
        error: estimate of the error of `value`.
        quantity: whose zeros change: "A" (critical alignments), or "B", where all of the above is said of its zeros.
    """

    shows = "kind, value ± error, mu"

    kind: Kind
    value: Expr
    mu: Expr | None = None
    error: float = 0.0
    quantity: Quantity = "A"

    @property
    def words(self) -> str:
        """What happens there.

        >>> Bifurcation("end", S(3), S.Zero).words
        'a critical alignment enters or leaves at mu = 0'
        """
        zero, zeros = ZEROS[self.quantity]
        return MEANINGS[self.kind].format(zero=zero, zeros=zeros, quantity=self.quantity, at=short(self.mu))


def of_polynomial(
    drive: Expr, part: Parameter, quantity: Quantity = "A"
) -> tuple[list[Bifurcation], Callable[[Parameter], int]] | None:
    r"""Return the bifurcations of A inside an interval, ascending, and what counts critical alignments between them.

    The same of B and its zeros. None where it is no polynomial in mu and the parameter with rational coefficients.

    >>> from theory.language.parameters import declared
    >>> part = declared("-1 < p < 2")[0]
    >>> points, count = of_polynomial((1 - mu) * (part.symbol - mu * (1 - mu)), part)
    >>> [(point.kind, point.value, point.mu) for point in points], counted(borders_of(points, part), part, count)
    ([('end', 0, 0), ('end', 0, 1), ('fold', 1/4, 1/2)], [0, 2, 0])
    """
    poly = rational_in(drive, mu, part.symbol)
    if poly is None:
        return None
    factors = [factor for factor, _ in poly.factor_list()[1]]
    moving = [f for f in factors if f.degree(mu) and not _is_an_end(f)]
    points = [
        Bifurcation("flat", value)
        for f in factors
        if not f.degree(mu)
        for value in roots_between(Poly(f.as_expr(), part.symbol), part)
    ]
    for f in moving:
        for end in (S.Zero, S.One):
            passing = Poly(f.as_expr().subs(mu, end), part.symbol)
            points += [Bifurcation("end", value, end) for value in roots_between(passing, part, odd=True)]
        points += [Bifurcation(_kind(f, place), *place) for place in _common(f, f.diff(mu), part)]
    for f, g in combinations(moving, 2):
        points += [Bifurcation("crossing", *place) for place in _common(f, g, part)]
    whole = sp.Mul(*[f.as_expr() for f in moving])

    def count(between: Parameter) -> int:
        places = (middle(between, sp.Rational(i, 2 * i + 1)) for i in sp.primerange(2, sp.oo))
        polys = (Poly(sp.expand(whole.subs(part.symbol, place)), mu) for place in places)
        generic = next(poly for poly in polys if poly.eval(0) != 0 and poly.eval(1) != 0)
        return int(generic.count_roots(0, 1))

    return sorted((replace(point, quantity=quantity) for point in points), key=_order), count


def borders_of(points: Iterable[Bifurcation], part: Parameter) -> list[Expr]:
    """Return the ends of an interval and the values of its bifurcations between them, each once."""
    return [part.low, *dict.fromkeys(point.value for point in sorted(points, key=_order)), part.high]


def counted(borders: Sequence[Expr], part: Parameter, count: Callable[[Parameter], int]) -> list[int]:
    """Return the number of critical alignments between every two borders."""
    return [count(part_between(part, low, high)) for low, high in pairwise(borders)]


def _order(point: Bifurcation) -> tuple[float, float]:
    return float(point.value), -1.0 if point.mu is None else float(point.mu)


def _is_an_end(f: Poly) -> bool:
    """Whether a factor vanishes at mu = 0 or 1 for every value of the parameter, and, irreducible, nowhere else."""
    return any(f.as_expr().subs(mu, end).expand() == 0 for end in (0, 1))


def _common(f: Poly, g: Poly, part: Parameter) -> list[tuple[Expr, Expr]]:
    """Return (p, mu) with f = g = 0, mu in (0, 1)."""
    p = part.symbol
    if not (f.degree(p) or g.degree(p)):
        return []
    values = roots_between(Poly(sp.resultant(f.as_expr(), g.as_expr(), mu), p), part)
    alignments = roots_between(Poly(sp.resultant(f.as_expr(), g.as_expr(), p), mu), UNIT) if values else []
    return [(value, at) for value in values for at in alignments if all(_vanishes(h, value, at, p) for h in (f, g))]


def _vanishes(f: Poly, value: Expr, at: Expr, p: sp.Symbol) -> bool:
    with mpmath.workdps(DIGITS):
        place = [mpmath.mpf(number.evalf(DIGITS)) for number in (at, value)]
        terms = [mpmath.mpf(c.p) / c.q * place[0] ** i * place[1] ** j for (i, j), c in f.as_poly(mu, p).terms()]
        return bool(abs(mpmath.fsum(terms)) <= NOTHING * mpmath.fsum(map(abs, terms)))


def _kind(f: Poly, place: tuple[Expr, Expr]) -> Kind:
    """A fold where dF/dp and d^2 F/dmu^2 are not zero."""
    p = next(symbol for symbol in f.gens if symbol != mu)
    turns = (f.diff(p), f.diff((mu, 2)))
    return "crossing" if any(h.is_zero or _vanishes(h, *place, p) for h in turns) else "fold"
