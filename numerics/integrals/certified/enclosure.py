r"""A certified number: an interval that contains it, and the double that is printed with its error.

With a ball X that contains the true value, v = float(mid X) and error = the next double above the largest |X - v|, and
above that from the decimal that v prints, so that |v - true| <= error whatever was rounded; digits beyond those of a
double likewise. Precision is doubled until the
radius of the ball is at most 2^-53 of its value, or at most an absolute target where the value may be 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import NamedTuple, cast

import sympy as sp
from flint import arb
from mpmath.libmp import dps_to_prec, from_man_exp
from sympy import Expr

from numerics.integrals.certified.budget import TooLongError, limited
from theory.enclosures.balls import precision
from theory.errors import NotCertifiedError, ParameterError
from theory.shown import Shown

__all__ = ["ABSOLUTE", "Enclosure", "Number", "Printed", "exact_number", "outwards", "printed", "resolved"]

Real = float | sp.Float
Number = Expr | float | Fraction
"""A float is the decimal that it prints."""

PRECISION = 64  # bits to begin with
DOUBLINGS = 4
ABSOLUTE = Fraction(1, 2**200)  # a radius that is small enough where the value may be 0
RELATIVE = Fraction(1, 2**53)
ERROR_DIGITS = 5
DOUBLE_DIGITS = 15  # of a number beyond a double
FINER = (5, 15, 35)  # digits beyond those of a number, until they show which number is next
BEYOND = 1200  # binary digits of a number that is no double
MOST_BITS = 10**6  # of a fraction
GAP = 10_000  # binary digits by which a radius may be smaller than its middle
EXTRA = 2  # digits of the ends of an interval beyond those of what lies in it
END_DIGITS = 20  # of the ends of an interval
MAX_EXPONENT = 10**17
QUARTER = Fraction(1, 4)
GIVING_UP = 2  # precisions that bring nothing


@dataclass(frozen=True)
class Enclosure(Shown):
    """An interval that contains the true value: `middle` +- `radius`, each an integer times a power of two.

    Attributes:
        value: a double next to the middle; 0 where the interval contains it.
        error: no less than the distance of the double from the true value.
        certified: whether that is proved, as it is.

    >>> with precision(64):
    ...     third = Enclosure.of(arb(1) / 3)
    >>> third.value, third.error, third.low < Fraction(1, 3) < third.high
    (0.3333333333333333, 3.3...e-17, True)
    """

    shows = "value ± error, certified"

    value: float
    error: float
    middle: tuple[int, int]
    radius: tuple[int, int]
    certified: bool = True

    @classmethod
    def of(cls, ball: arb) -> Enclosure:
        """Return what a finite ball encloses, at any precision."""
        middle, radius = (_parts(part) for part in (ball.mid(), ball.rad()))
        near, reach = _clamped(middle), _clamped(radius)
        value = 0.0 if ball.contains(0) else _double(near)
        printed = Fraction(value), Fraction(repr(value))
        distance = max(abs(near - number) for number in printed) + reach
        if _size(middle) < -BEYOND and middle[0]:
            distance += Fraction(1, 2**BEYOND)
        error = math.nextafter(_double(distance), math.inf) if distance else 0.0
        return cls(value, error, middle, radius)

    @property
    def is_double(self) -> bool:
        """Whether it lies within the range of doubles."""
        return self.radius[0] == 0 == self.value or sys.float_info.min <= abs(self.value) < sys.float_info.max

    def to_decimals(self, digits: int = END_DIGITS) -> tuple[str, str]:
        """Return the ends to so many significant digits, rounded outwards.

        >>> with precision(64):
        ...     Enclosure.of(arb(-2) / 3).to_decimals(6), Enclosure.of(arb(1) / 4).to_decimals()
        (('-0.666667', '-0.666666'), ('0.25', '0.25'))
        """
        return outwards(self.low, self.high, digits)

    @property
    def low(self) -> Fraction:
        """The lower end of the interval."""
        return _outward(self.end(-1), -1)

    @property
    def high(self) -> Fraction:
        """The upper end of the interval."""
        return _outward(self.end(1), 1)

    def end(self, side: int) -> tuple[int, int]:
        """Return the lower end (-1) or the upper end (1), an integer times a power of two."""
        (middle, power), radius = self.middle, self.radius
        if not middle or not radius[0]:
            return (side * radius[0], radius[1]) if not middle else self.middle
        if _size(radius) < _size(self.middle) - GAP:
            radius = 1, _size(self.middle) - GAP
        least = min(power, radius[1])
        return (middle << power - least) + side * (radius[0] << radius[1] - least), least

    @property
    def ball(self) -> arb:
        """The interval as a ball."""
        return arb(arb(self.middle), arb(self.radius))


def _parts(ball: arb) -> tuple[int, int]:
    mantissa, exponent = ball.man_exp()
    return int(mantissa), int(exponent)


def _fraction(parts: tuple[int, int]) -> Fraction:
    mantissa, exponent = parts
    return Fraction(mantissa << exponent) if exponent >= 0 else Fraction(mantissa, 1 << -exponent)


def _is_below(part: tuple[int, int], share: Fraction, whole: tuple[int, int]) -> bool:
    """Whether one number is at most a share of the modulus of another, without the powers of two of both."""
    left, right, shift = part[0] * share.denominator, abs(whole[0]) * share.numerator, part[1] - whole[1]
    if not left or not right:
        return not left
    return left << shift <= right if shift >= 0 else left <= right << -shift


def _size(parts: tuple[int, int]) -> int:
    """Return n with 2^(n - 1) <= |number| < 2^n."""
    return abs(parts[0]).bit_length() + parts[1]


def _outward(parts: tuple[int, int], side: int) -> Fraction:
    """Return a number, or of one that takes too long to write another beside it, no less where `side` is 1."""
    if parts[0] and _size(parts) < -MOST_BITS:
        parts = (side, -MOST_BITS) if side * parts[0] > 0 else (0, 0)
    return _fraction(parts)


def _clamped(parts: tuple[int, int]) -> Fraction:
    """Return a number, or one of its sign that is as far beyond the range of doubles on the same side."""
    if parts[0] and abs(_size(parts)) > BEYOND:
        parts = (1 if parts[0] > 0 else -1), (BEYOND if _size(parts) > 0 else -BEYOND)
    return _fraction(parts)


def _digits(parts: tuple[int, int], digits: int) -> sp.Float:
    """Return the nearest number of so many digits, of any size."""
    bits = dps_to_prec(digits)
    return cast(sp.Float, sp.Float._new(from_man_exp(*parts, bits, "n"), bits))


def outwards(low: Fraction, high: Fraction, digits: int = END_DIGITS) -> tuple[str, str]:
    """Return the ends of an interval as decimals of so many significant digits, the interval within.

    >>> outwards(Fraction(1, 3), Fraction(2, 3), 4)
    ('0.3333', '0.6667')
    """
    return _decimal(low, digits, ROUND_FLOOR), _decimal(high, digits, ROUND_CEILING)


def _decimal(number: Fraction, digits: int, rounding: str) -> str:
    context = Context(prec=digits, rounding=rounding, Emin=-MAX_EXPONENT, Emax=MAX_EXPONENT)
    return f"{context.divide(Decimal(number.numerator), Decimal(number.denominator)):g}"


def _double(number: Fraction) -> float:
    """Return the nearest double; the largest one where the number is larger."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.nextafter(math.inf, 0), 1 if number > 0 else -1)


def exact_number(number: Number) -> Expr:
    """Return a number exactly.

    >>> exact_number(0.1), exact_number(sp.sqrt(2))
    (1/10, sqrt(2))
    """
    if isinstance(number, Fraction):
        return sp.Rational(number.numerator, number.denominator)
    if isinstance(number, Expr):
        return number
    if not math.isfinite(number):
        raise ParameterError(f"{number} given; accepted: a finite number.")
    return sp.Rational(repr(float(number)))


def resolved(
    ball_at: Callable[[], arb], name: object, absolute: Fraction = ABSOLUTE, digits: int | None = None
) -> Enclosure:
    """Return a number to the precision of a double, or of so many digits, or to an absolute radius.

    `ball_at` encloses it as FLINT stands.

    A ball that is nan says that something failed for good, one of infinite radius that more bits may help.

    >>> from theory.enclosures.balls import constant
    >>> resolved(lambda: constant(sp.pi), "pi")
    <Enclosure value = 3.141592653589793 ± 3e-16, certified = True>

    Raises `NotCertifiedError`, with the best enclosure reached, where neither is reached.
    """
    best: Enclosure | None = None
    relative = RELATIVE if digits is None else Fraction(1, 10 ** (digits + 1))
    first = PRECISION if digits is None else PRECISION * math.ceil((digits + 1) * math.log2(10) / PRECISION + 0.5)
    failures, bits = 0, first
    for bits in (first * 2**doubling for doubling in range(DOUBLINGS + 1)):
        try:
            with precision(bits), limited():
                ball = ball_at()
        except TooLongError:
            break
        result = Enclosure.of(ball) if ball.is_finite() else None
        if result is None:
            failures += bool(ball.is_nan())
        elif _is_below(result.radius, relative, result.middle) or _is_below(result.radius, absolute, (1, 0)):
            return result
        else:
            is_stuck = best is not None and not _is_below(result.radius, QUARTER, best.radius)
            failures += is_stuck
            best = best if is_stuck else result
        if failures == GIVING_UP:
            break
    reached = "no finite enclosure" if best is None else f"only {best.value:.6g} ± {best.error:.1g}"
    raise NotCertifiedError(f"not certified: {name} is not resolved at {bits} bits, {reached}.", best)


class Printed(NamedTuple):
    """A number as it is printed, its error, and numbers as printed between which the true value lies."""

    value: Real
    error: Real
    interval: tuple[Real, Real]

    def to_decimals(self, digits: int = END_DIGITS) -> tuple[str, str]:
        """Return the ends of the interval to so many significant digits, rounded outwards."""
        low, high = self.interval
        if all(isinstance(end, sp.Float) and end and abs(sp.log(abs(end), 2)) > BEYOND for end in (low, high)):
            context = Context(prec=digits, Emin=-MAX_EXPONENT, Emax=MAX_EXPONENT)  # of the next decimals
            down, up = context.next_minus(Decimal(str(low))), context.next_plus(Decimal(str(high)))
            return f"{down:g}", f"{up:g}"
        return outwards(_exactly(low), _exactly(high), digits)


def printed(ball_at: Callable[[], arb], name: object, digits: int | None = None) -> Printed:
    """Return the double next to a number, or the number of so many digits, whatever the precision that shows which.

    How wide a ball is depends on what FLINT has done before; which number is next to the true value does not. A number
    beyond a double has fifteen digits. Raises `NotCertifiedError` as `resolved` does.

    >>> from theory.enclosures.balls import constant
    >>> printed(lambda: constant(sp.exp(-1)), "1/e")[:2], printed(lambda: constant(sp.exp(-2000)), "tiny").value
    ((0.36787944117144233, 3.1...e-17), 2.57653587296115e-869)
    """
    enclosure = resolved(ball_at, name, Fraction(0), digits)
    if digits is None and not enclosure.is_double:
        digits = DOUBLE_DIGITS
    for finer in FINER:
        value = _rounded(enclosure.end(-1), digits)
        if value == _rounded(enclosure.end(1), digits):
            break
        enclosure = resolved(ball_at, name, Fraction(0), (digits or DOUBLE_DIGITS) + finer)
    else:  # as far as can be told halfway between two
        value = _rounded(enclosure.middle, digits)
    if enclosure.radius[0] == 0 and _is_exactly(value, enclosure.middle):
        error = enclosure.error if digits is None else sp.Float(0, ERROR_DIGITS)
        return Printed(value, error, (value, value))
    return Printed(value, _unit(value, digits), _around(value, digits))


def _exactly(value: Real) -> Fraction:
    if isinstance(value, float):
        return Fraction(value)
    exact = sp.Rational(value)
    return Fraction(int(exact.p), int(exact.q))


def _is_exactly(value: Real, parts: tuple[int, int]) -> bool:
    return abs(_size(parts)) <= BEYOND and _exactly(value) == _fraction(parts)


def _rounded(parts: tuple[int, int], digits: int | None) -> Real:
    return _double(_clamped(parts)) if digits is None else _digits(parts, digits)


def _unit(value: Real, digits: int | None) -> Real:
    """Return what a number differs by, at most, from one that is rounded to it, and so does the decimal it prints."""
    if isinstance(value, float):
        decimal = abs(Fraction(repr(value)) - Fraction(value))
        return math.nextafter(float(Fraction(math.ulp(value)) / 2 + decimal), math.inf)
    assert digits is not None
    power = Decimal(str(value)).adjusted() - digits + 1
    return sp.Float(f"1e{power}", ERROR_DIGITS) if abs(power) < BEYOND else sp.Float(10, ERROR_DIGITS) ** power


def _around(value: Real, digits: int | None) -> tuple[Real, Real]:
    if isinstance(value, float):
        return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
    assert digits is not None
    exact, unit = sp.Float(value, digits + EXTRA), sp.Float(_unit(value, digits), digits + EXTRA)
    return exact - unit, exact + unit
