r"""Between which bounds a function with parameters stays on the whole line, proved at a point of the parameters.

Interval arithmetic: a sum stays between the sums of the bounds of its terms, a monotone function between its values at
both bounds of its argument, and so on. Bounds are expressions in the parameters; which of two is the larger is decided
at the point and noted (`theory.calculus.signs.at`), so that a bound that is found holds wherever the conditions do. It
is the best one where x stands once, and else only a bound: none of x**2 + x (`theory.calculus.positive`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import sympy as sp
from sympy import Expr, S

from theory.calculus.signs import OpenSignError, decided
from theory.symbols import x

__all__ = ["Range", "range_of"]

RISING = (sp.exp, sp.tanh, sp.erf, sp.erfi, sp.atan, sp.sinh, sp.asinh, sp.log, sp.asin, sp.acosh, sp.atanh)
FALLING = (sp.erfc, sp.acos)


@dataclass(frozen=True)
class Range:
    """Bounds, and which of them may be reached."""

    low: Expr = S.NegativeInfinity
    high: Expr = S.Infinity
    reached: tuple[bool, bool] = (False, False)

    @property
    def side(self) -> int:
        """The sign of values that are not 0; 0 where they may have either."""
        return 1 if _sign(self.low) >= 0 else -1 if _sign(self.high) <= 0 else 0

    @property
    def is_positive(self) -> bool:
        """Whether all values are positive."""
        return _sign(self.low) > 0 or (_sign(self.low) == 0 and not self.reached[0])

    @property
    def size(self) -> Range:
        """The range of |f|."""
        if self.side:
            return self if self.side > 0 else -self
        high, reached = _largest((-self.low, self.reached[0]), (self.high, self.reached[1]))
        return Range(S.Zero, high, (True, reached))

    def rising(self, f: Callable[[Expr], Expr]) -> Range:
        """The range of an increasing function of it."""
        low = f(self.low)
        return Range(S.NegativeInfinity if low is sp.zoo else low, f(self.high), self.reached)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low, (self.reached[1], self.reached[0]))

    def __add__(self, other: Range) -> Range:
        low, high = (a and b for a, b in zip(self.reached, other.reached, strict=True))
        return Range(self.low + other.low, self.high + other.high, (low, high))

    def __mul__(self, other: Range) -> Range:
        if not (self.side and other.side):
            high = _times(self.size.high, other.size.high)
            return Range(-high, high, (True, True))
        one, two = self.size, other.size
        low, high = _times(one.low, two.low), _times(one.high, two.high)
        ends = [one.reached[0] and two.reached[0], one.reached[1] and two.reached[1]]
        if low == 0:
            ends[0] = any(factor.low == 0 and factor.reached[0] for factor in (one, two))
        product = Range(low, high, (ends[0], ends[1]))
        return product if self.side == other.side else -product


def range_of(f: Expr) -> Range:
    """Return bounds of f(x) over all real x; raises `OpenSignError` where none are known.

    >>> from theory.calculus.signs import at
    >>> b = sp.Symbol("b", real=True)
    >>> with at({b: sp.S(2)}) as notes:
    ...     found = range_of(3 + b * sp.tanh(x) ** 2)
    >>> found.low, found.high, found.reached, notes.positive
    (3, b + 3, (True, False), [b])
    """
    if not f.has(x):
        return Range(f, f, (True, True))
    match f:
        case sp.Symbol():
            return Range()
        case sp.Add() | sp.Mul():
            constant, rest = f.as_independent(x)
            parts = map(range_of, type(f).make_args(rest))
            if isinstance(f, sp.Add):
                return reduce(Range.__add__, parts, range_of(constant))
            return _scaled(reduce(Range.__mul__, parts), constant)
        case sp.Pow():
            return _power(f.base, f.exp)
        case sp.Max() | sp.Min():
            sign = 1 if isinstance(f, sp.Max) else -1
            parts = [range_of(sign * part) for part in f.args]
            low, is_low = _largest(*((part.low, part.reached[0]) for part in parts))
            high, is_high = _largest(*((part.high, part.reached[1]) for part in parts))
            result = Range(low, high, (is_low, is_high))
            return result if sign > 0 else -result
        case sp.sin() | sp.cos() | sp.sign():
            return Range(-S.One, S.One, (True, True))
        case sp.Heaviside():
            return Range(S.Zero, S.One, (True, True))
        case sp.Abs():
            return range_of(f.args[0]).size
        case sp.cosh():
            return range_of(f.args[0]).size.rising(sp.cosh)
    if isinstance(f, FALLING):
        return -range_of(f.args[0]).rising(lambda bound: -f.func(bound))
    if isinstance(f, RISING):
        return range_of(f.args[0]).rising(f.func)
    raise OpenSignError(f)


def _sign(bound: Expr) -> int:
    return decided(bound) if bound.is_infinite is not True else 1 if bound == sp.oo else -1


def _times(a: Expr, b: Expr) -> Expr:
    """Return a product of two bounds that are not negative."""
    return S.Zero if 0 in (a, b) else sp.oo if sp.oo in (a, b) else a * b


def _largest(*ends: tuple[Expr, bool]) -> tuple[Expr, bool]:
    best, *others = ends
    for other in others:
        ahead = 0 if best[0] == other[0] else _sign(other[0] - best[0])
        best = other if ahead > 0 else (best[0], best[1] or (ahead == 0 and other[1]))
    return best


def _scaled(part: Range, constant: Expr) -> Range:
    if part == Range() or constant == 1:
        return part
    side = decided(constant)
    scaled = part.rising(lambda end: end if end.is_infinite else side * constant * end)
    return scaled if side > 0 else -scaled


def _power(base: Expr, exponent: Expr) -> Range:
    if exponent.has(x):
        return range_of(sp.exp(exponent * sp.log(base), evaluate=False))
    side = decided(exponent)
    if side < 0:
        result = range_of(base**-exponent)
        if not result.size.is_positive:
            raise OpenSignError(base**exponent)
        inverse = -result.size.rising(lambda end: S.Zero if end == sp.oo else -sp.oo if end == 0 else -1 / end)
        return inverse if result.side > 0 else -inverse
    inner = range_of(base)
    if exponent.is_Integer:
        return (inner if exponent % 2 else inner.size).rising(lambda bound: bound**exponent)
    if inner.side < 1:
        raise OpenSignError(base)
    return inner.rising(lambda bound: bound if bound in (0, sp.oo) else bound**exponent)
