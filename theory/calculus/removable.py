r"""Removable singularities: quotients such as sin(x)/x as the analytic functions that they are.

A hole is a point at which the formula divides by zero, takes the logarithm of zero or meets a pole of a tangent. With
values of f on a circle around it, the discrete Fourier transform gives the coefficients of its Laurent series,

    c_k = 1/N sum_j f(c + rho w^j) (rho w^j)^-k,   w = exp(2 pi i/N),

and the singularity is removable exactly if those of negative order vanish (Riemann). The radius is halved until they
do and those of high order have decayed, or given up. Around a filled hole, float64 uses the Taylor polynomial, to
which nothing cancels, and mpmath the mean over a circle, which is the value at its centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import mpmath
import sympy as sp
from sympy import Expr, Piecewise, Symbol

from theory.calculus.pieces import Pieces, pieces, real_zeros
from theory.calculus.stable import in_mpmath
from theory.symbols import x

__all__ = ["Filling", "evaluator", "filled", "filling", "fillings", "holes"]

DIGITS = 50
COUNT = 64  # points on the circle
TERMS = 24  # of the Taylor polynomial
RADII = tuple(mpmath.mpf(2) ** -k for k in range(-1, 16))
DECAYED, VANISHED = mpmath.mpf("1e-14"), mpmath.mpf("1e-28")
POLE = 8  # orders of poles that are told from nothing; higher ones fail to decay

Scalar = Callable[[mpmath.mpf], mpmath.mpf]


@dataclass(frozen=True)
class Filling:
    """The analytic function through a hole: sum_k `coefficients[k]` (x - `point`)^k, to 1e-17 within 0.7 `radius`."""

    point: Expr
    radius: mpmath.mpf
    coefficients: tuple[mpmath.mpf, ...]

    def polynomial(self, variable: Symbol) -> Expr:
        """Return the Taylor polynomial in Horner's form."""
        total, step = sp.S.Zero, variable - self.point
        for c in reversed(self.coefficients):
            total = sp.Float(str(c), 20) + step * total
        return total


def holes(branch: Expr) -> tuple[Expr, ...]:
    """Return where a denominator vanishes, a logarithm diverges or a tangent has a pole, from the origin outwards.

    >>> holes(sp.sin(x) / x), holes(sp.exp(x))
    ((0,), ())
    """
    denominators = [p.base for p in branch.atoms(sp.Pow) if p.exp.is_negative]
    logarithms = [node.args[0] for node in branch.atoms(sp.log)]
    poles = [sp.cos(node.args[0]) for node in branch.atoms(sp.tan)]
    points = {zero for h in (*denominators, *logarithms, *poles) for zero in real_zeros(h)}
    return tuple(sorted(points, key=lambda point: (abs(float(point)), float(point))))


@lru_cache(maxsize=1024)
def fillings(branch: Expr) -> tuple[Filling, ...]:
    """Return what fills the removable holes of a smooth branch.

    >>> [part.point for part in fillings((1 - sp.cos(x)) / x**2)], fillings(1 / x)
    ([0], ())
    """
    patched = (filling(branch, point) for point in holes(branch))
    return tuple(part for part in patched if part is not None)


@lru_cache(maxsize=4096)
def filling(branch: Expr, point: Expr) -> Filling | None:
    """Return what fills one hole, or None where it is no removable singularity."""
    f = sp.lambdify(x, branch, "mpmath")
    with mpmath.workdps(DIGITS):
        centre = mpmath.mpmathify(point.evalf(DIGITS + 5))
        for radius in RADII:
            series = _laurent(f, centre, radius)
            if series is not None:
                return Filling(point, radius, tuple(mpmath.re(c) for c in series))
    return None


def _laurent(f: Scalar, centre: mpmath.mpf, radius: mpmath.mpf) -> list[mpmath.mpc] | None:
    """Return c_0, ..., c_{TERMS-1}, or None where the values on this circle are no convergent Taylor series."""
    roots = mpmath.unitroots(COUNT)
    try:
        values = [f(centre + radius * w) for w in roots]
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    if not all(mpmath.isfinite(v) for v in values):
        return None
    scale = max(map(abs, values))

    def scaled(k: int) -> mpmath.mpc:
        return mpmath.fsum(v * roots[(-j * k) % COUNT] for j, v in enumerate(values)) / COUNT

    if any(abs(scaled(-k)) > VANISHED * scale for k in range(1, POLE + 1)):
        return None
    if any(abs(scaled(k)) > DECAYED * scale for k in range(TERMS, COUNT - POLE)):
        return None
    kept = [scaled(k) for k in range(TERMS)]
    return [c / radius**k if abs(c) > VANISHED * scale else mpmath.mpc(0) for k, c in enumerate(kept)]


def filled(expr: Expr, variable: Symbol = x) -> Expr:
    """Return a function for float64 with its removable holes filled; the same expression where it has none.

    >>> near = filled(sp.sin(x) / x)
    >>> near.subs(x, 0), filled(sp.Max(x, 0))
    (1.0000000000000000000, Max(0, x))
    """
    if expr.free_symbols != {variable} or not expr.has(sp.Pow, sp.log, sp.tan):
        return expr
    split = pieces(expr.xreplace({variable: x}))
    branches = tuple(_filled_branch(branch) for branch in split.branches)
    if branches == split.branches:
        return expr
    return Pieces(split.breakpoints, branches).as_expr().xreplace({x: variable})


def _filled_branch(branch: Expr) -> Expr:
    parts = fillings(branch)
    if not parts:
        return branch
    near = [(f.polynomial(x), sp.Abs(x - f.point) < sp.Float(0.7 * f.radius, 15)) for f in parts]
    return Piecewise(*near, (branch, True), evaluate=False)


@lru_cache(maxsize=1024)
def evaluator(branch: Expr) -> Scalar:
    """Return a smooth branch as a function of mpmath numbers, stable and without removable holes.

    >>> f = evaluator(sp.sin(x) / x)
    >>> f(mpmath.mpf(0)), mpmath.nstr(f(mpmath.mpf(2)), 8)
    (mpf('1.0'), '0.45464871')
    """
    f = in_mpmath(branch)
    parts = fillings(branch)
    if not parts:
        return f

    def evaluate(z: mpmath.mpf) -> mpmath.mpf:
        for part in parts:
            if abs(z - mpmath.mpmathify(part.point.evalf(mpmath.mp.dps + 5))) < part.radius / 8:
                return _circle_mean(f, z, part.radius / 2)
        return f(z)

    return evaluate


def _circle_mean(f: Scalar, centre: mpmath.mpf, radius: mpmath.mpf) -> mpmath.mpf:
    """Return f(centre); an error of 0.14^N, since f is analytic to more than seven times the radius."""
    count = mpmath.mp.prec // 2 + 8
    with mpmath.workprec(mpmath.mp.prec + 20):
        mean = mpmath.re(mpmath.fsum(f(centre + radius * w) for w in mpmath.unitroots(count)) / count)
    return +mean
