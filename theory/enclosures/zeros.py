r"""The zeros of a smooth function on the whole line, as a theorem.

Polynomials over the rationals have theirs isolated exactly. Of any other function h the sign beyond some T comes from
`theory.enclosures.growth`; between -T and T intervals are halved, X of midpoint m, and

    0 not in h(X), or 0 not in h(m) + h'(X) (X - m)                no zero in X
    0 not in h'(X), h of opposite signs at the ends                one zero in X, and it is simple
    0 not in h'(X), h of one sign at the ends                      no zero in X

What is left of a width below 2^-40, or after 20,000 intervals, is *undecided*: a double zero, two that lie close, or
one of a function of which balls know too little. A zero that was proved is
refined to any precision by the interval Newton iteration X -> X n (m - h(m)/h'(X)), X halved by the sign of h(m) where
that does not converge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr

from theory.enclosures.balls import BallFunction, constant, function, precision, real_number
from theory.enclosures.growth import growth, reflected
from theory.enclosures.primitives import prepared
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = [
    "Bracket",
    "Enclosed",
    "Interval",
    "Point",
    "Zero",
    "Zeros",
    "exact",
    "isolated",
    "place",
    "refined",
    "zeros",
]

Interval = tuple[Fraction, Fraction]
Enclosed = Callable[[arb], arb]

BITS = 64
REACHES = tuple(2**k for k in range(11))  # T at which a sign beyond is asked for
OFFSETS = Fraction(1337, 10**4), Fraction(2113, 10**4)  # so that no half of a half ends at a zero such as 0 or 1
NARROWEST = Fraction(1, 2**40)
MOST = 20_000  # intervals looked at
LARGEST_DENOMINATOR = 360


@dataclass(frozen=True)
class Bracket:
    """An interval with one zero, at which a function with a derivative of one sign rises or falls."""

    low: Fraction
    high: Fraction
    rises: bool


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


def zeros(h: Expr, low: Fraction | None = None, high: Fraction | None = None, most: int = MOST) -> Zeros:
    """Return the zeros of an expression in x on [low, high], by default on the whole line, by so many intervals.

    >>> zeros(x**2 - 2).proved, zeros(sp.exp(x) - 1).proved
    ((-sqrt(2), sqrt(2)), (0,))
    >>> found = zeros(sp.tanh(x) - sp.Rational(1, 3))
    >>> with precision(128):
    ...     [place(point) for point in found.proved], found.undecided
    ([[0.34657359027997265470861606072908828... +/- ...]], ())
    >>> len(zeros((sp.exp(x) - 2) ** 2).undecided)
    1

    Raises `NotCertifiedError` where the sign far out stays open.
    """
    if h.is_polynomial(x):
        poly = sp.Poly(h, x)
        if all(c.is_Rational for c in poly.all_coeffs()) and not poly.is_zero:
            roots = sorted(set(sp.real_roots(poly)), key=lambda root: root.evalf(BITS))
            return Zeros(tuple(root for root in roots if not _is_outside(root, low, high)))
    with precision(BITS):
        ends = _reach(h, low, high)
        whole = prepared(h)
        f, slope = function(whole, x), function(sp.diff(whole, x), x)
        brackets, undecided = isolated(partial(_real, f), partial(_real, slope), partial(_value, f), [ends], most=most)
        proved = [_named(Zero(whole, each.low, each.high, each.rises)) for each in brackets]
        return Zeros(tuple(proved), tuple(undecided))


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


def isolated(
    f: Enclosed,
    slope: Enclosed,
    at: Callable[[Fraction], arb],
    spans: Iterable[Interval],
    narrowest: Fraction = NARROWEST,
    most: int = MOST,
) -> tuple[list[Bracket], list[Interval]]:
    """Return where a function has proved zeros in the given intervals, and what is undecided of them, left to right.

    `f` and `slope` enclose the function and its derivative on a ball, `at` the function at a point. The widest
    intervals are looked at first, `most` in all.
    """
    waiting, proved, undecided = deque(spans), list[Bracket](), list[Interval]()
    for _ in range(most):
        if not waiting:
            break
        a, b = waiting.popleft()
        X, middle = real_number(a).union(real_number(b)), (a + b) / 2
        if _is_without(f(X)):
            continue
        steepness = slope(X)
        if steepness.is_finite() and _is_without(at(middle) + steepness * (X - real_number(middle))):
            continue
        if _is_without(steepness):
            ends = at(a), at(b)
            if all(map(_is_without, ends)):
                if (ends[0] > 0) != (ends[1] > 0):
                    proved.append(Bracket(a, b, bool(steepness > 0)))
                continue
        if b - a < narrowest:
            undecided.append((a, b))
        else:
            waiting += [(a, middle), (middle, b)]
    return sorted(proved, key=lambda each: each.low), list(_merged(sorted([*undecided, *waiting])))


def refined(bracket: Bracket, slope: Enclosed, at: Callable[[Fraction], arb]) -> arb:
    """Return the zero in a bracket as precisely as `at` tells signs, to twice the working precision next to 0."""
    low, high = bracket.low, bracket.high
    finest = Fraction(1, 2 ** (2 * ctx.prec))
    while True:
        X = real_number(low).union(real_number(high))
        middle = (low + high) / 2
        height = at(middle)
        left, right = low, high
        newton = real_number(middle) - height / slope(X)
        if newton.is_finite():
            left, right = max(low, exact(newton.lower())), min(high, exact(newton.upper()))
        if 2 * (right - left) > high - low and _is_without(height):
            is_left = (height > 0) == bracket.rises
            left, right = (left, min(right, middle)) if is_left else (max(left, middle), right)
        if right - left <= finest or 2 * (right - left) > high - low:
            return real_number(left).union(real_number(right))
        low, high = left, right


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
    return refined(Bracket(zero.low, zero.high, zero.rises), partial(_real, slope), partial(_value, f))


def _named(zero: Zero) -> Point:
    """Return a small fraction, or such a part of pi, where h vanishes there by SymPy's own arithmetic."""
    ball = zero.ball()
    for unit in (sp.S.One, sp.pi):
        guess = exact((ball / constant(unit)).mid()).limit_denominator(LARGEST_DENOMINATOR)
        point = sp.Rational(guess.numerator, guess.denominator) * unit
        if ball.contains(constant(point)) and zero.h.subs(x, point) == 0:
            return point
    return zero
