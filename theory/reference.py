r"""The mpmath oracle: Gaussian expectations by quadrature to any number of digits.

It knows no closed form and shares no rule with the derivation, so that tests may set one against the other. It is
slow and meant to be. Integrands are split at the breakpoints of their pieces; where the correlation is close to one,
the inner function is a blurred kink and the outer integral is split on the scale of the blur as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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


def _rule(cuts: Iterable[mpmath.mpf], level: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Return (node, weight) pairs for E g(Z): trapezoidal where nothing is cut, else Gauss-Legendre between cuts.

    On the whole line the trapezoidal rule converges geometrically for analytic integrands (Trefethen & Weideman 2014).
    """
    reach = mpmath.sqrt(2 * mpmath.mp.dps * mpmath.log(10)) + 1
    inside = sorted({c for c in cuts if -reach < c < reach})
    if not inside:
        h = mpmath.mpf(1) / 2 ** (level + 1)
        return [(k * h, h * _density(k * h)) for k in range(-int(reach / h) - 1, int(reach / h) + 2)]
    edges, rule = [-reach], mpmath.calculus.quadrature.GaussLegendre(mpmath.mp)
    for end in (*inside, reach):
        start, parts = edges[-1], int(mpmath.ceil((end - edges[-1]) / 4))
        edges += [start + (end - start) * (i + 1) / parts for i in range(parts)]
    pairs = zip(edges, edges[1:], strict=False)
    nodes = [node for a, b in pairs for node in rule.get_nodes(a, b, 4 + level, mpmath.mp.prec)]
    return [(z, w * _density(z)) for z, w in nodes]


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
        scaled = [(c - centre) / scale for c in cuts]
        return _converge(lambda k: mpmath.fsum(w * law(centre + scale * z) for z, w in _rule(scaled, k)), digits)


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
        scaled = [c / overlap for c in left_cuts] if overlap else []
        if gap <= tiny:  # l = q l*
            cuts = [*right_cuts, *scaled]
            return _converge(
                lambda k: mpmath.fsum(w * left(overlap * z) * right(z) for z, w in _rule(cuts, k)), digits
            )
        scale = mpmath.sqrt(gap)
        width = scale / abs(overlap) if overlap else mpmath.mpf(1)
        graded = [c + sign * step * width for c in scaled for sign in (-1, 1) for step in (0, 2, 5)]

        def integrate(level: int) -> mpmath.mpf:
            inner = _rule((), level)

            def blurred(y: mpmath.mpf) -> mpmath.mpf:
                cuts = [(c - overlap * y) / scale for c in left_cuts]
                rule = _rule(cuts, level) if cuts else inner
                return mpmath.fsum(w * left(overlap * y + scale * z) for z, w in rule)

            return mpmath.fsum(w * right(y) * blurred(y) for y, w in _rule([*right_cuts, *graded], level))

        return _converge(integrate, digits)
