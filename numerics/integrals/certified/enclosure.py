r"""A certified number: an interval that contains it, and the double that is printed with its error.

With a ball X that contains the true value, v = float(mid X) and error = the next double above the largest |X - v|, so
that |v - true| <= error whatever was rounded. Precision is doubled until the radius of the ball is at most 2^-53 of
its value, or at most an absolute target where the value may be 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from flint import arb
from sympy import Expr

from theory.enclosures.balls import precision
from theory.errors import NotCertifiedError, ParameterError
from theory.shown import Shown

__all__ = ["ABSOLUTE", "PRECISIONS", "Enclosure", "Number", "exact_number", "resolved"]

Number = Expr | float | Fraction
"""A float is the decimal that it prints."""

PRECISIONS = (64, 128, 256, 512, 1024)
ABSOLUTE = Fraction(1, 2**200)  # a radius that is small enough where the value may be 0
RELATIVE = Fraction(1, 2**53)
GIVING_UP = 2  # precisions that bring nothing


@dataclass(frozen=True)
class Enclosure(Shown):
    """An interval that contains the true value: `middle` +- `radius`, each an integer times a power of two.

    Attributes:
        value: a double next to the middle.
        error: no less than the distance of the double from the true value.
        certified: whether that is proved, as it is.

    >>> with precision(64):
    ...     third = Enclosure.of(arb(1) / 3)
    >>> third.value, third.error, third.low < Fraction(1, 3) < third.high
    (0.3333333333333333, 1.8...e-17, True)
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
        value = _double(_fraction(middle))
        distance = abs(_fraction(middle) - Fraction(value)) + _fraction(radius)
        error = math.nextafter(_double(distance), math.inf) if distance else 0.0
        return cls(value, error, middle, radius)

    @property
    def low(self) -> Fraction:
        """The lower end of the interval."""
        return _fraction(self.middle) - _fraction(self.radius)

    @property
    def high(self) -> Fraction:
        """The upper end of the interval."""
        return _fraction(self.middle) + _fraction(self.radius)

    @property
    def width(self) -> Fraction:
        """Half the length of the interval."""
        return _fraction(self.radius)

    @property
    def ball(self) -> arb:
        """The interval as a ball."""
        return arb(arb(self.middle), arb(self.radius))


def _parts(ball: arb) -> tuple[int, int]:
    mantissa, exponent = ball.man_exp()
    return int(mantissa), int(exponent)


def _fraction(parts: tuple[int, int]) -> Fraction:
    mantissa, exponent = parts
    return Fraction(mantissa) * Fraction(2) ** exponent


def _double(number: Fraction) -> float:
    """Return the nearest double; the largest one where the number is larger."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.nextafter(math.inf, 0), number)


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


def resolved(ball_at: Callable[[], arb], name: str, absolute: Fraction = ABSOLUTE) -> Enclosure:
    """Return a number to the precision of a double, or to an absolute radius; `ball_at` encloses it as FLINT stands.

    A ball that is nan says that something failed for good, one of infinite radius that more bits may help.

    >>> from theory.enclosures.balls import constant
    >>> resolved(lambda: constant(sp.pi), "pi")
    <Enclosure value = 3.1415927 ± 1e-16, certified = True>

    Raises `NotCertifiedError`, with the best enclosure reached, where neither is reached.
    """
    best: Enclosure | None = None
    failures, bits = 0, PRECISIONS[0]
    for bits in PRECISIONS:
        with precision(bits):
            ball = ball_at()
            result = Enclosure.of(ball) if ball.is_finite() else None
        if result is None:
            failures += bool(ball.is_nan())
        elif result.width <= max(absolute, RELATIVE * abs(_fraction(result.middle))):
            return result
        elif best is not None and 4 * result.width > best.width:
            failures += 1
        else:
            best = result
        if failures == GIVING_UP:
            break
    reached = "no finite enclosure" if best is None else f"only {best.value:.6g} ± {best.error:.1g}"
    raise NotCertifiedError(f"not certified: {name} is not resolved at {bits} bits, {reached}.", best)
