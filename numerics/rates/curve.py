r"""Search times at many pre-trained weights at once: tau(mu), each number with its error.

Closed forms are compiled once, with a running bound on their rounding (`numerics.compile.bounded`); what holds
unevaluated expectations is interpolated in mu, with the errors of its quadrature and of the interpolation
(`numerics.rates.surrogate`). tau and its error follow as at one point (`numerics.rates.search`), in arrays. Where
float64 does not suffice (overflow, underflow, cancellation against the gradient or the tolerance, parts that vanish,
w0 = w*), or the interpolation is not accurate enough, `numerics.rates.search_time` decides point by point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from sympy import Expr, Symbol

from numerics.accuracy import FINEST_INTEGRAL, TIME_ROUNDING, UNIT_ROUNDING, VALUE
from numerics.compile.bounded import compile_bounded
from numerics.integrals.quadrature import Real
from numerics.rates.place import parts_of, place_of
from numerics.rates.search import MODEST, Search
from numerics.rates.search_time import RateScale, search_time, slowdown
from numerics.rates.surrogate import interpolated
from theory.calculus.expectations import is_closed
from theory.errors import ParameterError, UnsupportedExpressionError
from theory.network.derivation import takes_families
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import mu as mu_symbol
from theory.symbols import q, r
from theory.symbols import rho as rho_symbol

__all__ = ["SearchCurve", "search_times", "searches"]

Array = NDArray[np.float64]

ROUNDING = TIME_ROUNDING * UNIT_ROUNDING
ROUNDED = 1e-12
"""relative error by rounding from which a point is decided alone, in balls where it can be"""
MANY_CLOSED, MANY_INTEGRALS = 1000, 64  # points at which working on all together begins to pay
MODELS = "theory.network.models"  # whose domains of mu and rho are known here


@dataclass(frozen=True, eq=False)
class SearchCurve(Shown):
    """The search phase at many pre-trained weights, in time t = eta * step; one entry of each array a weight.

    Attributes:
        mu: alignments.
        rho: lengths; |mu| where aligned.
        A: drives; None unless aligned.
        B: minus the curvature of the loss across the bulk.
        G: length of the loss's gradient, |A| where aligned.
        rate: growth rate lambda.
        tau: search time 1/lambda; infinite where there is none.
        error: bound on the absolute error of tau by quadrature and interpolation, 0 for a closed form, as in `Search`.
        low: lower end of an interval that covers tau up to `rounding`.
        high: its upper end, infinite where tau may be.
        rounding: bound on what float64 rounding adds to the error of tau, first order in the unit of rounding.
        slowdown: what the learning rate was divided by; `rate`, `tau` and all bounds contain it.
        alone: by index, the points that were decided one by one, as `search_time` returns them; where their numbers
            are beyond a double the arrays hold 0 or infinity.
        errors: bounds on the errors of A, B, G and rate by name, rounding included.

    >>> from theory.network.derivation import derive
    >>> curve = search_times(derive("relu"), [0.032, 0.8985, 1])
    >>> curve.tau.round(4).tolist(), curve[1].B
    ([3.3927, 196.1122, inf], -0.5)
    """

    shows = "mu, rho, A, B, G, rate, tau, error, low, high, rounding, slowdown"

    mu: Array
    rho: Array
    A: Array | None
    B: Array
    G: Array
    rate: Array
    tau: Array
    error: Array
    low: Array
    high: Array
    rounding: Array
    slowdown: int
    alone: Mapping[int, Search]
    errors: Mapping[str, Array]

    def __len__(self) -> int:
        """The number of points."""
        return len(self.mu)

    def __getitem__(self, index: int) -> Search:
        """Return one point as `search_time` does."""
        index = range(len(self))[index]
        if index in self.alone:
            return self.alone[index]
        at: Any = {name: float(getattr(self, name)[index]) for name in ("mu", "rho", "B", "G", "rate", "tau", "error")}
        at["error"] += (rounding := float(self.rounding[index]))
        low, high = float(self.low[index]) - rounding, float(self.high[index]) + rounding
        along = None if self.A is None else float(self.A[index])
        interval = (low, high if math.isfinite(high) else None)
        errors = {name: float(column[index]) for name, column in self.errors.items()}
        return Search(**at, A=along, interval=interval, slowdown=self.slowdown, errors=errors)

    def __iter__(self) -> Iterator[Search]:
        """Yield the points one by one."""
        return (self[index] for index in range(len(self)))


@takes_families
def search_times(
    system: System,
    mu: ArrayLike,
    *,
    rho: ArrayLike | None = None,
    tolerance: float = VALUE,
    rate_scale: RateScale = "raw",
    parameters: Mapping[str, ArrayLike | sp.Rational | str] | None = None,
) -> SearchCurve:
    """Return A, B, G, rate and tau of a LoRA system at many pre-trained weights: `search_time` for arrays.

    Args:
        system: a derived system of model lora (aligned) or misaligned.
        mu: alignments, in one dimension, each the decimal that it prints.
        rho: lengths >= |mu|, with model misaligned: as many, or one for all.
        tolerance: accepted relative error of tau.
        rate_scale: as for `search_time`.
        parameters: values of a model's other parameters by name, the same at every point; those of a family of
            activations also as arrays, as long as mu (or mu may be one number).

    A closed form takes some 0.1 us a point once it is compiled. Expectations without one are interpolated where many
    points lie together and w0 is aligned, or |w0| the same everywhere; elsewhere each point is integrated by itself.

    Raises:
        ParameterError: arrays of other shapes, or whatever `search_time` refuses at one of the points.
        InputError, NotIntegrableError, QuadratureError: as `search_time` at the first point that needs it.

    >>> from theory.network.derivation import derive
    >>> curve = search_times(derive("tanh"), np.linspace(0.1, 0.9, 1000))
    >>> point = search_time(derive("tanh"), curve[500].mu)
    >>> bool(abs(curve.tau[500] - point.tau) <= curve.error[500] + point.error)
    True
    >>> family = derive("erf(beta*x)", parameters={"beta": "> 0"})
    >>> search_times(family, 0.4, beta=[0.5, 0.7, 1.0]).tau.round(3).tolist()
    [23.261, 20.341, 23.437]
    """
    arrays = {name: value for name, value in (parameters or {}).items() if np.ndim(value)}  # type: ignore[arg-type]
    if arrays:
        return _over_a_family(system, mu, rho, arrays, dict(parameters or {}), (tolerance, rate_scale))
    alignments, lengths = _columns(mu, rho)
    if not len(alignments):
        raise ParameterError("mu without an entry given; accepted: one or more alignments.")
    return _curve(system, alignments, None if rho is None else lengths, {}, parameters or {}, tolerance, rate_scale)


def _curve(
    system: System,
    mu: Array,
    rho: Array | None,
    varied: Mapping[str, Array],
    fixed: Mapping[str, Any],
    tolerance: float,
    rate_scale: RateScale,
) -> SearchCurve:
    """Return the curve of one formula; `varied` are parameters with a value at each point."""
    factor = slowdown(system, rate_scale)

    def given(index: int) -> tuple[float, float | None, dict[str, Any]]:
        own = {name: float(column[index]) for name, column in varied.items()}
        return float(mu[index]), None if rho is None else float(rho[index]), {**fixed, **own}

    def alone(index: int) -> Search:
        at, length, parameters = given(index)
        return search_time(system, at, rho=length, tolerance=tolerance, rate_scale=rate_scale, parameters=parameters)

    at = place_of(system, *given(0)).at
    numbers = {symbol: varied.get(symbol.name, float(number)) for symbol, number in at.items()}
    grid = _Grid(system, mu, np.abs(mu) if rho is None else rho, numbers)
    curve, lost = _together(grid, tolerance, factor)
    return _filled(curve, {int(index): alone(int(index)) for index in np.flatnonzero(lost)})


def _over_a_family(
    system: System,
    mu: ArrayLike,
    rho: ArrayLike | None,
    arrays: Mapping[str, ArrayLike],
    parameters: dict[str, Any],
    options: tuple[float, RateScale],
) -> SearchCurve:
    """Return the curve over arrays of a family's parameters: compiled once in each chamber of them."""
    own = {p.name for p in system.network.domain}
    stray = sorted(arrays.keys() - own)
    if stray:
        raise ParameterError(f"{stray[0]} given as an array; accepted: arrays of {', '.join(own) or 'no parameter'}.")
    try:
        names = list(arrays)
        columns = [
            np.array(value, np.float64) for value in (mu, *((rho,) if rho is not None else ()), *arrays.values())
        ]
        columns = [np.ascontiguousarray(column) for column in np.broadcast_arrays(*columns)]
    except (TypeError, ValueError):
        raise ParameterError(
            "mu, rho or parameters given that are no numbers of one shape; accepted: arrays."
        ) from None
    if columns[0].ndim != 1 or not columns[0].size:
        raise ParameterError(f"arrays of shape {columns[0].shape} given; accepted: one dimension, an entry or more.")
    alignments, lengths = columns[0], None if rho is None else columns[1]
    rows = [
        parameters | {name: float(column[i]) for name, column in zip(names, columns[-len(names) :], strict=True)}
        for i in range(len(alignments))
    ]
    pieces: list[tuple[SearchCurve, list[int]]] = []
    for member, places in system.grouped(rows, put=not system.is_exact):
        left = {p.name for p in member.parameters}
        varied = {n: np.array([rows[i][n] for i in places]) for n in names if n in left}
        fixed = {n: v for n, v in parameters.items() if n in left and n not in varied}
        at = (alignments[places], None if lengths is None else lengths[places])
        pieces.append((_curve(member, *at, varied, fixed, *options), places))
    return _joined(pieces, len(alignments))


def _joined(pieces: Sequence[tuple[SearchCurve, list[int]]], count: int) -> SearchCurve:
    """Return one curve of pieces of it, each with its places."""
    first = pieces[0][0]
    names = ("mu", "rho", "A", "B", "G", "rate", "tau", "error", "low", "high", "rounding")

    def whole(column_of: Callable[[SearchCurve], Array]) -> Array:
        column = np.empty(count)
        for piece, places in pieces:
            column[places] = column_of(piece)
        return column

    columns = {name: whole(attrgetter(name)) for name in names if getattr(first, name) is not None}
    errors = {name: whole(lambda piece, name=name: piece.errors[name]) for name in first.errors}
    alone = {places[i]: search for piece, places in pieces for i, search in piece.alone.items()}
    return SearchCurve(**{"A": None, **columns}, slowdown=first.slowdown, alone=alone, errors=errors)


def searches(
    system: System,
    mu: Sequence[float],
    *,
    rho: float | Sequence[float] | None = None,
    order: int | None = None,
    digits: int | None = None,
    **options: Any,
) -> list[Search]:
    """Return the search phase at each weight, in whichever way is faster: one by one, or together where there are many.

    Takes what `search_time` takes; `order` and `digits` go one by one. Compiling a closed form for the first time takes
    as long as some thousand points, a table of integrals as long as thirty.

    >>> from theory.network.derivation import derive
    >>> [search.tau for search in searches(derive("linear"), [0.5, 1])]
    [4.82842712474619, None]
    """
    many = MANY_CLOSED if system.is_exact else MANY_INTEGRALS
    if order is None and digits is None and len(mu) >= many:
        return list(search_times(system, mu, rho=rho, **options))
    lengths = rho if isinstance(rho, Sequence) else [rho] * len(mu)
    return [
        search_time(system, value, rho=length, order=order, digits=digits, **options)
        for value, length in zip(mu, lengths, strict=True)
    ]


def _columns(mu: ArrayLike, rho: ArrayLike | None) -> tuple[Array, Array]:
    try:
        alignments = np.array(mu, np.float64)
        lengths = np.abs(alignments) if rho is None else np.array(rho, np.float64)
        pair = np.broadcast_arrays(alignments, lengths)
    except (TypeError, ValueError):
        raise ParameterError("mu or rho given that are no numbers; accepted: arrays of as many numbers.") from None
    if alignments.ndim != 1 or pair[0].shape != alignments.shape:
        raise ParameterError(
            f"mu of shape {alignments.shape} and rho of shape {lengths.shape} given; accepted: mu in one dimension, "
            "and as many rho or one."
        )
    return np.ascontiguousarray(pair[0]), np.ascontiguousarray(pair[1])


@dataclass(frozen=True, eq=False)
class _Grid:
    """The points, and a value at the first of them for every symbol that the search depends on."""

    system: System
    mu: Array
    rho: Array
    at: Mapping[Symbol, float | Array]

    @property
    def is_aligned(self) -> bool:
        return self.system.escape.A is not None

    @property
    def columns(self) -> Array:
        """The arguments in the order of `at`, one row each."""
        varied = {mu_symbol: self.mu, rho_symbol: self.rho}
        return np.array([varied.get(symbol, np.broadcast_to(n, self.mu.shape)) for symbol, n in self.at.items()])

    def inside(self) -> NDArray[np.bool_]:
        """Whether the model and the loss accept a point; what they refuse is left to `search_time` to say."""
        if rho_symbol not in self.at:
            accepted = (self.mu > 0) & (self.mu <= 1)
        else:
            accepted = (self.rho >= abs(self.mu)) & (self.rho > 0) & np.isfinite(self.rho)
        if self.system.network.check.__module__ != MODELS:  # a domain of the user's own
            for index in np.flatnonzero(accepted):
                accepted[index] = _accepts(self.system, dict(zip(self.at, self.columns[:, index], strict=True)))
        return accepted


def _accepts(system: System, values: Mapping[Symbol, float]) -> bool:
    try:
        system.network.accepts({symbol.name: float(number) for symbol, number in values.items()})
    except ParameterError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class _Parts:
    """A (or L_q) and B (or L_r) over the points; each array of two rows."""

    values: Array
    errors: Array
    """bounds on what quadrature and interpolation leave; infinite where they give nothing"""
    rounding: Array
    overlap: Array
    """q at the start"""
    gap: Array
    """r - q^2 there"""
    square: Array
    """what a LoRA scale multiplies B and G^2 by"""


def _together(grid: _Grid, tolerance: float, factor: int) -> tuple[SearchCurve, NDArray[np.bool_]]:
    """Return the curve in float64, and where it does not hold."""
    parts = _parts(grid, tolerance)
    if parts is None:
        nothing = np.full(grid.mu.shape, np.nan)
        names = ("B", "G", "rate", "tau", "error", "low", "high", "rounding")
        along = nothing if grid.is_aligned else None
        unknown: dict[str, Array] = dict.fromkeys((*(("A",) if grid.is_aligned else ()), "B", "G", "rate"), nothing)
        numbers = dict.fromkeys(names, nothing)
        empty = SearchCurve(grid.mu, grid.rho, along, slowdown=factor, alone={}, **numbers, errors=unknown)
        return empty, np.full(grid.mu.shape, True)
    with np.errstate(all="ignore"):
        return _timed(grid, parts, tolerance, factor)


def _parts(grid: _Grid, tolerance: float) -> _Parts | None:
    """Return the parts in float64; None where only `search_time` can give them."""
    system = grid.system
    escape = system.escape
    columns = dict(zip(grid.at, grid.columns, strict=True))
    overlap, squared = (escape.at_start[name] for name in (q, r))
    start = [_polynomial(f, columns) for f in (overlap, squared - overlap**2, sp.sympify(escape.square or 0), squared)]
    if escape.square is None or any(f is None for f in start):
        return None
    *start, squared = cast(list[Array], start)
    parts = parts_of(system)
    inside = grid.inside() & (squared < _largest_variance(system, columns))
    if all(is_closed(part) for part in parts):
        try:
            results = compile_bounded(tuple(grid.at), parts)(grid.columns)
        except UnsupportedExpressionError:
            return None
        values, errors, rounding = results[:2], np.zeros((2, len(grid.mu))), results[2:]
    else:
        loss = system.loss_function
        links = (loss.student.expr, loss.own, loss.teacher.expr) if grid.is_aligned else None
        at = cast(Mapping[Symbol, float], grid.at)  # arrays of parameters are put into functions without closed forms
        values, errors = interpolated(parts, at, grid.mu, grid.rho, inside, tolerance, links)
        rounding = np.zeros_like(errors)
    return _Parts(values, np.where(inside, errors, np.inf), rounding, *start)


def _largest_variance(system: System, columns: Mapping[Symbol, Array]) -> Array | float:
    """Return the variance of l below which E sigma(l)^2 is finite; for a family at each point."""
    largest = system.loss_function.student.max_variance
    if not largest.free_symbols:
        return float(largest)
    rows = zip(*(columns[symbol] for symbol in largest.free_symbols), strict=True)
    return np.array([float(largest.subs(dict(zip(largest.free_symbols, row, strict=True)))) for row in rows])


def _polynomial(f: Expr, columns: Mapping[Symbol, Array]) -> Array | None:
    """Return the values of a polynomial, a product of its factors; None for any other function."""
    factors = _terms(f, tuple(columns))
    if factors is None:
        return None
    product = np.ones_like(next(iter(columns.values())))
    for terms in factors:
        product = product * sum(
            number * math.prod(column**n for column, n in zip(columns.values(), powers, strict=True) if n)
            for powers, number in terms
        )
    return product


@lru_cache(maxsize=256)
def _terms(f: Expr, symbols: tuple[Symbol, ...]) -> list[list[tuple[tuple[int, ...], float]]] | None:
    """Return the powers and coefficients of every factor."""
    factors = sp.Mul.make_args(sp.factor(f))
    if not all(factor.is_polynomial() for factor in factors):
        return None
    return [[(powers, float(c)) for powers, c in sp.Poly(factor, *symbols).terms()] for factor in factors]


def _timed(grid: _Grid, parts: _Parts, tolerance: float, factor: int) -> tuple[SearchCurve, NDArray[np.bool_]]:
    """Evaluate at the centre and at the corners of the intervals of G and B, as `numerics.rates.search` does."""
    aligned, (first, second), weight = grid.is_aligned, parts.values, 2 * grid.rho
    if aligned:
        length, bend, twice = abs(first), second, 1
    else:
        length = np.sqrt((first + 2 * parts.overlap * second) ** 2 + 4 * parts.gap * second**2)
        bend, twice = -2 * second, 2
    own = 0.0 if aligned else ROUNDING * (abs(first) + weight * abs(second))
    errors, rounding = (
        (f[0] + (0 if aligned else weight * f[1]), twice * f[1]) for f in (parts.errors, parts.rounding)
    )
    rounding = rounding[0] + own, rounding[1]
    scale = np.sqrt(parts.square)
    rate, tau, low, high = _times(length, bend, errors, scale, factor)
    _, _, least, most = _times(length, bend, rounding, scale, factor)
    error = np.where(np.isfinite(high), np.maximum(tau - low, high - tau), np.inf)
    spread = np.maximum(tau - least, most - tau) + ROUNDING * tau
    along = first if aligned else None
    lengths, bends = errors[0] + rounding[0], errors[1] + rounding[1]
    own_errors = ({"A": lengths} if aligned else {}) | {"B": bends, "G": lengths}
    own_errors["rate"] = (error + spread) / (tau * (tau - error - spread))  # infinite tau: nan, decided alone
    columns = (grid.mu, grid.rho, along, bend, length, rate, tau, error, low, high, spread)
    curve = SearchCurve(*columns, slowdown=factor, alone={}, errors=own_errors)
    whole = parts.errors[0] + weight * parts.errors[1]
    return curve, _lost(grid, curve, parts, whole, rounding, scale, tolerance)


def _times(
    length: Array, bend: Array, errors: tuple[Array, Array], scale: Array, factor: int
) -> tuple[Array, Array, Array, Array]:
    """Return rate, tau and the ends of its interval."""
    centre, middle = length * scale, bend * scale**2
    rate = _growth(centre, middle) / factor
    tau = 1 / rate
    if not (errors[0].any() or errors[1].any()):
        return rate, tau, tau, tau
    far, wide = errors[0] * scale, errors[1] * scale**2
    fastest = _growth(centre + far, middle + wide) / factor
    slowest = _growth(np.maximum(centre - far, 0), middle - wide) / factor
    return rate, tau, 1 / fastest, 1 / slowest


def _growth(a: Array, b: Array) -> Array:
    """`numerics.rates.search.growth_rate` in arrays."""
    root = np.hypot(b, 2 * a)
    return np.where(b > 0, (b + root) / 2, np.where(root > 0, 2 * a * a / (root - b), 0.0))


def _lost(
    grid: _Grid,
    curve: SearchCurve,
    parts: _Parts,
    error: Array,
    rounding: tuple[Array, Array],
    scale: Array,
    tolerance: float,
) -> NDArray[np.bool_]:
    """Return where `search_time` has to decide; a comparison with NaN is false, so that NaN is lost."""
    system, second = grid.system, abs(parts.values[1])
    kept = (error < curve.G) & (FINEST_INTEGRAL * abs(curve.B) < curve.G) & (rounding[0] < tolerance * curve.G)
    kept &= rounding[1] < tolerance * np.maximum(second, curve.G)
    for size in (scale, curve.G):
        kept &= (size > MODEST[0]) & (size < MODEST[1])
    kept &= (curve.rate > 0) & np.isfinite(curve.tau) & (curve.error <= tolerance * curve.tau)
    kept &= curve.rounding <= ROUNDED * curve.tau
    loss = system.loss_function
    if system.escape.A is not None and (loss.ends_at_teacher or not loss.teacher.is_continuous):
        kept &= curve.mu != 1  # w0 = w*, or a jump may meet a kink
    return ~kept


def _filled(curve: SearchCurve, alone: Mapping[int, Search]) -> SearchCurve:
    """Return the curve with the points that were decided one by one."""
    if not alone:
        return curve
    where = np.fromiter(alone, int)
    columns = {name: getattr(curve, name).copy() for name in ("B", "G", "rate", "tau", "error")}
    for name, column in columns.items():
        column[where] = [_double(getattr(search, name)) for search in alone.values()]
    along = curve.A
    if along is not None:
        along = along.copy()
        along[where] = [_double(search.A) for search in alone.values()]
    low, high, rounding = curve.low.copy(), curve.high.copy(), curve.rounding.copy()
    low[where], high[where] = np.transpose([[_double(end) for end in s.interval] for s in alone.values()])
    rounding[where] = 0.0
    errors = {name: column.copy() for name, column in curve.errors.items()}
    for name, column in errors.items():
        column[where] = [_double(search.errors[name]) for search in alone.values()]
    return replace(curve, A=along, **columns, low=low, high=high, rounding=rounding, alone=dict(alone), errors=errors)


def _double(number: Real | None) -> float:
    """Return a float: 0 or infinity beyond a double, infinity where there is none."""
    return math.inf if number is None else float(number)
