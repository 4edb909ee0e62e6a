r"""The zeros of a smooth function on the whole line, as a theorem.

Polynomials over the rationals have theirs isolated exactly. Of any other function h the sign beyond some T comes from
`theory.enclosures.growth`; between -T and T intervals are halved, X of midpoint m, and

    0 not in h(X), or 0 not in h(m) + h'(X) (X - m)                no zero in X
    0 not in h'(X), h of opposite signs at the ends                one zero in X, and it is simple
    0 not in h'(X), h of one sign at the ends                      no zero in X

What is left of a width below 2^-40 is *undecided*: a double zero, or two that lie close. A zero that was proved is
refined to any precision by the interval Newton iteration X -> X n (m - h(m)/h'(X)), X halved by the sign of h(m) where
that does not converge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr

from theory.enclosures.balls import BallFunction, constant, function, precision, real_number
from theory.enclosures.growth import growth, reflected
from theory.enclosures.primitives import prepared
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["Interval", "Point", "Zero", "Zeros", "exact", "place", "zeros"]

Interval = tuple[Fraction, Fraction]

BITS = 64
REACHES = tuple(2**k for k in range(11))  # T at which a sign beyond is asked for
OFFSETS = Fraction(1337, 10**4), Fraction(2113, 10**4)  # so that no half of a half ends at a zero such as 0 or 1
NARROWEST = Fraction(1, 2**40)
MOST = 20_000  # intervals looked at
LARGEST_DENOMINATOR = 360


@dataclass(frozen=True)
class Zero:
    """The one zero of h in (low, high), where h' keeps its sign."""

    h: Expr
    low: Fraction
    high: Fraction
    rises: bool

    def ball(self) -> arb:
        """Return it at the working precision."""
        return _refined(self, ctx.prec)

    @property
    def mirrored(self) -> Zero:
        """The zero of h(-x)."""
        return Zero(reflected(self.h), -self.high, -self.low, not self.rises)


Point = Expr | Zero
"""An exact number, or a zero that has no name."""


@dataclass(frozen=True)
class Zeros:
    """All zeros in increasing order, but for those that the `undecided` intervals may hold."""

    proved: tuple[Point, ...]
    undecided: tuple[Interval, ...] = ()


def place(point: Point) -> arb:
    """Return where a point lies, at the working precision."""
    return point.ball() if isinstance(point, Zero) else constant(point)


def exact(ball: arb) -> Fraction:
    """Return an exact ball as a fraction."""
    mantissa, exponent = (int(part) for part in ball.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def zeros(h: Expr, low: Fraction | None = None, high: Fraction | None = None) -> Zeros:
    """Return the zeros of an expression in x on [low, high], by default on the whole line.

    >>> zeros(x**2 - 2).proved, zeros(sp.exp(x) - 1).proved
    ((-sqrt(2), sqrt(2)), (0,))
    >>> found = zeros(sp.tanh(x) - sp.Rational(1, 3))
    >>> with precision(128):
    ...     [place(point) for point in found.proved], found.undecided
    ([[0.34657359027997265470861606072908828... +/- ...]], ())
    >>> len(zeros((sp.exp(x) - 2) ** 2).undecided)
    1

    Raises `NotCertifiedError` where the sign far out, or too much of what lies before, stays open.
    """
    if h.is_polynomial(x):
        poly = sp.Poly(h, x)
        if all(c.is_Rational for c in poly.all_coeffs()) and not poly.is_zero:
            roots = sorted(set(sp.real_roots(poly)), key=lambda root: root.evalf(BITS))
            return Zeros(tuple(root for root in roots if not _is_outside(root, low, high)))
    with precision(BITS):
        ends = _reach(h, low, high)
        found = list(_isolated(prepared(h), *ends))
        proved = tuple(_named(zero) for zero in found if isinstance(zero, Zero))
        return Zeros(proved, tuple(_merged([interval for interval in found if not isinstance(interval, Zero)])))


def _is_outside(root: Expr, low: Fraction | None, high: Fraction | None) -> bool:
    return (low is not None and bool(root < sp.Rational(low.numerator, low.denominator))) or (
        high is not None and bool(root > sp.Rational(high.numerator, high.denominator))
    )


def _reach(h: Expr, low: Fraction | None, high: Fraction | None) -> Interval:
    left, right = OFFSETS
    low = -_beyond(reflected(prepared(h))) - left if low is None else low
    return low, _beyond(h) + right if high is None else high


def _beyond(h: Expr) -> int:
    """Return T with h of one sign on [T, oo)."""
    for T in REACHES:
        try:
            if growth(h, T).is_definite:
                return T
        except NotCertifiedError:
            continue
    raise NotCertifiedError(f"not certified: the sign of {h} beyond {REACHES[-1]} is open.")


def _isolated(h: Expr, low: Fraction, high: Fraction) -> Iterator[Zero | Interval]:
    """Yield proved zeros and undecided intervals from left to right."""
    f, slope = function(h, x), function(sp.diff(h, x), x)
    waiting, seen = [(low, high)], 0
    while waiting:
        a, b = waiting.pop()
        seen += 1
        if seen > MOST:
            raise NotCertifiedError(f"not certified: the zeros of {h} stay open after {MOST} intervals.")
        X = real_number(a).union(real_number(b))
        middle = (a + b) / 2
        steepness = _real(slope, X)
        if _is_without(_real(f, X)) or _is_without(_value(f, middle) + steepness * (X - real_number(middle))):
            continue
        if _is_without(steepness):
            ends = _value(f, a), _value(f, b)
            if all(map(_is_without, ends)):
                if (ends[0] > 0) != (ends[1] > 0):
                    yield Zero(h, a, b, bool(steepness > 0))
                continue
        if b - a < NARROWEST:
            yield a, b
        else:
            waiting += [(middle, b), (a, middle)]


def _real(f: BallFunction, X: arb) -> arb:
    return f(acb(X)).real


def _value(f: BallFunction, point: Fraction) -> arb:
    return _real(f, real_number(point))


def _is_without(ball: arb) -> bool:
    """Whether a ball is finite and excludes 0."""
    return bool(ball.is_finite() and not ball.contains(0))


def _merged(intervals: list[Interval]) -> Iterator[Interval]:
    while intervals:
        low, high = intervals.pop(0)
        while intervals and intervals[0][0] == high:
            high = intervals.pop(0)[1]
        yield low, high


@lru_cache(maxsize=4096)
def _refined(zero: Zero, bits: int) -> arb:
    f, slope = function(zero.h, x), function(sp.diff(zero.h, x), x)
    low, high = zero.low, zero.high
    while True:
        X = real_number(low).union(real_number(high))
        middle = (low + high) / 2
        height = _value(f, middle)
        left, right = low, high
        newton = real_number(middle) - height / _real(slope, X)
        if newton.is_finite():
            left, right = max(low, exact(newton.lower())), min(high, exact(newton.upper()))
        if 2 * (right - left) > high - low and _is_without(height):
            left, right = (left, min(right, middle)) if (height > 0) == zero.rises else (max(left, middle), right)
        if left == right or 2 * (right - left) > high - low:
            return real_number(left).union(real_number(right))
        low, high = left, right


def _named(zero: Zero) -> Point:
    """Return a small fraction, or such a part of pi, where h vanishes there by SymPy's own arithmetic."""
    ball = zero.ball()
    for unit in (sp.S.One, sp.pi):
        guess = exact((ball / constant(unit)).mid()).limit_denominator(LARGEST_DENOMINATOR)
        point = sp.Rational(guess.numerator, guess.denominator) * unit
        if ball.contains(constant(point)) and zero.h.subs(x, point) == 0:
            return point
    return zero
