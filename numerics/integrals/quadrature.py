r"""Gaussian expectations without a closed form, each with an error estimate.

*Analytic* functions go to the trapezoidal rule on the line, which converges geometrically in 1/h for an integrand
analytic in a strip (Trefethen & Weideman 2014). Steps shrink by the golden ratio, and grids alternate between whole and
half multiples, until two successive rules agree: no frequency is aliased to the same value by both. In two dimensions,
with l* = z and l = q z + sqrt(D) y (D = r - q^2), the grid is a tensor product whose steps follow the scales of l.

*Functions with kinks or jumps*, and analytic ones whose poles are too near for a uniform grid, go to adaptive
Gauss-Kronrod panels, edges at every kink, that split only where they must. In two dimensions the panels are those of
one variable; the other is integrated inside, conditionally. A kink is an outer edge if the function inside is
smooth. If both have kinks, those of the inner function move with z, its panels move with them, and seen from
outside each is a kink blurred over sqrt(D)/|q|, so outer panels are graded to that scale.

*Narrow features* of a branch are enclosed beforehand (`numerics.integrals.features`). The edges of panels that see all
of them are used like kinks, thinned out where they are blurred.

The error is twice what two independent resolutions differ by, in every direction that was discretised, plus rounding,
which grows with the resolution needed: an argument known to 1 part in 1e16 is worth less the steeper the function. The
reach of every rule is where the integrand has fallen below 1e-20 of its peak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import pairwise

import mpmath
import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.accuracy import INTEGRAL, QUADRATURE_ROUNDING
from numerics.integrals.features import features
from theory.calculus.pieces import Pieces, pieces
from theory.calculus.removable import evaluator, filled
from theory.calculus.stable import stable
from theory.errors import InputError, ParameterError, QuadratureError
from theory.shown import Shown
from theory.symbols import x

__all__ = ["Estimate", "Real", "kernel", "mean"]

Array = NDArray[np.float64]
Real = float | sp.Float

REACH = 9.6  # standard deviations: exp(-REACH^2/2) = 1e-20
FARTHEST = 38.0  # beyond it exp(-z^2/2) underflows
NOTHING = 1e-280  # an expectation of less than that is 0, with this error
STEPS = tuple(0.8 / ((1 + 5**0.5) / 2) ** level for level in range(10))
WIDEST_STEP = 0.7  # error exp(-2 (pi/h)^2) = 3e-18 for a Gaussian of unit variance
MAX_GRID = 4_000_000
CHUNK = 500_000
MAX_PANELS = 4096
MAX_LOST = 4096  # values that mpmath may compute in place of float64
MAX_INNER_LEVEL = 6

# 21-point Kronrod extension of the 10-point Gauss rule: positive nodes and weights, Piessens et al., QUADPACK (1983).
_KRONROD = np.array(
    [
        (0.995657163025808080735527280689003, 0.011694638867371874278064396062192),
        (0.973906528517171720077964012084452, 0.032558162307964727478818972459390),
        (0.930157491355708226001207180059508, 0.054755896574351996031381300244580),
        (0.865063366688984510732096688423493, 0.075039674810919952767043140916190),
        (0.780817726586416897063717578345042, 0.093125454583697605535065465083366),
        (0.679409568299024406234327365114874, 0.109387158802297641899210590325805),
        (0.562757134668604683339000099272694, 0.123491976262065851077958109585166),
        (0.433395394129247190799265943165784, 0.134709217311473325928054001771707),
        (0.294392862701460198131126603103866, 0.142775938577060080797094273138717),
        (0.148874338981631210884826001129720, 0.147739104901338491374841515972068),
    ]
)
NODES = np.concatenate([-_KRONROD[:, 0], [0.0], _KRONROD[::-1, 0]])
WEIGHTS = np.concatenate([_KRONROD[:, 1], [0.149445554002916905664936468389821], _KRONROD[::-1, 1]])
_COARSE = np.zeros(21)
_COARSE[1::2] = np.polynomial.legendre.leggauss(10)[1]
_CONTRAST = np.column_stack([WEIGHTS, WEIGHTS - _COARSE])  # the integral, and what the Gauss rule inside differs by
_INNER_NODES, _INNER_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Estimate(Shown):
    """A value and a bound on its absolute error that the computation itself supplied.

    Attributes:
        value: what was computed.
        error: the bound.
        certified: whether it is proved that the true value is no further away; otherwise the bound is an estimate.

    Both are floats, or `sympy.Float` where digits beyond float64 were asked for.
    """

    shows = "value ± error"

    value: Real
    error: Real
    certified: bool = False


# --- functions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Law:
    """A piecewise smooth function as vectorised branches and breakpoints, all of them for |x| < `window`.

    `seek` returns the edges of panels around its features, when an integral first asks for them.
    """

    cuts: Array
    branches: tuple[Callable[[Array], Array], ...]
    window: float = np.inf
    seek: Callable[[], Array] = lambda: np.empty(0)

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

    @cached_property
    def soft(self) -> Array:
        """Edges around features, where nothing happens to the function itself."""
        return self.seek()

    @cached_property
    def edges(self) -> Array:
        """Where panels end: breakpoints, and around features."""
        return np.unique(np.concatenate([self.cuts, self.soft])) if len(self.soft) else self.cuts

    @property
    def is_smooth(self) -> bool:
        return not len(self.edges)


Values = tuple[tuple[Symbol, float], ...]
"""Values of the parameters of a family."""


@lru_cache(maxsize=1024)
def law_of(expr: Expr, values: Values = ()) -> Law:
    """Return a function for quadrature; that of a family is compiled once, and its parameters are arguments."""
    if values and (family := _family(expr, tuple(symbol for symbol, _ in values))) is not None:
        return family(tuple(number for _, number in values))
    split: Pieces = pieces(expr.xreplace({symbol: sp.Rational(repr(number)) for symbol, number in values}))
    cuts = np.array([float(c) for c in split.breakpoints])
    branches = tuple(_vectorised(branch) for branch in split.branches)
    return Law(cuts, branches, float(split.window), partial(_features, split.branches, cuts))


def _features(branches: tuple[Expr, ...], cuts: Array, values: Values = ()) -> Array:
    ends = [-np.inf, *cuts.tolist(), np.inf]
    return np.concatenate([features(f, *between, values) for f, between in zip(branches, pairwise(ends), strict=True)])


@lru_cache(maxsize=256)
def _family(expr: Expr, symbols: tuple[Symbol, ...]) -> Callable[[tuple[float, ...]], Law] | None:
    """Return the law as a function of parameters; None where a branch has to be filled at a place that they move."""
    try:
        split = pieces(expr)
        branches = [_vectorised(branch, symbols) for branch in split.branches]
    except InputError:
        return None
    cuts = sp.lambdify(symbols, list(split.breakpoints), ["scipy", "numpy"])

    def member(numbers: tuple[float, ...]) -> Law:
        bound = tuple(partial(branch, numbers=numbers) for branch in branches)
        points, values = np.array(cuts(*numbers), float), tuple(zip(symbols, numbers, strict=True))
        return Law(points, bound, float(split.window), partial(_features, split.branches, points, values))

    return member


def _special() -> dict[str, Callable[[Array], Array]]:
    """Return what the nodes of `theory.calculus.stable` stand for."""
    return {
        "logistic": scipy.special.expit,
        "softplus": lambda z: np.logaddexp(0.0, z),
        "dawson": scipy.special.dawsn,
        "rise": lambda z: scipy.special.erfc(-z),
    }


def _vectorised(branch: Expr, parameters: tuple[Symbol, ...] = ()) -> Callable[..., Array]:
    """Return a smooth branch in its stable form; the few values still not finite are asked of mpmath."""
    form = stable(filled(branch), tails=True)
    function = sp.lambdify((x, *parameters), form, [_special(), "scipy", "numpy"], cse=True)

    def evaluate(z: Array, numbers: tuple[float, ...] = ()) -> Array:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(np.asarray(function(z, *numbers), float), z.shape)
        lost = ~np.isfinite(values)
        if 0 < np.count_nonzero(lost) <= MAX_LOST:
            values = values.copy()
            exact = {symbol: sp.Rational(repr(number)) for symbol, number in zip(parameters, numbers, strict=True)}
            values[lost] = [_slowly(branch.xreplace(exact), point) for point in z[lost]]
        return values

    return evaluate


@lru_cache(maxsize=MAX_LOST)
def _slowly(branch: Expr, point: float) -> float:
    """Return the value where float64 overflowed on the way; infinite or NaN where that is the value."""
    try:
        with mpmath.workdps(30):
            value = evaluator(branch)(mpmath.mpf(point))
    except (ValueError, ZeroDivisionError, OverflowError):
        return np.nan
    return float(value) if isinstance(value, mpmath.mpf) else np.nan


@lru_cache(maxsize=4096)
def reach_of(law: Law, centre: float, scale: float) -> float:
    """Return where |f(M + s z)| exp(-z^2/2) stays below 1e-20 of its peak, on both sides.

    Raises `QuadratureError` where it never falls so low: f grows too fast.
    """
    z = np.arange(0.0, FARTHEST, 0.1371)
    if len(law.soft):
        distances = np.abs(law.soft - centre) / scale
        z = np.union1d(z, distances[distances < FARTHEST])
    reach = 0.0
    with np.errstate(all="ignore"):
        sides = [np.log(np.abs(law(centre + side * scale * z))) - z * z / 2 for side in (-1, 1)]
    heights = np.array([np.where(np.isnan(side) | (side == np.inf), -np.inf, side) for side in sides])
    peak = heights.max()
    if peak < np.log(NOTHING):
        return REACH
    for side in heights:
        high = np.flatnonzero(side >= peak - REACH**2 / 2)
        reach = max(reach, float(z[high[-1]]) if len(high) else 0.0)
    if reach > FARTHEST - 1:
        raise QuadratureError(
            f"the integrand is still large {FARTHEST:g} standard deviations out (mean {centre:g}, standard deviation "
            f"{scale:g}); accepted are functions that the Gaussian integrates: use a smaller variance."
        )
    if abs(centre) + (reach + 0.1371) * scale > law.window:
        raise QuadratureError(
            f"kinks of an oscillating function are resolved for |x| < {law.window:g} and matter beyond (mean "
            f"{centre:g}, standard deviation {scale:g}); accepted: a standard deviation below "
            f"{law.window / (1.1 * (reach + 0.1371)):.3g}."
        )
    return reach + 0.1371


def _reach_around_zero(law: Law, scale: float) -> float:
    """Return the reach at the next scales of a coarse grid, which is often known, or where f ends if further.

    A function that grows reaches further the larger the scale; one that begins or ends at an edge, less far.
    """
    step = np.ceil(8 * np.log2(scale))
    smaller, larger = (float(2.0 ** (n / 8)) for n in (step - 1, step))
    reach = max(reach_of(law, 0.0, smaller), reach_of(law, 0.0, larger))
    ends = np.abs(law.edges)
    return max(reach, float(ends[ends <= reach * larger].max(initial=0.0)) / scale)


def gaussian(z: Array) -> Array:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


# --- one dimension ----------------------------------------------------------------------------------------------


def _uniform(step: float, reach: float, level: int) -> tuple[Array, Array]:
    """Return nodes and weights of the trapezoidal rule against the Gaussian, at half multiples on odd levels."""
    count = int(reach / step) + 1
    z: Array = step * (np.arange(-count, count + 1 - level % 2, dtype=float) + (level % 2) / 2)
    return z, step * gaussian(z)


def _settle(rules: Iterable[tuple[float, float]], tolerance: float) -> Estimate | None:
    """Compare successive (value, integral of the modulus) until two agree; None where no two do."""
    previous = np.nan
    for step, (value, size) in zip(STEPS, rules, strict=False):
        if not np.isfinite(value):
            raise QuadratureError(
                "a Gaussian expectation is not finite at double precision: the integrand overflows or has a pole; "
                "use a smaller variance."
            )
        change = 2 * abs(value - previous)
        if change <= tolerance * size:
            return Estimate(value, change + QUADRATURE_ROUNDING * size * STEPS[0] / step)
        previous = value
    return None


@dataclass(frozen=True)
class _Panels:
    """The outcome of adaptive panels: integral, its error, integral of the modulus, and the edges it ended with."""

    value: float
    error: float
    size: float
    left: Array
    right: Array

    @property
    def rounding(self) -> float:
        return QUADRATURE_ROUNDING * self.size * max(1.0, len(self.left) / 32)


def _adapt(integrand: Callable[[Array], tuple[Array, Array]], edges: Array, tolerance: float) -> _Panels:
    """Split the panels whose Kronrod and Gauss rules differ until the sum of differences is within the tolerance.

    `integrand` returns values and moduli.
    """
    left, right = edges[:-1], edges[1:]
    settled: list[tuple[Array, ...]] = []
    while True:
        half = (right - left) / 2
        values, moduli = integrand(((left + right) / 2)[:, None] + half[:, None] * NODES)
        parts = half[:, None] * (values @ _CONTRAST)
        rows = (parts[:, 0], np.abs(parts[:, 1]), half * (moduli @ WEIGHTS), left, right)
        total, error, size, lefts, rights = map(np.concatenate, zip(*settled, rows, strict=True))
        if not np.isfinite(size.sum()):
            raise QuadratureError(
                "a Gaussian expectation is not finite at double precision: the integrand overflows or has a pole; "
                "use a smaller variance."
            )
        if error.sum() <= tolerance * size.sum():
            return _Panels(float(total.sum()), float(error.sum()), float(size.sum()), lefts, rights)
        split = rows[1] > tolerance * size.sum() / (2 * len(size))
        settled.append(tuple(row[~split] for row in rows))
        if len(size) > MAX_PANELS or not split.any() or (half[split] < 1e-14).any():
            raise QuadratureError(_not_reached(total.sum(), error.sum(), size.sum(), tolerance))
        middle = ((left + right) / 2)[split]
        left, right = np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])


def _not_reached(value: float, error: float, size: float, tolerance: float) -> str:
    return (
        f"a Gaussian expectation is {value:.12g} with error {error:.2g}, more than {tolerance * size:.2g} (tolerance "
        f"{tolerance:g} times the expectation of the modulus); ask for a larger tolerance."
    )


def _edges(cuts: Iterable[float], reach: float) -> Array:
    inside = [c for c in cuts if -reach < c < reach]
    return np.unique(np.concatenate([np.linspace(-reach, reach, 9), inside]))


def mean(f: Expr, centre: float, variance: float, *, tolerance: float = INTEGRAL, values: Values = ()) -> Estimate:
    """Return E f(M + sqrt(v) Z) with its absolute error; `tolerance` is relative to E|f|.

    `values` are those of the parameters of f. Raises `QuadratureError` where it is not reached.

    >>> mean(sp.tanh(x)**2, 0.0, 1.0)
    <Estimate value = 0.39429449... ± ...>
    """
    law, scale = law_of(f, values), float(np.sqrt(variance))
    if scale == 0:
        return Estimate(float(law(np.array([centre]))[0]), 0.0)
    reach = _reach_around_zero(law, scale) if centre == 0 else reach_of(law, centre, scale)
    edges = (law.edges - centre) / scale
    estimate = line(lambda z: law(centre + scale * z), edges, max(1.0, scale), reach, tolerance)
    return replace(estimate, error=NOTHING) if estimate.value == estimate.error == 0 != f else estimate


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused
def line(f: Callable[[Array], Array], cuts: Array, scale: float, reach: float, tolerance: float) -> Estimate:
    """Integrate f(z) against the Gaussian; panels end at the cuts, and f stretches its argument by `scale`."""
    if not len(cuts):
        integral = _settle((_trapezoid(f, scale, reach, level) for level in range(len(STEPS))), tolerance)
        if integral is not None:
            return integral

    def integrand(z: Array) -> tuple[Array, Array]:
        values = f(z) * gaussian(z)
        return values, np.abs(values)

    panels = _adapt(integrand, _edges(cuts, reach), tolerance)
    return Estimate(panels.value, panels.error + panels.rounding)


def _trapezoid(f: Callable[[Array], Array], scale: float, reach: float, level: int) -> tuple[float, float]:
    z, w = _uniform(STEPS[level] / scale, reach, level)
    values = f(z)
    return float(w @ values), float(w @ np.abs(values))


# --- two dimensions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pair:
    """E f(slope z + blur y) g(z) over independent standard normals z, y."""

    inner: Law
    outer: Law
    slope: float
    blur: float
    reach: float

    def grid(self, level: int) -> tuple[float, float] | None:
        """Return integral and integral of the modulus on a tensor grid; None where it would be too large."""
        z, w = _uniform(STEPS[level] / max(1.0, abs(self.slope)), self.reach, level)
        y, v = self._inner_rule(level)
        if len(z) * len(y) > MAX_GRID:
            return None
        target = w * self.outer(z)
        value = size = 0.0
        for rows in self._chunks(len(z), len(y)):
            values = self.inner(self.slope * z[rows, None] + self.blur * y)
            value += float(target[rows] @ (values @ v))
            size += float(np.abs(target[rows]) @ (np.abs(values) @ v))
        return value, size

    def grids(self) -> Iterable[tuple[float, float]]:
        for level in range(len(STEPS)):
            integral = self.grid(level)
            if integral is None:
                return
            yield integral

    def _inner_rule(self, level: int) -> tuple[Array, Array]:
        """Steps follow the scale of l, and never stay the same from one level to the next."""
        return _uniform(min(WIDEST_STEP * 0.9**level, STEPS[level] / self.blur), self.reach, level)

    @staticmethod
    def _chunks(rows: int, columns: int) -> list[slice]:
        size = max(1, CHUNK // columns)
        return [slice(start, start + size) for start in range(0, rows, size)]

    @property
    def levels(self) -> int:
        return len(STEPS) if self.inner.is_smooth else MAX_INNER_LEVEL

    def integrand(self, z: Array, level: int) -> tuple[Array, Array]:
        """Return g(z) E_y f(slope z + blur y) against the density of z, and the same of the moduli."""
        centres = self.slope * z.ravel()
        once = self._by_grid if self.inner.is_smooth else self._by_moving_panels
        columns = (128 + len(_INNER_NODES) * len(self.inner.soft)) * 2**level
        parts = [once(centres[rows], level) for rows in self._chunks(len(centres), columns)]
        smoothed = np.concatenate(parts).reshape(*z.shape, 2)
        target = self.outer(z) * gaussian(z)
        return target * smoothed[..., 0], np.abs(target) * smoothed[..., 1]

    def _by_grid(self, centres: Array, level: int) -> Array:
        y, v = self._inner_rule(level)
        values = self.inner(centres[:, None] + self.blur * y)
        return np.stack([values @ v, np.abs(values) @ v], axis=-1)

    def _by_moving_panels(self, centres: Array, level: int) -> Array:
        """Gauss-Legendre panels whose edges pass through kinks and features, row by row; empty ones are left out."""
        base = np.linspace(-self.reach, self.reach, 7)
        kinks = np.clip((self.inner.edges - centres[:, None]) / self.blur, -self.reach, self.reach)
        rows = np.concatenate([np.broadcast_to(base, (len(centres), 7)), kinks], axis=1)
        rows.sort(axis=1)
        parts = 2**level
        share = np.arange(parts) / parts
        width = np.repeat(np.diff(rows, axis=1) / parts, parts, axis=1)
        left = (rows[:, :-1, None] + np.diff(rows, axis=1)[:, :, None] * share).reshape(width.shape)
        row, panel = np.nonzero(width)
        left, half = left[row, panel], width[row, panel] / 2
        y = (left + half)[:, None] + half[:, None] * _INNER_NODES
        values = self.inner(centres[row, None] + self.blur * y) * gaussian(y)
        sums = half[:, None] * np.column_stack([values @ _INNER_WEIGHTS, np.abs(values) @ _INNER_WEIGHTS])
        return np.column_stack([np.bincount(row, column, len(centres)).astype(float) for column in sums.T])

    def edges(self) -> Array:
        """Return outer panel edges: kinks of g, and kinks of f at the scale over which they are blurred."""
        if self.inner.is_smooth or not self.slope:
            return _edges(self.outer.edges, self.reach)
        width = self.blur / abs(self.slope)
        centres = np.concatenate([self.inner.cuts / self.slope, _thinned(self.inner.soft / self.slope, width)])
        graded = (centres[:, None] + width * np.array([-8.0, 0.0, 8.0])).ravel()
        return _edges([*self.outer.edges, *graded], self.reach)


def _thinned(places: Array, width: float) -> Array:
    """Leave one of those that lie in one cell of a grid."""
    return places[np.unique(np.floor(places / width), return_index=True)[1]]


def kernel(
    f: Expr,
    g: Expr,
    overlap: float,
    variance: float,
    *,
    gap: float | None = None,
    tolerance: float = INTEGRAL,
    values: Values = (),
) -> Estimate:
    """Return E f(l) g(l*), (l, l*) centred with covariance [[r, q], [q, 1]], with its absolute error.

    `gap` is r - q^2 where the caller knows it without cancellation; `values` are those of parameters of f and g.
    Raises `ParameterError` for q^2 > r and `QuadratureError` where the tolerance (relative to E|f g|) is not reached.

    >>> kernel(sp.tanh(x), sp.tanh(x), 0.5, 0.25).value  # doctest: +ELLIPSIS
    0.258735725874620...
    """
    gap = variance - overlap**2 if gap is None else gap
    if gap < -1e-12 * max(1.0, variance):
        raise ParameterError(f"q = {overlap}, r = {variance} given; accepted: q^2 <= r, a covariance matrix.")
    left, right = (law_of(h, tuple((s, v) for s, v in values if s in h.free_symbols)) for h in (f, g))
    spread, blur = float(np.sqrt(variance)), float(np.sqrt(max(gap, 0.0)))
    reach = max(reach_of(right, 0.0, 1.0), REACH)
    if spread:
        reach += max(_reach_around_zero(left, spread) - REACH, 0.0)
    if blur < 1e-14:
        cuts = np.concatenate([right.edges, left.edges / overlap if overlap else []])
        return line(lambda z: left(overlap * z) * right(z), cuts, max(1.0, abs(overlap)), reach, tolerance)
    if right.is_smooth and not left.is_smooth:  # condition on l instead, so that the kinks stand still
        return _plane(_Pair(right, _scaled(left, spread), overlap / spread, blur / spread, reach), tolerance)
    return _plane(_Pair(left, right, overlap, blur, reach), tolerance)


def _scaled(law: Law, factor: float) -> Law:
    branches = (lambda z: law(factor * z),) * len(law.branches)
    return Law(law.cuts / factor, branches, seek=lambda: law.soft / factor)


@np.errstate(over="ignore", invalid="ignore")
def _plane(pair: _Pair, tolerance: float) -> Estimate:
    if pair.inner.is_smooth and pair.outer.is_smooth:
        integral = _settle(pair.grids(), tolerance)
        if integral is not None:
            return integral
    return _nested(pair, tolerance)


def _nested(pair: _Pair, tolerance: float) -> Estimate:
    """Adapt the outer panels at one inner level, and compare with the level before on the same panels."""
    edges, change, panels = pair.edges(), np.inf, None
    for level in range(1, pair.levels):
        panels = _adapt(partial(pair.integrand, level=level), edges, tolerance)
        half = (panels.right - panels.left) / 2
        before = pair.integrand((panels.left + half)[:, None] + half[:, None] * NODES, level - 1)[0]
        change = 2 * abs(float(half @ (before @ WEIGHTS)) - panels.value)
        if change <= tolerance * panels.size:
            return Estimate(panels.value, panels.error + change + panels.rounding)
        edges = np.unique(np.concatenate([panels.left, panels.right]))
    assert panels is not None
    raise QuadratureError(_not_reached(panels.value, panels.error + change, panels.size, tolerance))
