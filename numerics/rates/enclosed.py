r"""The search phase at one pre-trained weight, every number enclosed.

A (or L_q, L_r) and B are balls that contain them (`numerics.integrals.certified`), and G, the rate and tau follow in
balls, from 64 bits on until each is resolved to a double, or to as many digits as asked for. tau then lies within its
error, and within the interval, as a theorem.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import sympy as sp
from flint import arb, ctx
from sympy import Expr

from numerics.integrals.certified.closed import ball_at
from numerics.integrals.certified.enclosure import PRECISION, printed
from numerics.integrals.certified.integrals import search_time_of
from numerics.rates.place import Place
from numerics.rates.search import Search
from theory.enclosures.balls import constant, precision

__all__ = ["Balls", "enclosed"]


class Balls:
    """A, B, G, rate and tau at the precision that FLINT stands at; `slowdown` divides the learning rate."""

    def __init__(self, place: Place, parts: tuple[Expr, Expr], *, aligned: bool, slowdown: int) -> None:
        at = [ball_at(part, place.at) for part in parts]
        self._place, self._aligned, self._slowdown = place, aligned, slowdown
        self._parts = lru_cache(maxsize=8)(lambda bits: tuple(part() for part in at))

    @property
    def A(self) -> arb:
        """The drive of an aligned weight."""
        return cast(arb, self._parts(ctx.prec)[0])

    @property
    def B(self) -> arb:
        """Minus the curvature across the bulk."""
        second = cast(arb, self._parts(ctx.prec)[1])
        return second if self._aligned else -2 * second

    @property
    def G(self) -> arb:
        """The length of the loss's gradient."""
        if self._aligned:
            return abs(self.A)
        slope, bend = self._parts(ctx.prec)
        along, gap = slope + 2 * constant(self._place.overlap) * bend, constant(self._place.gap)
        return (along * along + 4 * gap * bend * bend).sqrt()

    @property
    def tau(self) -> arb:
        """The search time."""
        scale = constant(self._place.scale)
        return search_time_of(self.G * scale, self.B * scale * scale) * self._slowdown

    @property
    def rate(self) -> arb:
        """Its inverse."""
        tau = self.tau
        return 1 / tau if tau.is_finite() else tau

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing drives u, which does not grow: tau is infinite."""
        with precision(PRECISION):
            return bool(self.G.is_zero() and self.B <= 0)


def enclosed(
    place: Place, parts: tuple[Expr, Expr], *, aligned: bool, slowdown: int = 1, digits: int | None = None
) -> Search:
    """Return the search with proved errors, in doubles or to so many digits.

    Args:
        place: where it is asked for.
        parts: A and B, or L_q and L_r where the weight is not aligned.
        aligned: which of them.
        slowdown: what the learning rate is divided by.
        digits: None for doubles.

    Raises `NotCertifiedError` where one of the numbers has no enclosure, or is not resolved.
    """
    balls = Balls(place, parts, aligned=aligned, slowdown=slowdown)
    names = (*(("A",) if aligned else ()), "B", "G", *(() if balls.is_at_rest else ("rate",)))
    numbers = {name: printed(lambda name=name: getattr(balls, name), name, digits) for name in names}
    mu, rho = (
        printed(lambda value=value: constant(value), "a number", digits).value for value in (place.mu, place.rho)
    )
    along, bend, drive, rate = (numbers[name].value if name in numbers else None for name in ("A", "B", "G", "rate"))
    here, errors = (mu, rho, along, bend, drive), {name: number.error for name, number in numbers.items()}
    if rate is None:
        nothing = 0.0 if digits is None else sp.Float(0, digits)
        at_rest = {**errors, "rate": nothing}
        return Search(*here, nothing, None, nothing, (math.inf, None), slowdown, certified=True, errors=at_rest)
    tau, error, interval = printed(lambda: balls.tau, "tau", digits)
    return Search(*here, rate, tau, error, interval, slowdown, certified=True, errors=errors)
