r"""Truncated Hermite (Mehler) series, each with a remainder that covers the exact value.

With h_k = He_k / sqrt(k!) orthonormal under N(0, 1), s_k = E h_k(Z) sigma(sqrt(r) Z), p_k = E h_k(Z) phi(Z) and
c = q / sqrt(r),

    K(q, r) = sum_k s_k p_k c^k,

and for aligned pre-training, q = mu, r = mu^2, with l_k = sqrt((k + 1)(k + 2)) s_{k+2},

    A = (1/mu) sum_k (k s_k + l_k) (p_k - s_k),     B = -(1/mu^2) sum_k [k s_k^2 + l_k (s_k - p_k)],

of the correlation loss those without k s_k^2 and with p_k in place of p_k - s_k.

*Order N* keeps k = 0, ..., N in every sum (in l_k, s up to N + 2). In this convention a ReLU pair at mu = 0.032 has
tau = 1.286 at order 16 and 3.019 at order 1024, against 3.3927: B converges like N^(-1/2).

*The remainder.* The derivative of order i of f = sum_k a_k h_k is sum_k sqrt(k!/(k - i)!) a_k h_{k-i}, so that Parseval
gives every tail from norms and the terms kept,

    T_i(a)^2 = sum_{k > N} k!/(k - i)! a_k^2 = E f^(i)(Z)^2 - sum_{k <= N} k!/(k - i)! a_k^2,

and by Cauchy-Schwarz |sum_{k > N} w_k a_k b_k| <= max_{k > N} w_k sqrt((k - i)! (k - j)!)/k! T_i(a) T_j(b) for every
split (i, j) of derivatives whose norms are finite; the smallest is taken. A kink allows i = 1, a jump i = 0 only.
Errors of quadrature and rounding are added. A norm that is too small gives a tail that is too small, so that norms and
coefficients are integrals of the same f^(i)(z) exp(-z^2/4), over panels that end where it is seen to be negligible.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from numerics.accuracy import SERIES_ROUNDING, SETTLED_NORM
from numerics.integrals.quadrature import Estimate, Law, law_of
from theory.calculus.pieces import pieces
from theory.errors import NotIntegrableError, ParameterError, QuadratureError
from theory.language.activations import Activation, activation

__all__ = ["MAX_ORDER", "aligned_series", "kernel_series"]

Array = NDArray[np.float64]

MAX_ORDER = 10_000
MAX_DERIVATIVE = 3
FARTHEST = 53.0  # exp(-z^2/4) is 1e-305 there
NEGLIGIBLE = 1e-20  # of the peak of f(z) exp(-z^2/4)
VANISHING = 1e-200  # below it f(z) exp(-z^2/4) counts as zero, whatever its peak
WIDTH, NARROWEST = 0.25, 1 / 64
GRADES = 4.0 ** -np.arange(13)  # panels shrink like this towards a breakpoint, where a root may have its branch point
LEVELS = 6
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, eq=False)
class _Function:
    """z -> sum of sign f(scale z) with its derivatives in z, as many as are ordinary functions of every part."""

    parts: tuple[tuple[int, float, tuple[Law, ...]], ...]

    @classmethod
    def of(cls, expr: Expr, scale: float) -> _Function:
        return cls(((1, scale, _derivatives(expr)),))

    def __sub__(self, other: _Function) -> _Function:
        return _Function((*self.parts, *((-sign, scale, laws) for sign, scale, laws in other.parts)))

    def __call__(self, z: Array, order: int) -> Array:
        with np.errstate(all="ignore"):
            values = [sign * scale**order * laws[order](scale * z) for sign, scale, laws in self.parts]
            return np.sum(values, axis=0)

    @property
    def derivatives(self) -> int:
        """How many of f, f', f'', ... are functions."""
        return min(len(laws) for _, _, laws in self.parts)

    @property
    def cuts(self) -> Array:
        return np.unique(np.concatenate([law.cuts / scale for _, scale, laws in self.parts for law in laws]))

    @property
    def soft(self) -> Array:
        return np.unique(np.concatenate([law.soft / scale for _, scale, laws in self.parts for law in laws]))

    @property
    def steepness(self) -> float:
        return max(1.0, *(abs(scale) for _, scale, _ in self.parts))


@lru_cache(maxsize=256)
def _derivatives(expr: Expr) -> tuple[Law, ...]:
    """Return f, f', f'', ... up to the first that carries point masses."""
    split, points = pieces(expr), [law_of(expr)]
    for _ in range(MAX_DERIVATIVE):
        try:
            split, jumps = split.diff()
        except NotIntegrableError:
            break
        if jumps:
            break
        points.append(law_of(split.as_expr()))
    return tuple(points)


@dataclass(frozen=True)
class _Expansion:
    """Coefficients a_0, ..., a_{N+2}, a bound on the error of each, and E f^(i)(Z)^2 for i = 0, 1, ... while finite."""

    coefficients: Array
    error: float
    norms: tuple[Estimate, ...]

    def tail(self, i: int, order: int) -> float:
        """Return an upper bound on T_i, over k > order."""
        a, weights = self.coefficients[: order + 1], _falling(np.arange(order + 1.0), i)
        norm = self.norms[i]
        slack = norm.error + SERIES_ROUNDING * norm.value + self.error * float(weights @ (2 * np.abs(a) + self.error))
        return float(np.sqrt(max(norm.value - float(weights @ (a * a)), 0.0) + slack))


def _falling(k: Array, i: int) -> Array:
    """k (k - 1) ... (k - i + 1)."""
    return np.prod([k - j for j in range(i)], axis=0) if i else np.ones_like(k)


# --- panels -----------------------------------------------------------------------------------------------------


def _panels(function: _Function, width: float, ends: tuple[float, float], parts: int = 1) -> tuple[Array, Array]:
    """Return nodes and weights between the ends; edges at the cuts and graded towards them, panels split in `parts`."""
    cuts = function.cuts
    near = [c + side * width * GRADES for c in cuts for side in (-1, 1)]
    edges = np.concatenate([np.linspace(*ends, int((ends[1] - ends[0]) / width) + 2), cuts, function.soft, *near])
    edges = np.unique(np.clip(edges, *ends))
    steps = np.diff(edges)[:, None] / parts
    half = np.repeat(steps / 2, parts, axis=0)
    middle = (edges[:-1, None] + steps * (np.arange(parts) + 0.5)).ravel()
    return (middle[:, None] + half * _NODES).ravel(), (half * _WEIGHTS).ravel()


def _root_density(z: Array) -> Array:
    return np.exp(-z * z / 4) / (2 * np.pi) ** 0.25


def _damped(function: _Function, i: int, z: Array) -> Array:
    """Return f^(i)(z) times the root of the density: its square is the integrand of E f^(i)(Z)^2."""
    with np.errstate(all="ignore"):
        return function(z, i) * _root_density(z)


def _ends(function: _Function, i: int, width: float) -> tuple[float, float]:
    """Return where the damped f^(i) has become negligible on either side.

    `QuadratureError` where it is not seen to: f^(i) grows too fast, or cannot be evaluated.
    """
    z, _ = _panels(function, width, (-FARTHEST, FARTHEST))
    values = _damped(function, i, z)
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    high = np.flatnonzero(size >= max(NEGLIGIBLE * size.max(), VANISHING))
    if not len(high):
        return -1.0, 1.0
    first, last = high[0] - 1, high[-1] + 1
    if first < 0 or last == len(z) or (size[first : last + 1] < 0).any():
        raise _not_finite()
    return float(z[first]), float(z[last])


def _not_finite() -> QuadratureError:
    return QuadratureError(
        "E f(Z)^2 is not finite at double precision; accepted are functions square-integrable under the Gaussian: use "
        "a smaller variance."
    )


def _norm(function: _Function, i: int, width: float) -> Estimate | None:
    """Return E f^(i)(Z)^2, refined until two rules agree; None where none do."""
    before, ends = np.nan, _ends(function, i, width)
    for level in range(LEVELS):
        z, weights = _panels(function, width, ends, 2**level)
        now = float(weights @ _damped(function, i, z) ** 2)
        if not np.isfinite(now):
            return None
        if abs(now - before) <= SETTLED_NORM * now:
            return Estimate(now, 4 * abs(now - before) + VANISHING)
        before = now
    return None


def _norms(function: _Function, width: float) -> tuple[Estimate, ...]:
    """Return E f^(i)(Z)^2 for every i up to which f^(i) is a function whose norm is finite."""
    panels: list[Estimate] = []
    for i in range(function.derivatives):
        with suppress(QuadratureError):
            norm = _norm(function, i, width)
            if norm is not None:
                panels.append(norm)
                continue
        break
    return tuple(panels)


def _width(function: _Function, order: int) -> float:
    """Shorter than a wave of h_order, and short enough to see what f does within about 1/50."""
    return min(max(WIDTH / function.steepness, NARROWEST), 6 / float(np.sqrt(order + 3)))


def _expansion(function: _Function, order: int) -> _Expansion:
    """Integrate against h_0, ..., h_{order+2}, panels refined until two rules agree.

    Raises `QuadratureError` where they do not.
    """
    width = _width(function, order)
    norms = _norms(function, width)
    if not norms:
        raise _not_finite()
    size, ends = float(np.sqrt(norms[0].value)), _ends(function, 0, width)
    coarse, change = _coefficients(function, order + 2, _panels(function, width, ends)), np.inf
    for level in range(1, LEVELS):
        fine = _coefficients(function, order + 2, _panels(function, width, ends, 2**level))
        change = float(np.abs(fine - coarse).max())
        if change <= 1e-11 * size:
            return _Expansion(fine, change + SERIES_ROUNDING * size + VANISHING, norms)
        coarse = fine
    raise QuadratureError(
        f"Hermite coefficients up to {order} still change by {change:.2g}: the function varies too fast for this "
        "series; use the quadrature, which splits its panels (no order=)."
    )


def _coefficients(function: _Function, top: int, rule: tuple[Array, Array]) -> Array:
    """Return E h_k(Z) f(Z), k = 0, ..., top, by the normalised recurrence on g_k = h_k exp(-z^2/4)."""
    z, weights = rule
    weighted = weights * _damped(function, 0, z)
    before, now = np.zeros_like(z), _root_density(z)
    coefficients = np.empty(top + 1)
    for k in range(top + 1):
        coefficients[k] = weighted @ now
        before, now = now, (z * now - np.sqrt(k) * before) / np.sqrt(k + 1.0)
    return coefficients


def _difference(p: _Expansion, s: _Expansion, function: _Function, order: int) -> _Expansion:
    """Return the expansion of phi - g from theirs; its norms are integrated, and lose what rounding does to each."""
    norms = []
    for own, left, right in zip(_norms(function, _width(function, order)), p.norms, s.norms, strict=False):
        rounding = SERIES_ROUNDING * (np.sqrt(left.value) + np.sqrt(right.value))
        norms.append(Estimate(own.value, float(own.error + rounding * (2 * np.sqrt(own.value) + rounding))))
    return _Expansion(p.coefficients - s.coefficients, p.error + s.error, tuple(norms))


# --- sums -------------------------------------------------------------------------------------------------------


def _sum(
    a: _Expansion, b: _Expansion, weight: Callable[[Array], Array], order: int, shift: int, power: int
) -> Estimate:
    """Return sum_{k <= order} w_k a_{k + shift} b_k, the error being the remainder; w_k grows like k^power at most.

    w_k sqrt((k - i)! (k - j)!)/k! falls with k once i + j >= 2 power, so that its maximum is the first value.
    """
    k = np.arange(order + 1.0)
    left, right, w = a.coefficients[shift : order + 1 + shift], b.coefficients[: order + 1], weight(k)
    noise = np.abs(w) @ (
        a.error * np.abs(right) + b.error * (np.abs(left) + a.error) + SERIES_ROUNDING * np.abs(left * right)
    )
    first = np.array([order + 1.0])
    size, bounds = float(np.abs(weight(first))[0]), [np.inf]
    for i, j in product(range(len(a.norms)), range(len(b.norms))):
        growth = float((_falling(first + shift, i) * _falling(first, j))[0])
        if i + j >= 2 * power and growth > 0:
            bounds.append(size / np.sqrt(growth) * a.tail(i, order + shift) * b.tail(j, order))
    return Estimate(float(w @ (left * right)), float(noise + min(bounds)))


def _check_order(order: int) -> None:
    if not (isinstance(order, int) and 0 <= order <= MAX_ORDER):
        raise ParameterError(
            f"order = {order!r} given; accepted: an integer from 0 to {MAX_ORDER}, the highest Hermite order kept."
        )


def kernel_series(
    student: str | Expr | Activation, teacher: str | Expr | Activation, q: float, r: float, order: int
) -> Estimate:
    """Return sum_{k <= order} s_k p_k c^k of K(q, r) = E sigma(l) phi(l*); the error is its remainder.

    `ParameterError` for an order outside 0..10000 or q^2 > r, `QuadratureError` for a function that varies too fast.

    >>> kernel_series("relu", "relu", 0.3, 0.25, 16)
    <Estimate value = 0.16938688 ± 6e-08>
    """
    _check_order(order)
    if not (np.isfinite(r) and r > 0 and q * q <= r * (1 + 1e-12)):
        raise ParameterError(f"q = {q!r}, r = {r!r} given; accepted: r > 0 and q^2 <= r, a covariance matrix.")
    ratio = float(np.clip(q / np.sqrt(r), -1, 1))
    left, right = activation(student).expr, activation(teacher).expr
    s = _expansion(_Function.of(left, float(np.sqrt(r))), order)
    p = _expansion(_Function.of(right, 1.0), order)
    return _sum(s, p, lambda k: ratio**k, order, shift=0, power=0)


def aligned_series(
    student: Expr, teacher: Expr, mu: float, order: int, *, own: bool = True
) -> tuple[Estimate, Estimate]:
    """Return A and B of aligned pre-training at mu, cut at `order`; the errors are their remainders.

    `own` is whether the student's own value is in the residual (`Loss.own`): False is the correlation loss.

    Raises `NotIntegrableError` where no remainder is finite (a student that jumps, or a kink that meets a jump),
    `ParameterError` for the order, `QuadratureError` for functions that vary too fast.

    >>> A, B = aligned_series(activation("relu").expr, activation("relu").expr, 0.5, 16)
    >>> abs(A.value - 0.25) < A.error, abs(B.value + 0.5) < B.error
    (True, True)
    """
    _check_order(order)
    g, phi = _Function.of(student, mu), _Function.of(teacher, 1.0)
    s, p = _expansion(g, order), _expansion(phi, order)
    gap = _difference(p, s, phi - g, order) if own else p
    square = _sum(s, s, lambda k: k, order, shift=0, power=1) if own else Estimate(0.0, 0.0)
    cross = _sum(s, gap, lambda k: k, order, shift=0, power=1)
    ladder = _sum(s, gap, lambda k: np.sqrt((k + 1) * (k + 2)), order, shift=2, power=1)
    A = Estimate((cross.value + ladder.value) / mu, (cross.error + ladder.error) / mu)
    B = Estimate((ladder.value - square.value) / mu**2, (ladder.error + square.error) / mu**2)
    if not (np.isfinite(A.error) and np.isfinite(B.error)):
        raise NotIntegrableError(
            f"student {student}, teacher {teacher}: the Hermite series of A and B have no finite remainder; accepted "
            "are continuous students with a continuous teacher, and students with two square-integrable derivatives "
            "with any teacher: use the exact or quadrature tier (no order=)."
        )
    return A, B
