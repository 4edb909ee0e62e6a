r"""The mpmath oracle: Gaussian expectations by quadrature to any number of digits.

It knows no closed form and shares no rule with the derivation, so that tests may set one against the other. It is
slow and meant to be: one tensor grid in (l, l*) against the bivariate density, split along every kink and refined until
two successive grids agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import mpmath
import sympy as sp
from sympy import Expr

from theory.errors import ParameterError, QuadratureError
from theory.pieces import pieces
from theory.symbols import x

__all__ = ["kernel", "mean"]

Number = Expr | float | str


def _function(expr: Expr) -> tuple[Callable[[mpmath.mpf], mpmath.mpf], list[mpmath.mpf]]:
    split = pieces(expr)
    branches = [sp.lambdify(x, branch, "mpmath") for branch in split.branches]
    cuts = [_number(c) for c in split.breakpoints]

    def f(z: mpmath.mpf) -> mpmath.mpf:
        return branches[sum(z > c for c in cuts)](z)

    return f, cuts


def _number(value: Number) -> mpmath.mpf:
    digits = mpmath.mp.dps + 5
    return mpmath.mpmathify(sp.sympify(value).evalf(digits)) if isinstance(value, Expr) else mpmath.mpf(value)


def _rule(cuts: Sequence[mpmath.mpf], scale: mpmath.mpf, level: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Return (node, weight) pairs on the line: trapezoidal where nothing is cut, else Gauss-Legendre between cuts.

    On the whole line the trapezoidal rule converges geometrically for analytic integrands (Trefethen & Weideman 2014).
    """
    reach = scale * (mpmath.sqrt(2 * mpmath.mp.dps * mpmath.log(10)) + 1)
    if not cuts:
        h = scale / 2 ** (level + 1)
        return [(k * h, h) for k in range(-int(reach / h) - 1, int(reach / h) + 2)]
    edges = [-reach, *sorted({c for c in cuts if -reach < c < reach}), reach]
    rule = mpmath.calculus.quadrature.GaussLegendre(mpmath.mp)
    panels = pairwise(edges)
    return [node for left, right in panels for node in rule.get_nodes(left, right, 5 + level, mpmath.mp.prec)]


def _converge(integrate: Callable[[int], mpmath.mpf], digits: int) -> mpmath.mpf:
    previous = integrate(0)
    for level in range(1, 6):
        value = integrate(level)
        if abs(value - previous) <= mpmath.mpf(10) ** -digits * (1 + abs(value)):
            return value
        previous = value
    raise QuadratureError(f"the reference integral did not settle to {digits} digits: ask for fewer")


def _density(z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)


def mean(f: Expr, mean: Number, variance: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(M + sqrt(v) Z) to `digits` digits.

    Raises `QuadratureError` where successive rules do not settle.

    >>> mpmath.nprint(mean(sp.Max(x, 0), 0, 1, digits=20), 15)
    0.398942280401433
    """
    with mpmath.workdps(digits + 10):
        law, cuts = _function(f)
        centre, scale = _number(mean), mpmath.sqrt(_number(variance))
        if scale == 0:
            return law(centre)
        cut = [(c - centre) / scale for c in cuts]
        return _converge(
            lambda k: mpmath.fsum(w * law(centre + scale * z) * _density(z) for z, w in _rule(cut, mpmath.mpf(1), k)),
            digits,
        )


def kernel(f: Expr, g: Expr, q: Number, r: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(l) g(l*) for centred (l, l*) with covariance [[r, q], [q, 1]], edges r = q^2 included.

    Raises `ParameterError` for q^2 > r, `QuadratureError` where successive rules do not settle.

    >>> mpmath.nprint(kernel(sp.erf(x), sp.erf(x), "0.3", "0.8", digits=15), 12)
    0.137842397237
    """
    with mpmath.workdps(digits + 10):
        left, left_cuts = _function(f)
        right, right_cuts = _function(g)
        overlap, variance = _number(q), _number(r)
        gap = variance - overlap**2
        tiny = mpmath.mpf(10) ** (-digits)
        if gap < -tiny:
            raise ParameterError(f"q = {q}, r = {r} given; accepted: q^2 <= r, a covariance matrix.")
        one = mpmath.mpf(1)
        if gap <= tiny:  # l = q l*
            cuts = [*right_cuts, *([c / overlap for c in left_cuts] if overlap else [])]
            return _converge(
                lambda k: mpmath.fsum(w * left(overlap * z) * right(z) * _density(z) for z, w in _rule(cuts, one, k)),
                digits,
            )

        def integrate(level: int) -> mpmath.mpf:
            """Sum over the tensor grid in (l, l*), whose lines are the kinks, against the bivariate density."""
            rows = [
                (z, w * left(z) * mpmath.exp(-z * z / (2 * gap)))
                for z, w in _rule(left_cuts, mpmath.sqrt(variance), level)
            ]
            columns = [
                (z, w * right(z) * mpmath.exp(-variance * z * z / (2 * gap))) for z, w in _rule(right_cuts, one, level)
            ]
            tilt = overlap / gap
            total = mpmath.fsum(f * mpmath.fsum(g * mpmath.exp(tilt * y * z) for z, g in columns) for y, f in rows)
            return total / (2 * mpmath.pi * mpmath.sqrt(gap))

        return _converge(integrate, digits)
