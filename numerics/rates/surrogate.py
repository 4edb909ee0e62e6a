r"""A surrogate of A and B (or L_q, L_r) along mu, for systems without a closed form, each value with its error.

At aligned weights both are analytic in mu wherever Re mu > 0 (E f(mu Z) g(Z) of functions that are tame in a sector),
so that they are interpolated on the dyadic pieces [2^-(j+1), 2^-j], from whose middle the singularity mu = 0 is three
half-widths away: n Chebyshev coefficients leave some (3 + sqrt 8)^-n, whatever j, and A keeps its relative accuracy
where it vanishes like a power of mu. The first piece is cut where A is small towards mu = 1. At one length rho the
coordinate is t = arcsin(mu/rho), in which the arcsines of kinks are linear, on quarters of [-pi/2, pi/2]. Nodes are
quadratures with their errors. The error stated is

    Lambda_n max_j e_j + max(8 |c|, 2 D) + 4 n u sum_k |c_k|,

e_j those of the nodes, Lambda_n <= 1 + (2/pi) log n (Rivlin), |c| the largest of the last four coefficients, and D the
largest deviation from quadrature at points that are no nodes, beyond the errors of both. A piece whose second term
is not small gets twice the nodes. One whose first term is too large for many of its points, as where A vanishes
towards mu = 1, takes A from the one integral E[Z sigma'(mu Z) (phi(Z) - own(mu Z))] in place of several that cancel,
own as in `Loss.own`; its error is relative but for the rounding of the difference, and it has to agree with them. What
remains is stated, and those who ask for less have to integrate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.accuracy import (
    DIFFERENCE_ROUNDING,
    FINEST_INTEGRAL,
    INTERPOLATION_CHECK,
    INTERPOLATION_TAIL,
    UNIT_ROUNDING,
)
from numerics.integrals import quadrature
from numerics.integrals.evaluate import evaluator
from theory.errors import QuadratureError
from theory.symbols import mu as mu_symbol
from theory.symbols import rho as rho_symbol
from theory.symbols import x

__all__ = ["Line", "Piece", "interpolated", "tabulated"]

Array = NDArray[np.float64]

NODES, MOST_NODES = 24, 96
FEW_NODES = 12  # on the last piece before mu = 1, from which the singularity is far
CUTS = (0.75, 0.9375)  # of the first piece, in pieces 0, -1 and -2
TAIL = 4  # last coefficients, which a parity may halve
CHECKED = (-0.93, -0.31, 0.57)  # places in (-1, 1) that are no nodes
LEAST = 28  # points in a piece that are worth its nodes
SHARE = 4  # errors of A and B that count twice in tau, and rest for the others
SMALLEST = 60  # halvings of mu
QUARTER = math.pi / 4


@dataclass(frozen=True)
class Line:
    """Two functions along mu, at one length of w0 or where it is |mu|.

    Attributes:
        parts: A and B, or L_q and L_r.
        symbols: their arguments.
        numbers: values of these; that of mu is replaced.
        rho: the length; None where w0 is aligned.
        links: student, its part of the residual and teacher as functions of x, for the one integral of A; None where
            that is not A.
    """

    parts: tuple[Expr, Expr]
    symbols: tuple[Symbol, ...]
    numbers: tuple[float, ...]
    rho: float | None
    links: tuple[Expr, Expr, Expr] | None = None

    def alignment(self, t: float) -> float:
        """Return mu at a coordinate."""
        return t if self.rho is None else self.rho * math.sin(t)

    def coordinate(self, mu: Array) -> Array:
        """Return the coordinate at alignments."""
        return mu if self.rho is None else np.arcsin(np.clip(mu / self.rho, -1, 1))

    def pieces(self, t: Array) -> Array:
        """Return the number of the piece that holds each coordinate."""
        if self.rho is not None:
            return np.floor(t / QUARTER)
        return np.where(t > CUTS[0], np.where(t > CUTS[1], -2, -1), np.floor(-np.log2(t)))

    def ends(self, piece: int) -> tuple[float, float]:
        """Return the ends of a piece."""
        if self.rho is not None:
            return piece * QUARTER, (piece + 1) * QUARTER
        first = {0: (0.5, CUTS[0]), -1: CUTS, -2: (CUTS[1], 1.0)}
        return first[piece] if piece <= 0 else (0.5 ** (piece + 1), 0.5**piece)

    def sample(self, t: float, tolerance: float, *, fine: bool = False) -> Array:
        """Return values and errors by quadrature, rows of two, A by its one integral if `fine`.

        Raises `QuadratureError` or `ArithmeticError`.
        """
        alignment = self.alignment(t)
        numbers = [alignment if s == mu_symbol else n for s, n in zip(self.symbols, self.numbers, strict=True)]
        estimates = evaluator(self.symbols, self.parts)(*numbers, tolerance=tolerance)
        both = np.array([[f.value for f in estimates], [f.error for f in estimates]], np.float64)
        if fine:
            drive, error = self._drive(sp.Rational(alignment), tolerance)
            if not abs(drive - both[0, 0]) <= error + both[1, 0]:
                raise ArithmeticError
            both[:, 0] = drive, error
        return both

    def _drive(self, alignment: Expr, tolerance: float) -> tuple[float, float]:
        """E[Z sigma'(mu Z) (phi(Z) - own(mu Z))] and its error."""
        if self.links is None:
            raise ArithmeticError
        student, own, teacher = self.links
        inside, slope = own.subs(x, alignment * x), student.diff(x).subs(x, alignment * x)
        drive = quadrature.mean(x * slope * (teacher - inside), 0.0, 1.0, tolerance=tolerance)
        return float(drive.value), float(drive.error) + self._rounding

    @cached_property
    def _rounding(self) -> float:
        """Of the difference in that integral, where mu is near 1: by Cauchy and Schwarz."""
        assert self.links is not None
        student, own, teacher = self.links
        lever, *norms = (
            math.sqrt(float(quadrature.mean(f**2, 0.0, 1.0).value)) for f in (x * student.diff(x), own, teacher)
        )
        return DIFFERENCE_ROUNDING * UNIT_ROUNDING * lever * sum(norms)


@dataclass(frozen=True, eq=False)
class Piece:
    """Chebyshev coefficients of both functions (one column each) between two coordinates, and their errors."""

    low: float
    high: float
    coefficients: Array
    errors: Array

    def __call__(self, t: Array) -> Array:
        """Return both functions, rows of two."""
        s = (2 * t - self.low - self.high) / (self.high - self.low)
        return np.asarray(chebyshev.chebval(s, self.coefficients), np.float64)


def interpolated(
    parts: tuple[Expr, Expr],
    at: Mapping[Symbol, float],
    mu: Array,
    rho: Array,
    inside: NDArray[np.bool_],
    tolerance: float,
    links: tuple[Expr, Expr, Expr] | None = None,
) -> tuple[Array, Array]:
    """Return both parts and their errors over points, rows of two; infinite errors where there is no surrogate.

    Args:
        parts: A and B, or L_q and L_r.
        at: a value for each argument; those of mu and rho are replaced.
        mu: alignments.
        rho: lengths, |mu| where w0 is aligned.
        inside: which points are asked for.
        tolerance: of tau, relative.
        links: student, its part of the residual and teacher as functions of x, where w0 is aligned and A is what they
            give.
    """
    values, errors = np.full((2, len(mu)), np.nan), np.full((2, len(mu)), np.inf)
    aligned = rho_symbol not in at
    if not inside.any() or not (aligned or np.ptp(rho[inside]) == 0):
        return values, errors
    length = None if aligned else float(rho[inside][0])
    fixed = {mu_symbol: 0.0, rho_symbol: length or 0.0}
    line = Line(parts, tuple(at), tuple(fixed.get(symbol, number) for symbol, number in at.items()), length, links)
    t = line.coordinate(np.where(inside, mu, 1.0 if aligned else 0.0))
    for piece, here in _shared(line.pieces(t), inside):
        for fine in (False, True):
            if (table := tabulated(line, piece, tolerance, fine=fine)) is not None:
                values[:, here], errors[:, here] = table(t[here]), table.errors[:, None]
                if _short(line, values[:, here], table.errors, mu[here], tolerance) < LEAST:
                    break
    return values, errors


def _short(line: Line, values: Array, errors: Array, mu: Array, tolerance: float) -> int:
    """Return at how many points tau is probably not known to the tolerance."""
    first, second = values
    size, wide, weight = abs(first), abs(second), 0.0
    if line.rho is not None:
        size = np.sqrt((first + 2 * mu * second) ** 2 + 4 * (line.rho**2 - mu**2).clip(0) * second**2)
        wide, weight = 2 * wide, 2 * line.rho
    far, near = errors[0] + weight * errors[1], errors[1]
    lost = (SHARE * far > tolerance * size) | (SHARE * near > tolerance * np.maximum(wide, size))
    return int(np.count_nonzero(lost))


def _shared(pieces: Array, inside: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the pieces with enough points, and the indices of these."""
    for piece in np.unique(pieces[inside]):
        here = np.flatnonzero(inside & (pieces == piece))
        if len(here) >= LEAST and piece < SMALLEST:
            yield int(piece), here


@lru_cache(maxsize=512)
def tabulated(line: Line, piece: int, tolerance: float, *, fine: bool = False) -> Piece | None:
    """Return the surrogate of a piece, of `fine` nodes or not, None where these fail; kept for the process.

    >>> from theory.network.derivation import derive
    >>> escape = derive("tanh").escape
    >>> table = tabulated(Line((escape.A, escape.B), (mu_symbol,), (0.0,), None), 0, 1e-10)
    >>> len(table.coefficients), bool(table.errors.max() < 1e-12)
    (24, True)
    """
    first = FEW_NODES if line.rho is None and piece == -2 else NODES
    for finer in dict.fromkeys((min(float(FINEST_INTEGRAL), tolerance), tolerance / 10)):
        try:
            return _resolved(lambda t, finer=finer: line.sample(t, finer, fine=fine), line.ends(piece), first)
        except (QuadratureError, ArithmeticError):
            continue
    return None


Sample = Callable[[float], Array]


def _resolved(sample: Sample, ends: tuple[float, float], count: int) -> Piece:
    """Double the nodes until the interpolation adds less than they are uncertain by, or there are too many."""
    checks = np.array([sample(_place(*ends, s)) for s in CHECKED])
    while True:
        piece, rest = _interpolant(sample, ends, count, checks)
        if np.all(2 * rest <= piece.errors) or 2 * count > MOST_NODES:
            return piece
        count *= 2


def _interpolant(sample: Sample, ends: tuple[float, float], count: int, checks: Array) -> tuple[Piece, Array]:
    """Return the interpolant at so many nodes, and the part of its error that more nodes would mend."""
    low, high = ends
    angles = np.pi * (np.arange(count) + 0.5) / count
    samples = np.array([sample(_place(low, high, s)) for s in np.cos(angles)])
    if not np.isfinite(samples).all():
        raise ArithmeticError
    coefficients = 2 / count * np.cos(np.outer(np.arange(count), angles)) @ samples[:, 0]
    coefficients[0] /= 2
    known = (1 + 2 / math.pi * math.log(count)) * samples[:, 1].max(axis=0)
    known += 4 * count * UNIT_ROUNDING * abs(coefficients).sum(axis=0)
    piece = Piece(low, high, coefficients, known)
    apart = abs(piece(_place(low, high, np.array(CHECKED))).T - checks[:, 0]) - checks[:, 1] - known
    rest = np.maximum(
        INTERPOLATION_TAIL * abs(coefficients[-TAIL:]).max(axis=0), INTERPOLATION_CHECK * apart.max(axis=0)
    )
    return Piece(low, high, coefficients, known + rest), rest


def _place(low: float, high: float, s: Any) -> Any:
    return 0.5 * (low + high) + 0.5 * (high - low) * s
