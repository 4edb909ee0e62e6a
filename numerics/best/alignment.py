r"""The best alignment of pre-training: where the search time is shortest.

tau(mu) is small in between its divergences. Its stationary points are exact where A and B are polynomials
(`theory.search.critical.stationary_mu`); then the smallest of tau at these and at the ends of the interval is its
minimum. Elsewhere tau is sampled and its lowest sample refined. tau is the factor of log d in the exit time and not all
of it: where A is small and B > 0, as for He_4 at mu -> 0+, it is u that grows fast and not m. Time is t = eta * step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
import sympy as sp
from sympy import Expr, S

from numerics.accuracy import BEST_ALIGNMENT
from numerics.integrals.evaluate import exact_number
from numerics.rates.search_time import search_time
from theory.calculus.expectations import is_closed
from theory.errors import HermescapeError, ParameterError, QuadratureError
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.search.critical import stationary_mu
from theory.search.stationary import tau_of
from theory.shown import Shown
from theory.symbols import mu

__all__ = ["BestAlignment", "End", "best_mu"]

PANELS = 64
SMALLEST = 12  # mu -> 0+ is extrapolated from 2^-12, 2^-11 and 2^-10
DIGITS = 15
End = Literal["low", "high", "everywhere"]
LARGEST = 1e300  # longer search times are all the same to the minimiser


@dataclass(frozen=True)
class BestAlignment(Shown):
    """Where tau is shortest on an interval of mu.

    Attributes:
        mu: the alignment, exact (`error` 0) or a Float; 0 where tau falls towards mu -> 0+ and has no minimum.
        tau: the search time there, or its limit.
        error: tolerance in mu, or in tau where mu is 0.
        end: "low" or "high" where it is an end of the interval, None inside; "everywhere" where tau is the same at all.
        exact: whether the minimum is certain, tau being algebraic with isolated stationary points.
    """

    shows = "mu, tau, error, end, exact, is_attained"

    mu: Expr
    tau: Expr
    error: float
    end: End | None
    exact: bool

    @property
    def is_attained(self) -> bool:
        """Whether tau is shortest at an alignment > 0; False where it decreases all the way to mu -> 0+."""
        return self.mu != 0 or self.end == "everywhere"


@takes_text
def best_mu(
    system: System, low: float | str | Expr = 0, high: float | str | Expr = 1, *, tolerance: float = BEST_ALIGNMENT
) -> BestAlignment:
    """Return the alignment at which the search time of aligned LoRA is shortest on [low, high].

    Args:
        system: a derived system of model lora.
        low: lower end, 0 <= low < high; 0 stands for mu -> 0+.
        high: upper end, at most 1.
        tolerance: of mu where the minimum is not exact. The samples are 1/64 of the interval apart, and a minimum that
            is narrower may be missed.

    Raises:
        ParameterError: an interval outside [0, 1], another model, a LoRA scale without a value.
        InputError: a student whose A is infinite.
        HermescapeError: A = 0 for every mu, or tau infinite at every candidate.

    >>> from theory.network.derivation import derive
    >>> best = best_mu(derive("he2"))  # moderate pre-training is best
    >>> best.exact, best.mu.evalf(8), best.tau.evalf(8)
    (True, 0.40128778, 0.38432010)
    >>> best = best_mu(derive("linear"))
    >>> best.end, best.is_attained, best.tau  # pre-training only lengthens it
    ('low', False, 1/2 + sqrt(5)/2)
    """
    ends = tuple(exact_number(end, "mu") for end in (low, high))
    if not 0 <= ends[0] < ends[1] <= 1:
        raise ParameterError(f"interval {low}, {high} given; accepted: 0 <= low < high <= 1, an interval of mu.")
    inside, tau = stationary_mu(system), system.escape.tau
    if tau is not None and is_closed(tau) and not tau.has(mu):
        return BestAlignment(ends[0], tau, 0.0, "everywhere", True)
    if inside is None:
        return _sampled(system, ends, tolerance)
    return _exact(system, ends, [v for v in inside if ends[0] < v < ends[1]])


def _exact(system: System, ends: tuple[Expr, Expr], inside: list[Expr]) -> BestAlignment:
    """Compare tau at the ends and at the stationary points between them."""
    low, high = ends
    candidates = [(v, _tau(system, v)) for v in (low, *inside, high)]
    alignment, tau = min(candidates, key=lambda pair: pair[1].evalf(DIGITS))
    if tau is S.Infinity:
        raise _nowhere(system)
    return BestAlignment(
        alignment, tau, 0.0, "low" if alignment == low else "high" if alignment == high else None, True
    )


def _tau(system: System, alignment: Expr) -> Expr:
    """Return tau at an alignment; a Float unless mu is rational."""
    escape = system.escape
    assert escape.A is not None  # stationary_mu has seen it
    assert escape.B is not None
    assert escape.square is not None
    return tau_of(escape.A.subs(mu, alignment), escape.B.subs(mu, alignment), escape.square)


def _nowhere(system: System) -> HermescapeError:
    return HermescapeError(
        f"student {system.loss_function.student.name}: tau is infinite at both ends and has no minimum between; "
        "accepted: an interval in which the search escapes."
    )


def _sampled(system: System, ends: tuple[Expr, Expr], tolerance: float) -> BestAlignment:
    """Sample tau, refine its lowest sample, and compare with the limit mu -> 0+ where the interval begins there."""
    low, high = map(float, ends)

    def tau(alignment: float, *, certify: bool = False) -> float:
        """Return it in doubles, which do for comparisons."""
        try:
            time = search_time(system, alignment, certify=certify).tau
        except QuadratureError:  # an expectation nearly cancels, as at small mu
            time = search_time(system, alignment, digits=DIGITS - 3).tau
        return math.inf if time is None else float(time)

    first = [2.0**-j for j in range(SMALLEST, 6, -1) if 2.0**-j < high / PANELS] if low == 0 else [low]
    nodes = np.array([*first, *(low + (high - low) * np.arange(1, PANELS + 1) / PANELS)])
    values = np.array([tau(v) for v in nodes])
    best = int(np.argmin(values))
    if not math.isfinite(values[best]):
        raise _nowhere(system)
    if best == 0 and low == 0:
        return _limit(*values[:3])
    around = nodes[max(best - 1, 0)], nodes[min(best + 1, len(nodes) - 1)]
    refined = scipy.optimize.minimize_scalar(
        lambda v: min(tau(v), LARGEST), bounds=around, method="bounded", options={"xatol": tolerance}
    )
    alignment = refined.x if refined.fun < values[best] else nodes[best]
    least = tau(float(alignment), certify=True)
    end: End | None = "low" if alignment == low else "high" if alignment == high else None
    return BestAlignment(sp.Float(alignment), sp.Float(least), 0.0 if end else tolerance, end, False)


def _limit(near: float, middle: float, far: float) -> BestAlignment:
    """Extrapolate tau from h, 2 h and 4 h to 0 by a parabola; the error is its distance from the straight line.

    A limit within its error is 0: no tau is negative.
    """
    line, parabola = 2 * near - middle, (8 * near - 6 * middle + far) / 3
    error = abs(parabola - line)
    if parabola <= error:
        return BestAlignment(S.Zero, sp.Float(0), error + abs(parabola), "low", False)
    return BestAlignment(S.Zero, sp.Float(parabola), error, "low", False)
