r"""The mpmath oracle: Gaussian expectations by adaptive quadrature to any number of digits.

It knows no closed form and shares no rule with the derivation, so that tests may set one against the other. It is
slow and meant to be. Integrands are split at the breakpoints of their pieces; where the correlation is close to one,
the inner function is a blurred kink and the outer integral is split on the scale of the blur as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import mpmath
import sympy as sp
from sympy import Expr

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


def _panels(cuts: Iterable[mpmath.mpf]) -> list[mpmath.mpf]:
    reach = mpmath.sqrt(2 * mpmath.mp.dps * mpmath.log(10)) + 4
    inside = sorted({*(c for c in cuts if -reach < c < reach), *map(mpmath.mpf, (-6, -3, -1, 1, 3, 6))})
    return [-reach, *inside, reach]


def _density(z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)


def mean(f: Expr, mean: Number, variance: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(M + sqrt(v) Z) to about `digits` digits.

    >>> mpmath.nprint(mean(sp.Max(x, 0), 0, 1, digits=20), 15)
    0.398942280401433
    """
    with mpmath.workdps(digits + 10):
        law, cuts = _function(f)
        centre, scale = _number(mean), mpmath.sqrt(_number(variance))
        if scale == 0:
            return law(centre)
        return mpmath.quad(lambda z: law(centre + scale * z) * _density(z), _panels((c - centre) / scale for c in cuts))


def kernel(f: Expr, g: Expr, q: Number, r: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(l) g(l*) for centred (l, l*) with covariance [[r, q], [q, 1]], edges r = q^2 included.

    >>> mpmath.nprint(kernel(sp.erf(x), sp.erf(x), "0.3", "0.8", digits=15), 12)
    0.138103427889
    """
    with mpmath.workdps(digits + 10):
        left, left_cuts = _function(f)
        right, right_cuts = _function(g)
        overlap, variance = _number(q), _number(r)
        gap = variance - overlap**2
        if gap < -mpmath.mpf(10) ** (-digits + 2):
            raise ValueError(f"q = {overlap}, r = {variance} is no covariance: q^2 <= r is needed")
        scale = mpmath.sqrt(gap) if gap > mpmath.mpf(10) ** (-digits) else mpmath.mpf(0)
        if scale == 0:  # l = q l*
            cuts = [*right_cuts, *((c / overlap for c in left_cuts) if overlap else ())]
            return mpmath.quad(lambda z: left(overlap * z) * right(z) * _density(z), _panels(cuts))

        def inner(y: mpmath.mpf) -> mpmath.mpf:
            return mpmath.quad(
                lambda z: left(overlap * y + scale * z) * _density(z),
                _panels((c - overlap * y) / scale for c in left_cuts),
            )

        blurred = [c / overlap for c in left_cuts] if overlap else []
        width = scale / abs(overlap) if overlap else mpmath.mpf(1)
        graded = [c + sign * step * width for c in blurred for sign in (-1, 1) for step in (0, 1, 3, 6, 12)]
        return mpmath.quad(lambda y: right(y) * inner(y) * _density(y), _panels([*right_cuts, *graded]))
