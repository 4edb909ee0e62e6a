r"""The moments of SGD's noise that drift and covariance need, for loops that ask for them millions of times.

Rational functions of (q, r), those of polynomial links, are compiled as they are. Others, closed or not, are looked up:
a Chebyshev surrogate (`numerics.flows.surrogate`, kept on disk) is resampled on a grid in theta = arcsin(q/sqrt r) and
s = log r and read by cubic interpolation, at one cost for every activation. Closed forms that no surrogate reaches are
compiled as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.accuracy import MOMENTS
from numerics.compile.codegen import native_source
from numerics.compile.keeping import kept
from numerics.flows import surrogate
from theory.calculus.expectations import is_closed
from theory.errors import QuadratureError
from theory.network.system import GAP, System, guard
from theory.symbols import q, r

__all__ = ["NONE", "Grid", "Moments", "interpolated", "moments_of", "tabulated"]

Array = NDArray[np.float64]

HEADER = 5
"""numbers at the head of a grid: points in theta and s, s_0, s_1, functions"""
FIRST_GRID = (65, 33)
LARGEST_GRID = 2**17
CHECKS = 400
SEED = 20_262
NONE = np.zeros(HEADER)
"""the grid of moments that are compiled"""


@dataclass(frozen=True)
class Moments:
    """Functions of (q, r, D) by name, those of the drift first.

    Attributes:
        functions: guarded, so that they keep their digits as D -> 0.
        drift: how many of them the drift needs.
    """

    functions: Mapping[Symbol, Expr]
    drift: int

    @cached_property
    def are_closed(self) -> bool:
        """Whether all have closed forms."""
        return all(map(is_closed, self.functions.values()))

    @cached_property
    def are_rational(self) -> bool:
        """Whether they are quicker than a table."""
        return self.are_closed and all(f.is_rational_function(q, r, GAP) for f in self.functions.values())

    def source(self, *, looked_up: bool) -> str:
        """Return native `few(q, r, D, table, F)` and `every(...)`: they fill F with those of the drift, or all."""
        values = list(self.functions.values())
        text = ""
        for name, wanted in (("few", values[: self.drift]), ("every", values)):
            head = f"@inline\ndef {name}(q, r, D, table, F):\n"
            if looked_up:
                text += f"\n\n{head}    interpolated(table, {len(wanted)}, atan2(q, sqrt(D)), log(r), F)\n"
            else:
                targets = "".join(f"F[{k}], " for k in range(len(wanted)))
                packed = native_source([q, r, GAP], wanted, name=f"{name}_packed")
                text += f"\n\n{packed}\n\n\n{head}    {targets}= {name}_packed(q, r, D)\n"
        return text


def moments_of(noisy: System) -> Moments:
    """Return the moments of a system with kappa drift.

    >>> from theory.network.derivation import derive
    >>> moments = moments_of(derive("relu").sgd())
    >>> [str(name) for name in moments.functions], moments.drift, moments.are_closed, moments.are_rational
    (['L_q', 'L_r', 'J', 'M_ss', 'M_ls', 'M_ll', 'N_s', 'N_l', 'N_4'], 3, True, False)
    """
    return Moments({name: guard(f) for name, f in noisy.diffusion_functions.items()}, drift=3)


@dataclass(frozen=True)
class Grid:
    """Moments on a grid over r in [`low`, `high`].

    Attributes:
        numbers: header and values, as the function interpolated reads them.
        error: the largest deviation measured, of the surrogate and of the interpolation, relative to each function's
            largest value.
    """

    low: float
    high: float
    numbers: Array
    error: float

    def holds(self, norms: Array) -> bool:
        """Whether these r are in its domain."""
        return bool(np.all((norms >= self.low * (1 - 1e-9)) & (norms <= self.high * (1 + 1e-9))))


def tabulated(moments: Moments, low: float, high: float) -> Grid:
    """Return the moments on a grid over r in [low, high]; `low` = `high` is a grid in theta alone.

    Raises `QuadratureError` where the tolerance is not reached.

    >>> from theory.network.derivation import derive
    >>> table = tabulated(moments_of(derive("relu", model="plain").sgd()), 1.0, 1.0)
    >>> table.error < 1e-5
    True
    """
    exact = surrogate.kept_table(tuple(moments.functions.values()), low, high, tolerance=MOMENTS / 10)
    count = len(moments.functions)
    shape = (FIRST_GRID[0], 1 if low == high else FIRST_GRID[1])
    rng = np.random.default_rng(SEED)
    places = np.stack(
        [rng.uniform(-np.pi / 2, np.pi / 2, CHECKS), rng.uniform(math.log(low), math.log(high), CHECKS)], axis=1
    )
    true = _looked_up(exact.table, count, places)
    error = math.inf
    while shape[0] * shape[1] <= LARGEST_GRID:
        grid, scale = _sampled(exact.table, count, shape, low, high)
        error = float(np.max(np.abs(_read(grid, count, places) - true) / scale)) + exact.error
        if error <= MOMENTS:
            return Grid(low, high, grid, error)
        shape = (2 * shape[0] - 1, max(1, 2 * shape[1] - 1))
    raise QuadratureError(
        f"a grid of moments deviates by {error:.1g}, tolerance {MOMENTS:g} asked; accepted: smoother activations, by "
        "formula or exact simulation for others."
    )


def _looked_up(table: Array, count: int, places: Array) -> Array:
    out = np.empty((len(places), count))
    for row, (theta, s) in zip(out, places, strict=True):
        surrogate.lookup(table, count, theta, s, row)
    return out


def _sampled(table: Array, count: int, shape: tuple[int, int], low: float, high: float) -> tuple[Array, Array]:
    """Return the grid of a surrogate, and each function's largest modulus on it."""
    thetas = np.linspace(-np.pi / 2, np.pi / 2, shape[0])
    norms = np.linspace(math.log(low), math.log(high), shape[1])
    values = _looked_up(table, count, np.array([(theta, s) for theta in thetas for s in norms]))
    scale = np.abs(values).max(axis=0)
    scale[scale == 0] = 1.0
    return np.concatenate([[*shape, norms[0], norms[-1], count], values.ravel()]), scale


def _read(grid: Array, count: int, places: Array) -> Array:
    out = np.empty((len(places), count))
    for row, (theta, s) in zip(out, places, strict=True):
        interpolated(grid, count, theta, s, row)
    return out


@kept(error_model="numpy", nogil=True, inline="always")
def _cubic(t: float) -> tuple[float, float, float, float]:
    """Lagrange's weights of the points 0, 1, 2, 3 at t."""
    a, b, c = t - 1.0, t - 2.0, t - 3.0
    return -a * b * c / 6.0, 0.5 * t * b * c, -0.5 * t * a * c, t * a * b / 6.0


@kept(error_model="numpy", nogil=True, fastmath={"reassoc", "contract"})
def interpolated(grid: Any, wanted: int, theta: float, s: float, out: Any) -> None:
    """Fill `out` with the first `wanted` functions, by cubics through four points each way; NaN beyond r's domain."""
    n, m, low, high, count = int(grid[0]), int(grid[1]), grid[2], grid[3], int(grid[4])
    slack = 1e-9 * (1.0 + abs(low) + abs(high))
    if not low - slack <= s <= high + slack:
        for f in range(wanted):
            out[f] = np.nan
        return
    place = (theta / np.pi + 0.5) * (n - 1)
    i = min(max(int(place) - 1, 0), n - 4)
    a0, a1, a2, a3 = _cubic(place - i)
    if m == 1:
        at = 5 + i * count
        for f in range(wanted):
            out[f] = a0 * grid[at + f] + a1 * grid[at + count + f] + a2 * grid[at + 2 * count + f]
            out[f] += a3 * grid[at + 3 * count + f]
        return
    place = (s - low) / (high - low) * (m - 1)
    j = min(max(int(place) - 1, 0), m - 4)
    b0, b1, b2, b3 = _cubic(place - j)
    c1, row = np.uint64(count), np.uint64(m * count)  # unsigned: no index counts from the end
    c2, c3 = c1 + c1, c1 + c1 + c1
    k0 = np.uint64(HEADER + (i * m + j) * count)
    k1, k2, k3 = k0 + row, k0 + row + row, k0 + row + row + row
    one = np.uint64(1)
    for f in range(wanted):
        out[f] = (
            a0 * (b0 * grid[k0] + b1 * grid[k0 + c1] + b2 * grid[k0 + c2] + b3 * grid[k0 + c3])
            + a1 * (b0 * grid[k1] + b1 * grid[k1 + c1] + b2 * grid[k1 + c2] + b3 * grid[k1 + c3])
            + a2 * (b0 * grid[k2] + b1 * grid[k2 + c1] + b2 * grid[k2 + c2] + b3 * grid[k2 + c3])
            + a3 * (b0 * grid[k3] + b1 * grid[k3 + c1] + b2 * grid[k3 + c2] + b3 * grid[k3 + c3])
        )
        k0, k1, k2, k3 = k0 + one, k1 + one, k2 + one, k3 + one
