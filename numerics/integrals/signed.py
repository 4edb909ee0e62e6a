"""Numbers whose signs decide: proved by balls where an expression has a closed form, else with an estimated error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from flint import acb
from sympy import Expr, Symbol

from numerics.accuracy import INTEGRAL
from numerics.integrals.certified.closed import NODES
from numerics.integrals.evaluate import Evaluator, evaluator, looser
from theory.enclosures.balls import BallFunction, function, precision, real_part
from theory.errors import NotCertifiedError, QuadratureError

__all__ = ["Signed", "signed"]

BITS = (128, 256, 1024)
"""precisions at which a sign is tried to be proved"""
TINY = 5e-324
"""stands for what is closer to 0 and has a sign"""


@dataclass(frozen=True, eq=False)
class Signed:
    """An expression at numbers: a double, and what it may be off by.

    That is 0 where the sign is proved; a number without one is then 0, and one too small for a double is `TINY`.
    """

    compiled: Evaluator
    balls: BallFunction | None

    def __call__(self, *at: float) -> tuple[float, float]:
        """Return the double and its error."""
        proved = None if self.balls is None else _proved(self.balls, at)
        return _estimated(self.compiled, at) if proved is None else (proved, 0.0)


@lru_cache(maxsize=64)
def signed(args: tuple[Symbol, ...], expr: Expr) -> Signed:
    """Return what gives an expression of these arguments its sign.

    >>> from sympy import exp
    >>> from theory.symbols import mu
    >>> signed((mu,), exp(-1 / mu) - exp(-2 / mu))(1e-9)
    (5e-324, 0.0)
    """
    balls = None
    with suppress(NotCertifiedError):
        balls = None if expr.has(*NODES) else function(expr, *args)
    return Signed(evaluator(args, (expr,)), balls)


def _proved(f: BallFunction, at: Sequence[float]) -> float | None:
    """Return a double of the sign that balls prove, 0 where they do not; None where they are not finite."""
    for bits in BITS:
        with precision(bits):
            try:
                ball = real_part(f(*map(acb, at)))
            except NotCertifiedError:
                return None
            if not ball.is_finite():
                return None
            if not ball.contains(0):
                number = float(ball.mid())
                return number or math.copysign(TINY, 1 if ball > 0 else -1)
    return 0.0


def _estimated(f: Evaluator, at: Sequence[float]) -> tuple[float, float]:
    """Return a number to the first tolerance that is reached, and its error, not 0; NaN where it overflows."""
    for tolerance in (INTEGRAL, *looser(INTEGRAL)):
        with suppress(QuadratureError):
            try:
                estimate = f(*at, tolerance=tolerance)[0]
                return float(estimate.value), max(float(estimate.error), TINY)
            except ArithmeticError:
                return math.nan, TINY
    estimate = f(*at)[0]  # raises what it says
    return float(estimate.value), max(float(estimate.error), TINY)
