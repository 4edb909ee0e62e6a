r"""A Chebyshev surrogate of functions of (q, r) that have no closed form, for compiled integration.

Every f is tabulated in theta = arcsin(q / sqrt(r)) = atan2(q, sqrt(D)), D = r - q^2, and s = log r,

    f(q, r) = sum_ij c_ij T_i(2 theta / pi) T_j((2 s - s_0 - s_1) / (s_1 - s_0)),   r in [exp s_0, exp s_1].

In theta the arcsines of kinks are linear and the edge r = q^2 is smooth; log r spreads small r. The degrees
are those that cuts through the domain need; the error is then measured against quadrature at random points, and a
surrogate that misses its tolerance is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from numerics import accuracy
from numerics.accuracy import SURROGATE
from numerics.compile.keeping import contents, kept
from numerics.integrals import evaluate, quadrature
from numerics.integrals.evaluate import on_covariance
from numerics.recall import number, recalled
from theory.errors import QuadratureError
from theory.network.system import GAP
from theory.symbols import t

__all__ = ["HEADER", "SOURCES", "Surrogate", "kept_table", "lookup", "tabulate"]

Array = NDArray[np.float64]
SOURCES = (__file__, evaluate.__file__, quadrature.__file__, str(accuracy.__file__))
"""files whose content decides what a table is"""

HEADER = 4
"""numbers at the head of a table: degrees + 1 in theta and s, s_0, s_1"""
FIRST_DEGREES = (12, 8)
LARGEST_COUNT = 400
CUTS = 5
CHECKS = 24
SEED = 20_260
ROUNDING = 64 * np.finfo(np.float64).eps
REMEDY = "a larger rtol (integrate, exit_times, escape_law, hermescape law) or integrate(engine=SciPy()) may do"


@dataclass(frozen=True)
class Surrogate:
    """Tables of several functions over r in [`low`, `high`], every q.

    Attributes:
        table: degrees, domain and coefficients, as the function lookup reads them.
        error: the largest deviation from quadrature measured, relative to each function's largest value.
    """

    low: float
    high: float
    table: Array
    error: float


def _nodes(count: int) -> Array:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _transform(values: Array, axis: int) -> Array:
    """Chebyshev coefficients from values on `_nodes` along an axis."""
    count = values.shape[axis]
    angle = np.pi * (np.arange(count) + 0.5) / count
    matrix = 2.0 / count * np.cos(np.outer(np.arange(count), angle))
    matrix[0] *= 0.5
    return np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)


def tabulate(functions: Sequence[Expr], low: float, high: float, *, tolerance: float = SURROGATE) -> Surrogate:
    """Return the surrogate of functions of q, r and D over r in [low, high], to `tolerance` of their largest values.

    `low` = `high` tabulates in theta alone. Raises `QuadratureError` where the tolerance is not reached, or where a
    function is not finite.

    >>> from theory.network.derivation import derive
    >>> table = tabulate(tuple(derive("tanh", model="plain").guarded_functions.values()), 1.0, 1.0, tolerance=1e-6)
    >>> table.error < 1e-6
    True
    """
    direct = on_covariance(tuple(functions))
    start, stop = math.log(low), math.log(high)

    def sample(theta: float, s: float) -> tuple[float, ...]:
        variance, overlap = math.exp(s), math.exp(s / 2) * math.sin(theta)
        gap = variance * math.cos(theta) ** 2
        values = direct.values(overlap, variance, gap, tolerance=0.1 * tolerance)
        if not all(map(math.isfinite, values)):
            raise QuadratureError(
                "the loss, its slopes or moments of its gradient are infinite or undefined at q = "
                f"{overlap:.4g}, r = {variance:.4g}, and the surrogate asked for is over {low:.4g} <= r <= {high:.4g}; "
                "accepted: functions that grow more slowly, or a flow that stays at smaller r."
            )
        return values

    def grid(thetas: Array, norms: Array) -> Array:
        return np.array([[sample(theta, s) for s in norms] for theta in thetas]).transpose(2, 0, 1)

    def norms(count: int) -> Array:
        return 0.5 * (start + stop) + 0.5 * (stop - start) * _nodes(count)

    def thetas(count: int) -> Array:
        return 0.5 * np.pi * _nodes(count)

    cuts = np.linspace(start, stop, 1 if low == high else CUTS), np.linspace(-np.pi / 2, np.pi / 2, CUTS)
    along = _resolve(lambda n: _transform(grid(thetas(n), cuts[0]), 1), FIRST_DEGREES[0], tolerance)
    across = (
        1
        if low == high
        else _resolve(lambda n: _transform(grid(cuts[1], norms(n)), 2).transpose(0, 2, 1), FIRST_DEGREES[1], tolerance)
    )
    coefficients = _transform(_transform(grid(thetas(along), norms(across)), 1), 2)
    scale = np.abs(coefficients).sum(axis=(1, 2))
    scale[scale == 0] = 1.0
    table = _pack([along, across, start, stop], coefficients, 0.1 * tolerance * scale)
    return Surrogate(low, high, table, _measure(sample, table, len(functions), scale, tolerance))


def kept_table(functions: tuple[Expr, ...], low: float, high: float, *, tolerance: float) -> Surrogate:
    """Return `tabulate`, from disk where it has been made before; what is damaged there is made again.

    >>> from theory.network.derivation import derive
    >>> functions = tuple(derive("tanh", model="plain").guarded_functions.values())
    >>> first, second = (kept_table(functions, 1.0, 1.0, tolerance=1e-6) for _ in range(2))
    >>> bool((first.table == second.table).all())
    True
    """
    named = (*(f.xreplace({GAP: t}) for f in functions), *map(number, (low, high, tolerance)))

    def made() -> dict[str, Array]:
        surrogate = tabulate(functions, low, high, tolerance=tolerance)
        return {"table": surrogate.table, "error": np.array(surrogate.error)}

    known = recalled(f"surrogate {contents(SOURCES)}", named, made)
    return Surrogate(low, high, known["table"], float(known["error"]))


def _pack(head: list[float], coefficients: Array, dropped: Array) -> Array:
    """Return the table: head, where each function starts, and for each its row lengths and rows.

    Rows are cut; what is cut from a function adds up to less than its entry of `dropped`.
    """
    parts, offset = [], len(head) + len(coefficients)
    starts = []
    for rows, share in zip(coefficients, dropped / coefficients.shape[1], strict=True):
        left = np.cumsum(np.abs(rows)[:, ::-1], axis=1)[:, ::-1]
        lengths = np.count_nonzero(left > share, axis=1)
        parts += [lengths.astype(np.float64), *(row[:length] for row, length in zip(rows, lengths, strict=True))]
        starts.append(float(offset))
        offset += len(rows) + int(lengths.sum())
    return np.concatenate([head, starts, *parts])


def _resolve(coefficients: Callable[[int], Array], count: int, tolerance: float) -> int:
    """Return how many Chebyshev coefficients (on axis 1) the tolerance needs; those left out add up to less."""
    left = np.ones(1)
    while count <= LARGEST_COUNT:
        moduli = np.abs(coefficients(count))
        # Of the largest cut: on one where a parity makes f = 0, all that is left of f is rounding.
        sizes = moduli.sum(axis=1, keepdims=True).max(axis=2, keepdims=True)
        shares = np.divide(moduli, sizes, out=np.zeros_like(moduli), where=sizes > 0)
        left = np.cumsum(shares.max(axis=(0, 2))[::-1])[::-1]
        needed = int(np.argmax(left < 0.1 * tolerance)) if left[-3] < 0.1 * tolerance else count
        if needed < count:
            return needed
        count = math.ceil(1.5 * count)
    raise QuadratureError(
        f"the surrogate decays too slowly: {left[-1]:.1g} of it left after {count} Chebyshev coefficients, tolerance "
        f"{tolerance:g} asked; {REMEDY}."
    )


def _measure(sample: Any, table: Array, count: int, scale: Array, tolerance: float) -> float:
    """Return the largest deviation at random points, refusing one beyond the tolerance."""
    rng = np.random.default_rng(SEED)
    worst, out = 0.0, np.empty(count)
    for theta, fraction in zip(rng.uniform(-np.pi / 2, np.pi / 2, CHECKS), rng.uniform(size=CHECKS), strict=True):
        s = table[2] + (table[3] - table[2]) * fraction
        lookup(table, count, theta, s, out)
        worst = max(worst, float(np.max(np.abs(out - sample(theta, s)) / scale)))
    if worst > tolerance + ROUNDING:
        raise QuadratureError(
            f"the surrogate deviates from quadrature by {worst:.1g}, tolerance {tolerance:g} asked; {REMEDY}."
        )
    return worst


_compiled = kept(error_model="numpy", nogil=True)


@_compiled
def _basis(t: float, out: Any) -> None:
    """T_k(t) and, where there is a second row, T_k'(t) = k U_(k-1)(t), k < size."""
    t = min(max(t, -1.0), 1.0)
    before, now = 0.0, 1.0  # U_(k-2), U_(k-1)
    out[:, 0] = 0.0
    out[0, 0] = 1.0
    for k in range(1, out.shape[1]):
        out[0, k] = t if k == 1 else 2.0 * t * out[0, k - 1] - out[0, k - 2]
        if out.shape[0] > 1:
            out[1, k] = k * now
            before, now = now, 2.0 * t * now - before


# "reassoc" lets the sum use vector registers; it changes the last digits only.
@kept(error_model="numpy", nogil=True, fastmath={"reassoc", "contract"})
def _sum(table: Any, start: int, first: Any, last: Any) -> float:
    """sum_ij c_ij first_i last_j over rows whose lengths come first."""
    total, row = 0.0, start + first.size
    for i in range(first.size):
        length = int(table[start + i])
        inner = 0.0
        for j in range(length):
            inner += table[row + j] * last[j]
        total += inner * first[i]
        row += length
    return total


@_compiled
def lookup(table: Any, count: int, theta: float, s: float, out: Any) -> None:
    """Fill `out` with `count` functions and, where it is longer, their df/dtheta, then df/ds; NaN beyond r's domain."""
    n, m = int(table[0]), int(table[1])
    low, high = table[2], table[3]
    slack = 1e-12 * (1.0 + abs(low) + abs(high))
    if not low - slack <= s <= high + slack:
        out[:] = np.nan
        return
    slopes = out.size > count
    first, last = np.empty((2 if slopes else 1, n)), np.empty((2 if slopes else 1, m))
    _basis(2.0 / np.pi * theta, first)
    _basis((2.0 * s - low - high) / (high - low) if high > low else 0.0, last)
    for f in range(count):
        start = int(table[HEADER + f])
        out[f] = _sum(table, start, first[0], last[0])
        if slopes:
            out[count + f] = 2.0 / np.pi * _sum(table, start, first[1], last[0])
            out[2 * count + f] = 2.0 / (high - low) * _sum(table, start, first[0], last[1]) if high > low else 0.0
