r"""What is known of the search phase at one pre-trained weight, and how it follows from A (or L_q, L_r) and B.

With S = sqrt(B^2 + 4 G^2) the rate is lambda = (B + S)/2 and tau = 1/lambda. For B < 0 that is a difference of nearly
equal numbers when G is small, so lambda = 2 G^2 / (S - B) is used there. lambda grows with G and with B, so that
intervals G +- dG and B +- dB give an interval for tau at their corners; tau has no upper end where the corner does
not grow. G = |A| for aligned pre-training, else G^2 = (L_q + 2 mu L_r)^2 + 4 (rho^2 - mu^2) L_r^2, in which nothing
cancels, with dG <= dL_q + 2 rho dL_r.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import sympy as sp
from sympy import Expr

from numerics.integrals.evaluate import as_double, rounding
from numerics.integrals.quadrature import Estimate, Real
from numerics.rates.place import Place
from theory.network.system import System
from theory.shown import Shown

__all__ = ["MODEST", "Search", "growth_rate", "length_of", "rounded", "search_of", "slowed", "timed"]

ERROR_DIGITS = 5
MODEST = (1e-140, 1e140)  # sizes that float64 squares without overflow or underflow


@dataclass(frozen=True)
class Search(Shown):
    """The search phase at one pre-trained weight, in time t = eta * step.

    Attributes:
        mu: alignment of the pre-trained weight.
        rho: its length; |mu| where it is aligned.
        A: drive, dm/dt = A u at the start; None unless aligned.
        B: minus the curvature of the loss across the bulk.
        G: length of the loss's gradient at the pre-trained weight, |A| where aligned.
        rate: growth rate lambda.
        tau: search time 1/lambda; None where infinite.
        error: bound on the absolute error of tau; infinite where only the lower end of `interval` is finite.
        interval: covers the exact tau; its upper end is None where infinite.
        slowdown: what the learning rate was divided by; `rate`, `tau`, `error` and `interval` contain it.
        certified: whether error and interval are proved; otherwise they are those of quadrature, in float64.
        errors: bounds on the absolute errors of A, B, G and the rate by name, proved as `error` is.

    Numbers beyond the range of a double are `sympy.Float`, also where no `digits` were asked for.
    """

    shows = "mu, rho, A, B, G, rate, tau ± error, interval, slowdown"

    mu: Real
    rho: Real
    A: Real | None
    B: Real
    G: Real
    rate: Real
    tau: Real | None
    error: Real
    interval: tuple[Real, Real | None]
    slowdown: int = 1
    certified: bool = False
    errors: Mapping[str, Real] = field(default_factory=dict)

    @property
    def log_tau(self) -> float | None:
        """The natural logarithm of tau, a float whatever the size of tau; None where tau is infinite.

        >>> from numerics.rates.search_time import search_time
        >>> from theory.network.derivation import derive
        >>> search = search_time(derive("exp(100*x)"), 0.5)
        >>> search.tau.is_Float, search.log_tau  # doctest: +ELLIPSIS
        (True, -11259.94...)
        """
        if self.tau is None:
            return None
        return float(sp.log(self.tau)) if isinstance(self.tau, Expr) else math.log(self.tau)


def search_of(system: System, place: Place, parts: tuple[Estimate, Estimate], kind: Callable[..., Real]) -> Search:
    """Evaluate at the centre and at the corners of the intervals of G and B, in numbers of one kind."""
    scale = kind(place.scale)
    if system.escape.A is not None:
        drive, bend = Estimate(abs(parts[0].value), parts[0].error), parts[1]
    else:
        drive, bend = length_of(place, *parts, kind), Estimate(-2 * parts[1].value, 2 * parts[1].error)
    centre, middle = drive.value * scale, bend.value * scale**2
    far, wide = drive.error * scale, bend.error * scale**2
    rate, fastest = growth_rate(centre, middle), growth_rate(centre + far, middle + wide)
    slowest = growth_rate(max(centre - far, 0 * far), middle - wide)
    along = None if system.escape.A is None else parts[0].value
    shared = kind(place.mu), kind(place.rho), along, bend.value, drive.value
    errors = {} if along is None else {"A": parts[0].error}
    return timed(shared, rate, (slowest, fastest), {**errors, "B": bend.error, "G": drive.error})


def timed(
    shared: tuple[Real, Real, Real | None, Real, Real],
    rate: Real,
    ends: tuple[Real, Real],
    errors: Mapping[str, Real],
) -> Search:
    """Return tau of a rate that lies between two ends, with the errors of A, B and G."""
    slowest, fastest = ends
    errors = {**errors, "rate": max(fastest - rate, rate - slowest)}
    low, high = (1 / fastest if fastest > 0 else np.inf), (1 / slowest if slowest > 0 else None)
    if not rate > 0:
        return Search(*shared, rate, None, 0.0, (low, high), errors=errors)
    tau = 1 / rate
    error = np.inf if high is None else max(tau - low, high - tau)
    return Search(*shared, rate, tau, error, (low, high), errors=errors)


def length_of(place: Place, slope: Estimate, bend: Estimate, kind: Callable[..., Real]) -> Estimate:
    """Return |L_q w* + 2 L_r w0|."""
    squared = (slope.value + 2 * kind(place.overlap) * bend.value) ** 2 + 4 * kind(place.gap) * bend.value**2
    length = sp.sqrt(squared) if isinstance(squared, sp.Expr) else float(np.sqrt(squared))
    return Estimate(length, slope.error + 2 * kind(sp.sqrt(place.gap + place.overlap**2)) * bend.error)


def growth_rate(a: Real, b: Real) -> Real:
    """Return lambda = (b + sqrt(b^2 + 4 a^2))/2, a = alpha G >= 0 and b = alpha^2 B, in a form that keeps its digits.

    `theory.search.law.growth` is the formula; at b < 0 it is a small difference, here 2 a^2/(sqrt(b^2 + 4 a^2) - b).

    >>> growth_rate(1e-9, -1.0)
    1e-18
    """
    root = sp.sqrt(b * b + 4 * a * a) if isinstance(b, sp.Expr) else float(np.hypot(b, 2 * a))
    if b > 0:
        return (b + root) / 2
    return 2 * a * a / (root - b) if root > 0 else 0 * root


def rounded(search: Search, digits: int | None) -> Search:
    """Convert every number to float64, or to so many digits; their errors take up what that moves them by."""

    def number(exact: Real, kept: int | None = digits) -> Real:
        return as_double(exact) if digits is None else sp.Float(exact, kept)

    def optional(exact: Real | None) -> Real | None:
        return None if exact is None else number(exact)

    def moved(error: Real, by: Real | None) -> Real:
        exact = by or 0
        return number(error + rounding(number(exact), digits) * abs(exact), ERROR_DIGITS)

    low, high = search.interval
    wider = rounding(number(low), digits)
    return Search(
        number(search.mu),
        number(search.rho),
        optional(search.A),
        number(search.B),
        number(search.G),
        number(search.rate),
        optional(search.tau),
        moved(search.error, search.tau),
        (number(low * (1 - wider)), optional(high and high * (1 + wider))),
        errors={name: moved(error, getattr(search, name)) for name, error in search.errors.items()},
    )


def slowed(search: Search, factor: int) -> Search:
    """Return the search at a learning rate divided by a whole number."""
    if factor == 1:
        return search
    low, high = search.interval
    return replace(
        search,
        rate=search.rate / factor,
        errors={name: error / factor if name == "rate" else error for name, error in search.errors.items()},
        tau=None if search.tau is None else _times(search.tau, factor),
        error=_times(search.error, factor),
        interval=(_times(low, factor), None if high is None else _times(high, factor)),
        slowdown=factor,
    )


def _times(number: Real, factor: int) -> Real:
    product = number * factor
    return as_double(sp.Float(number) * factor) if product == np.inf and number < np.inf else product
