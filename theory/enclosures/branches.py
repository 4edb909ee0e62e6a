r"""A function with switches as smooth branches between proved breakpoints.

What `theory.calculus.pieces` does for derivations is done here as a proof: a switch (`Abs`, `sign`, `Heaviside`, `Max`,
`Min`, `Piecewise`) is resolved between the proved zeros of its switching functions, innermost first, by the signs of
balls at one point inside each interval. A breakpoint is an exact number or a `Zero`, which any precision refines.

That a function is continuous at a breakpoint c is proved by SymPy where the difference D of the branches vanishes at an
exact c, and where c is a zero of h if D is 0 for h = 0 or D/h is finite at c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise
from typing import cast

import sympy as sp
from flint import acb
from sympy import Abs, Expr, Heaviside, Max, Min, Piecewise, sign

from theory.enclosures.balls import function, precision, real_number
from theory.enclosures.primitives import decimals, plain, prepared
from theory.enclosures.zeros import Point, Zero, exact, place, zeros
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["Branches", "branches"]

SWITCHES = (Abs, sign, Heaviside, Max, Min, Piecewise)
PRECISIONS = (64, 256, 1024)  # at which signs and orders are asked for
MOST = 64  # pieces
BEYOND = Fraction(1337, 10**4)  # an interval that ends at a zero does not show it


@dataclass(frozen=True)
class Branches:
    """Smooth `parts` (expressions in x) between increasing `cuts`; one part more than cuts."""

    cuts: tuple[Point, ...]
    parts: tuple[Expr, ...]

    def diff(self) -> Branches:
        """Return the derivative almost everywhere."""
        return Branches(self.cuts, tuple(prepared(sp.diff(part, x)) for part in self.parts))

    @property
    def is_continuous(self) -> bool:
        """Whether it is proved that no cut is a jump."""
        return all(
            _vanishes(right - left, cut) for cut, (left, right) in zip(self.cuts, pairwise(self.parts), strict=True)
        )

    @property
    def is_zero(self) -> bool:
        """Whether it vanishes everywhere."""
        return all(part == 0 for part in self.parts)


def branches(expr: Expr) -> Branches:
    """Return an expression in x as branches, each in the functions of `theory.enclosures.primitives`.

    >>> branches(sp.Max(-1, sp.Min(1, x)))
    Branches(cuts=(-1, 1), parts=(-1, x, 1))
    >>> bend = branches(sp.Max(sp.exp(x) - 3, 0) ** 2)
    >>> bend.is_continuous, bend.diff().is_continuous, bend.diff().diff().is_continuous
    (True, True, False)

    Raises `NotCertifiedError` where zeros, or the order of two of them, stay open.
    """
    return _branches(expr)


@lru_cache(maxsize=1024)
def _branches(expr: Expr) -> Branches:
    cuts: list[Point] = []
    parts: list[Expr] = []
    for cut, part in _resolved(decimals(expr), None, None):
        if parts and sp.expand(part - parts[-1]) == 0:
            continue
        cuts += [] if cut is None else [cut]
        parts.append(part)
    return Branches(tuple(cuts), tuple(prepared(part) for part in parts))


def _resolved(expr: Expr, low: Point | None, high: Point | None) -> list[tuple[Point | None, Expr]]:
    """Return (left end, smooth part) pairs that cover (low, high)."""
    switches = sorted(expr.atoms(*SWITCHES), key=sp.default_sort_key)
    inner = next((n for n in switches if not any(arg.has(*SWITCHES) for arg in n.args)), None)
    if inner is None:
        return [(low, expr)]
    ends = (low, *_cuts(inner, low, high), high)
    if len(ends) > MOST:
        raise NotCertifiedError(f"not certified: {inner} switches more than {MOST} times.")
    pairs: list[tuple[Point | None, Expr]] = []
    for left, right in pairwise(ends):
        part = expr.xreplace({inner: _branch(inner, _sample(left, right))})
        pairs += _resolved(part, left, right)
    return pairs


def _switching_functions(node: Expr) -> Sequence[Expr]:
    if isinstance(node, Max | Min):
        return [cast(Expr, f) - cast(Expr, g) for f, g in combinations(node.args, 2)]
    if isinstance(node, Piecewise):
        relations = set().union(*(condition.atoms(sp.core.relational.Relational) for _, condition in node.args))
        return [relation.lhs - relation.rhs for relation in sorted(relations, key=sp.default_sort_key)]
    return [cast(Expr, node.args[0])]


def _cuts(node: Expr, low: Point | None, high: Point | None) -> list[Point]:
    points: list[Point] = []
    with precision(PRECISIONS[0]):
        start = None if low is None else exact(place(low).lower())
        end = None if high is None else exact(place(high).upper())
    for h in _switching_functions(node):
        if not h.has(x):
            continue
        result = zeros(h, None if start is None else start - BEYOND, None if end is None else end + BEYOND)
        for left, right in result.undecided:
            if (start is None or right > start) and (end is None or left < end):
                raise NotCertifiedError(f"not certified: whether {h} changes sign near x = {float(left):.6g} is open.")
        for point in result.proved:
            if not any(_is_same(point, other) for other in (*points, low, high)):
                points.append(point)
    inside = [c for c in points if (low is None or _is_below(low, c)) and (high is None or _is_below(c, high))]
    for i, point in enumerate(inside):  # by insertion, since an order may not be provable
        j = next((j for j in range(i) if _is_below(point, inside[j])), i)
        inside.insert(j, inside.pop(i))
    return inside


def _is_same(a: Point, b: Point | None) -> bool:
    if isinstance(a, Zero) and isinstance(b, Zero):
        overlap = a.low < b.high and b.low < a.high
        return overlap and bool(sp.cancel(a.h / b.h).is_number)
    return a == b


def _is_below(a: Point, b: Point) -> bool:
    for bits in PRECISIONS:
        with precision(bits):
            left, right = place(a), place(b)
        if left < right or left > right:
            return bool(left < right)
    raise NotCertifiedError(f"not certified: which of two breakpoints near {float(place(a)):.6g} is the larger one.")


def _sample(low: Point | None, high: Point | None) -> Fraction:
    """Return a point inside, where two functions that touch half-way do not."""
    for bits in PRECISIONS:
        with precision(bits):
            start = None if low is None else exact(place(low).upper())
            end = None if high is None else exact(place(high).lower())
        if start is None:
            return Fraction(169, 408) if end is None else end - Fraction(577, 408)
        if end is None:
            return start + Fraction(577, 408)
        if start < end:
            return start + Fraction(169, 408) * (end - start)
    raise NotCertifiedError("not certified: two breakpoints lie too close to tell what is between them.")


def _side(h: Expr, point: Fraction) -> int:
    """Return the sign of h at a point."""
    if not prepared(h).has(x):
        h = sp.simplify(h)
        if h.is_zero:
            return 0
    for bits in PRECISIONS:
        with precision(bits):
            value = function(h, x)(acb(real_number(point))).real
        if value > 0 or value < 0:
            return 1 if value > 0 else -1
    raise NotCertifiedError(f"not certified: the sign of {h} at x = {float(point):.6g}.")


def _branch(node: Expr, point: Fraction) -> Expr:
    if isinstance(node, Max | Min):
        wanted = 1 if isinstance(node, Max) else -1
        best, *others = cast(Sequence[Expr], tuple(sp.ordered(node.args)))
        for other in others:
            best = other if _side(other - best, point) == wanted else best
        return best
    if isinstance(node, Piecewise):
        return next((part for part, condition in node.args if _holds(condition, point)), sp.nan)
    side = _side(cast(Expr, node.args[0]), point)
    if isinstance(node, Abs):
        return side * cast(Expr, node.args[0])
    return sp.Rational(side + 1, 2) if isinstance(node, Heaviside) else sp.Integer(side)


def _holds(condition: sp.Basic, point: Fraction) -> bool:
    relations = condition.atoms(sp.core.relational.Relational)
    known = {each: sp.S(bool(each.func(_side(each.lhs - each.rhs, point), 0))) for each in relations}
    return condition.xreplace(known) == sp.true


def _vanishes(gap: Expr, cut: Point) -> bool:
    gap = plain(gap)
    if not isinstance(cut, Zero):
        return bool(sp.simplify(gap.subs(x, cut)) == 0)
    h = plain(cut.h)
    if gap.subs(h, 0).subs(-h, 0) == 0:
        return True
    with precision(PRECISIONS[0]):
        return bool(function(sp.cancel(gap / h), x)(acb(cut.ball())).is_finite())
