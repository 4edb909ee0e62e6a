r"""Gaussian expectations without a closed form, each with an error estimate.

Both verbs integrate smooth branches between breakpoints by composite Gauss-Legendre rules, halving every panel
until two successive results agree; the reported error is their difference plus a rounding allowance. Kinks are
always panel edges, never smeared. In two dimensions, with l* = z and l = q z + sqrt(D) y (D = r - q^2), the kinks of
the inner function move with z and the inner panels move with them; seen from outside, each is a kink blurred over a
width sqrt(D)/|q|, so the outer panels are graded down to that scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr

from theory.errors import ParameterError, QuadratureError
from theory.pieces import Pieces, pieces
from theory.symbols import x

__all__ = ["Estimate", "kernel", "mean"]

Array = NDArray[np.float64]

REACH = 9.5  # standard deviations; the mass beyond is 2e-21
NODES = 16
MAX_HALVINGS = 7
ROUNDING = 4e-15


@dataclass(frozen=True)
class Estimate:
    """A value and a bound on its absolute error that the computation itself supplied."""

    value: float
    error: float


@dataclass(frozen=True)
class _Law:
    """A piecewise smooth function as vectorised branches and breakpoints."""

    cuts: Array
    branches: tuple[Callable[[Array], Array], ...]

    def __call__(self, z: Array) -> Array:
        """Evaluate anywhere; each branch only where it applies."""
        if not len(self.cuts):
            return self.branches[0](z)
        which = np.searchsorted(self.cuts, z)
        values = np.empty_like(z)
        for i, branch in enumerate(self.branches):
            here = which == i
            values[here] = branch(z[here])
        return values


@lru_cache(maxsize=1024)
def _law(expr: Expr) -> _Law:
    split: Pieces = pieces(expr)
    cuts = np.array([float(c) for c in split.breakpoints])
    return _Law(cuts, tuple(_vectorised(branch) for branch in split.branches))


def _vectorised(branch: Expr) -> Callable[[Array], Array]:
    function = sp.lambdify(x, branch, ["scipy", "numpy"], cse=True)

    def evaluate(z: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(function(z), float), z.shape)

    return evaluate


def _edges(cuts: Sequence[float] | Array) -> Array:
    inside = [c for c in cuts if -REACH < c < REACH]
    return np.unique(np.concatenate([np.linspace(-REACH, REACH, 5), inside]))


def _halve(edges: Array) -> Array:
    return np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))


@lru_cache(maxsize=4)
def _legendre(n: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(n)


def _rule(edges: Array) -> tuple[Array, Array]:
    """Return nodes and Gaussian weights of the composite rule, flat; `edges` may have leading axes."""
    nodes, weights = _legendre(NODES)
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2, (edges[..., 1:] - edges[..., :-1]) / 2
    z = (middle[..., None] + half[..., None] * nodes).reshape(*edges.shape[:-1], -1)
    w = (half[..., None] * weights).reshape(z.shape)
    return z, w * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def _refine(integrate: Callable[[int], tuple[float, float]], tolerance: float, what: str) -> Estimate:
    """Halve panels until two results agree; `integrate(level)` returns value and integral of the modulus."""
    previous, error, value = integrate(0)[0], np.inf, np.nan
    for level in range(1, MAX_HALVINGS + 1):
        value, size = integrate(level)
        if not np.isfinite(value):
            raise QuadratureError(f"{what} is not finite at double precision; the integrand overflows or has a pole")
        error = abs(value - previous) + ROUNDING * size
        if abs(value - previous) <= tolerance * max(size, 1e-300):
            return Estimate(value, error)
        previous = value
    raise QuadratureError(
        f"{what} = {value:.12g} still changes by {error:.2g} after {MAX_HALVINGS} halvings, more than the tolerance "
        f"{tolerance:g}; ask for a larger tolerance, or for mpmath digits"
    )


def mean(f: Expr, centre: float, variance: float, *, tolerance: float = 1e-12) -> Estimate:
    """Return E f(M + sqrt(v) Z) with its absolute error; `tolerance` is relative to E|f|.

    Raises `QuadratureError` where it is not reached.

    >>> mean(sp.tanh(x)**2, 0.0, 1.0)  # doctest: +ELLIPSIS
    Estimate(value=0.39429449..., error=...)
    """
    law, scale = _law(f), float(np.sqrt(variance))
    if scale == 0:
        return Estimate(float(law(np.array([centre]))[0]), 0.0)
    edges = _edges((law.cuts - centre) / scale)

    def integrate(level: int) -> tuple[float, float]:
        fine = edges
        for _ in range(level):
            fine = _halve(fine)
        z, w = _rule(fine)
        values = law(centre + scale * z)
        return float(w @ values), float(w @ np.abs(values))

    return _refine(integrate, tolerance, "a Gaussian mean")


def kernel(
    f: Expr, g: Expr, overlap: float, variance: float, *, gap: float | None = None, tolerance: float = 1e-12
) -> Estimate:
    """Return E f(l) g(l*), (l, l*) centred with covariance [[r, q], [q, 1]], with its absolute error.

    `gap` is r - q^2 where the caller knows it without cancellation. Raises `ParameterError` for q^2 > r and
    `QuadratureError` where the tolerance (relative to E|f g|) is not reached.

    >>> kernel(sp.tanh(x), sp.tanh(x), 0.5, 0.25).value  # doctest: +ELLIPSIS
    0.258735725874620...
    """
    gap = variance - overlap**2 if gap is None else gap
    if gap < -1e-12 * max(1.0, variance):
        raise ParameterError(f"q = {overlap}, r = {variance} given; accepted: q^2 <= r, a covariance matrix.")
    left, right, blur = _law(f), _law(g), float(np.sqrt(max(gap, 0.0)))
    if blur < 1e-14:
        cuts = [*right.cuts, *(left.cuts / overlap if overlap else ())]
        edges = _edges(cuts)
    else:
        edges = _edges([*right.cuts, *_graded(left.cuts, overlap, blur)])

    def integrate(level: int) -> tuple[float, float]:
        outer = edges
        for _ in range(level):
            outer = _halve(outer)
        z, w = _rule(outer)
        target = right(z)
        if blur < 1e-14:
            values = left(overlap * z) * target
            return float(w @ values), float(w @ np.abs(values))
        y, v = _rule(_moving_edges(left.cuts, overlap * z, blur, level))
        inner = left(overlap * z[:, None] + blur * y)
        mean_value, mean_size = (v * inner).sum(axis=1), (v * np.abs(inner)).sum(axis=1)
        return float(w @ (target * mean_value)), float(w @ (np.abs(target) * mean_size))

    return _refine(integrate, tolerance, "a Gaussian kernel")


def _graded(cuts: Array, overlap: float, blur: float) -> list[float]:
    if not overlap:
        return []
    width, steps = blur / abs(overlap), np.array([0.0, 1, 2, 4, 8])
    return [c / overlap + sign * step * width for c in cuts for sign in (-1, 1) for step in steps]


def _moving_edges(cuts: Array, centres: Array, blur: float, level: int) -> Array:
    """Return panel edges in y, one row a centre, through every kink of the inner function."""
    base = np.linspace(-REACH, REACH, 5)
    for _ in range(level):
        base = _halve(base)
    rows = np.broadcast_to(base, (len(centres), len(base)))
    kinks = np.clip((cuts[None, :] - centres[:, None]) / blur, -REACH, REACH)
    return np.sort(np.concatenate([rows, kinks], axis=1), axis=1)
