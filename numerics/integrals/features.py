r"""Where a function is so narrow that points which lie apart do not see it: edges of panels that do.

A smooth branch f is put into complex balls. Let M be what |f| does not exceed on a box around the ellipse that a panel
of half-width h has for R = 4 (semi-axes h (R + 1/R)/2 and h (R - 1/R)/2). A Gauss-Kronrod rule of 21 points is then off
by less than

    h (64/15) M R^-32/(1 - R^-2)

on the panel, whatever it meets at its points (Trefethen, SIAM Review 50, 2008). Panels are halved until M is at most
2^20 times what f is on the panel, or in the bulk of the Gaussian. Those of an ordinary function stay wide, those of
exp(-10^6 (x - 1/3)^2) shrink in proportion to the distance from 1/3: nothing is too narrow to be met.

Only where panels have to be *narrow* is there a feature, and then all edges are returned. A place at which no panel is
narrow enough is a singularity, or a hole that is filled; those alone, and functions that vary fast everywhere, are left
to rules that adapt, as is what has no enclosure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from math import floor, frexp

import numpy as np
from flint import acb, arb
from numpy.typing import NDArray
from sympy import Expr, Symbol

from theory.enclosures.balls import function, precision
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["features"]

Array = NDArray[np.float64]

BITS = 64
ACROSS, ALONG = (4 + 1 / 4) / 2, (4 - 1 / 4) / 2  # semi-axes of the ellipse
ENDS = np.array([-38.0, -24.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0, 16.0, 24.0, 38.0])
MODEST = arb(2) ** 20
NARROW = 2.0**-4  # what takes wider panels is seen by any rule
NARROWEST = 2.0**-40
GRADED = 1 / 8  # of the distance from a singularity, towards which panels are wider
MOST = 800  # panels looked at
NOTHING: Array = np.empty(0)


def features(branch: Expr, low: float, high: float, values: Sequence[tuple[Symbol, float]] = ()) -> Array:
    """Return edges of panels on which a smooth branch is seen on (low, high); none where it has no narrow feature.

    `values` are those of its parameters, looked at in cells first, since those of a grid lie close together.

    >>> import sympy as sp
    >>> features(sp.tanh(x), -np.inf, np.inf)
    array([], dtype=float64)
    >>> edges = features(sp.tanh(x) + sp.exp(-(10**6) * (x - sp.Rational(1, 3)) ** 2), -np.inf, np.inf)
    >>> print(np.diff(edges).min(), edges[np.diff(edges).argmin()])
    0.00195... 0.32...
    """
    if branch.is_polynomial(x) or (values and _is_wide(branch, tuple((symbol, *_cell(v)) for symbol, v in values))):
        return NOTHING
    return _edges(_panels_of(branch, low, high, [(symbol, v, v) for symbol, v in values]))


def _cell(value: float) -> tuple[float, float]:
    """Return the ends of a cell around a number, of an eighth of its size at most."""
    width = 2.0 ** (frexp(value)[1] - 4)
    low = floor(value / width) * width
    return low, low + width


@lru_cache(maxsize=4096)
def _is_wide(branch: Expr, cells: Sequence[tuple[Symbol, float, float]]) -> bool:
    """Whether a branch has no feature on the whole line, at any parameters in these cells."""
    panels = _panels_of(branch, -np.inf, np.inf, cells)
    return bool(panels) and all(is_modest and b - a > NARROW for a, b, is_modest in panels)


def _panels_of(
    branch: Expr, low: float, high: float, cells: Sequence[tuple[Symbol, float, float]]
) -> list[tuple[float, float, bool]]:
    with precision(BITS):
        try:
            compiled = function(branch, x, *(symbol for symbol, *_ in cells))
        except NotCertifiedError:
            return []
        numbers = [acb(arb(a).union(arb(b))) for _, a, b in cells]
        return _panels(lambda z: compiled(z, *numbers, analytic=True), low, high)


def _panels(f: Callable[[acb], acb], low: float, high: float) -> list[tuple[float, float, bool]]:
    """Return (left end, right end, whether f is modest there), the panels; none where they are too many.

    Those on which f may be largest are halved first, so that its size is known early.
    """

    def size(point: float) -> arb:
        height = f(acb(point)).abs_lower()
        return height if height.is_finite() else arb(0)

    def entry(a: float, b: float) -> tuple[arb, float, float]:
        middle, half = (a + b) / 2, (b - a) / 2
        most = f(acb(arb(middle, ACROSS * half), arb(0, ALONG * half))).abs_upper()
        return (-most if most.is_finite() else arb.neg_inf()), a, b

    ends = np.unique(np.clip(ENDS, low, high)).tolist()
    waiting = [entry(a, b) for a, b in pairwise(ends)]
    heapify(waiting)
    bulk, panels = arb(0), list[tuple[float, float, bool]]()
    for _ in range(MOST):
        if not waiting:
            return panels
        most, a, b = heappop(waiting)
        middle = (a + b) / 2
        here = size(middle)
        bulk = bulk.max(here * arb(-middle * middle / 4).exp()).lower()
        is_modest = -most <= MODEST * bulk.max(here) or -most <= MODEST * size(a).max(size(b))
        if is_modest or b - a < NARROWEST:
            panels.append((a, b, is_modest))
        else:
            heappush(waiting, entry(a, middle))
            heappush(waiting, entry(middle, b))
    return []


def _edges(panels: list[tuple[float, float, bool]]) -> Array:
    """Return all edges, or nothing if no panel is narrow but for those that shrink towards a singularity."""
    left, right, is_modest = np.array(sorted(panels)).reshape(-1, 3).T
    width, middle = right - left, (left + right) / 2
    apart = np.abs(middle[:, None] - middle[is_modest == 0]).min(axis=1, initial=np.inf)
    return np.unique([left, right]) if (width <= np.minimum(NARROW, GRADED * apart)).any() else NOTHING
