r"""The mpmath oracle: Gaussian expectations by quadrature to any number of digits.

It knows no closed form and shares no rule with the derivation, so that tests may set one against the other. It is
slow and meant to be. Smooth functions meet the trapezoidal rule, others Gauss-Legendre panels between their kinks, and
every rule is refined until two successive ones agree. In two dimensions that is one tensor grid in (l, l*) against the
bivariate density, or, where r - q^2 is so small that the density is a ridge, an integral over l of conditional means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise

import mpmath
import sympy as sp
from sympy import Expr

from theory.errors import ParameterError, QuadratureError
from theory.pieces import pieces
from theory.removable import evaluator

__all__ = ["kernel", "mean"]

Number = Expr | float | str

STEP = mpmath.mpf(1) / 2
REFINEMENT = mpmath.mpf(3) / 2
SMOOTH_LEVELS = 13  # steps down to 1/2 / 1.5^12 = 0.0039
FINEST_LEVEL = 18  # in one dimension, for functions with poles near the real line
PANEL_LEVELS = 7  # 64 panels between two cuts
ONE = mpmath.mpf(1)
PROBES = tuple(mpmath.mpf(k) / 2 + mpmath.mpf(1) / 7 for k in range(-10, 10))
RIDGE = 8  # below r/8, r - q^2 makes the density a ridge


def _function(expr: Expr) -> tuple[Callable[[mpmath.mpf], mpmath.mpf], list[mpmath.mpf], mpmath.mpf]:
    """Return the function, its cuts, and where these end to be known."""
    split = pieces(expr)
    branches = [evaluator(branch) for branch in split.branches]
    cuts = [_number(c) for c in split.breakpoints]

    def f(z: mpmath.mpf) -> mpmath.mpf:
        return branches[sum(z > c for c in cuts)](z)

    return f, cuts, mpmath.mpf(float(split.window))


def _number(value: Number) -> mpmath.mpf:
    digits = mpmath.mp.dps + 5
    return mpmath.mpmathify(sp.sympify(value).evalf(digits)) if isinstance(value, Expr) else mpmath.mpf(value)


Rule = list[tuple[mpmath.mpf, mpmath.mpf]]


def _reach(*laws: tuple[Callable[[mpmath.mpf], mpmath.mpf], mpmath.mpf]) -> mpmath.mpf:
    """Return where exp(-z^2/2) f(s z) has fallen below the working precision for the product of all (f, s) given.

    That is beside its largest value, where that is below 1.
    """
    base = reach = mpmath.sqrt(2 * mpmath.mp.dps * mpmath.log(10)) + 1
    for f, scale in laws:
        peak = max(abs(f(scale * z)) * _density(z) for z in PROBES)
        floor, far = mpmath.mpf(10) ** -mpmath.mp.dps * min(1, peak or 1), base
        while far < 3 * base and max(abs(f(side * scale * far)) for side in (-1, 1)) * _density(far) > floor:
            far += 1
        reach += far - base
    return reach


def _uniform(step: mpmath.mpf, reach: mpmath.mpf) -> Rule:
    count = int(reach / step) + 1
    return [(k * step, step) for k in range(-count, count + 1)]


def _rule(cuts: Sequence[mpmath.mpf], scale: mpmath.mpf, reach: mpmath.mpf, level: int) -> Rule:
    """Return (node, weight) pairs on the line: trapezoidal where nothing is cut, else Gauss-Legendre between cuts.

    On the whole line the trapezoidal rule converges geometrically for analytic integrands (Trefethen & Weideman 2014).
    """
    return _panels(cuts, scale * reach, level) if cuts else _uniform(scale * STEP / REFINEMENT**level, scale * reach)


def _panels(cuts: Sequence[mpmath.mpf], reach: mpmath.mpf, level: int) -> Rule:
    """Return Gauss-Legendre panels, 2^level of them between two neighbouring cuts."""
    ends, found = [-reach, *sorted({c for c in cuts if -reach < c < reach}), reach], []
    for a, b in pairwise(ends):
        half = (b - a) / 2 ** (level + 1)
        for middle in (a + (2 * k + 1) * half for k in range(2**level)):
            found += [(middle + half * z, half * w) for z, w in _legendre(mpmath.mp.prec)]
    return found


@lru_cache(maxsize=16)
def _legendre(precision: int) -> Rule:
    """Return the 48 nodes and weights of a panel on [-1, 1], at the working precision in bits."""
    return mpmath.calculus.quadrature.GaussLegendre(mpmath.mp).calc_nodes(5, precision)


def _converge(
    integrate: Callable[[int], mpmath.mpf],
    digits: int,
    smooth: bool,
    size: mpmath.mpf,
    levels: int = SMOOTH_LEVELS,
) -> mpmath.mpf:
    """Refine until two rules agree, to `digits` digits of the value and of min(1, size)."""
    previous, change = integrate(0), mpmath.inf
    for level in range(1, levels if smooth else PANEL_LEVELS):
        value = integrate(level)
        change = abs(value - previous) / (min(ONE, size) + abs(value) or ONE)
        if change <= mpmath.mpf(10) ** -digits:
            return value
        previous = value
    reached = max(0, int(-mpmath.log10(change)))
    raise QuadratureError(
        f"{digits} digits asked of an integral whose successive rules agree to {reached}: ask for at most {reached}."
    )


def _size(f: Callable[[mpmath.mpf], mpmath.mpf], cuts: Sequence[mpmath.mpf], reach: mpmath.mpf) -> mpmath.mpf:
    """Return sqrt(E f(Z)^2), roughly."""
    return mpmath.sqrt(mpmath.fsum(w * f(z) ** 2 * _density(z) for z, w in _rule(cuts, ONE, reach, 0)))


def _density(z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)


def mean(f: Expr, mean: Number, variance: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(M + sqrt(v) Z) to `digits` digits.

    Raises `QuadratureError`, with the digits reached, where successive rules do not settle.

    >>> from theory.symbols import x
    >>> mpmath.nprint(mean(sp.Max(x, 0), 0, 1, digits=20), 15)
    0.398942280401433
    """
    with mpmath.workdps(digits + 10):
        law, cuts, window = _function(f)
        centre, scale = _number(mean), mpmath.sqrt(_number(variance))
        if scale == 0:
            return law(centre)
        farthest = min(abs(side * window - centre) / scale for side in (-1, 1))
        return _line(lambda z: law(centre + scale * z), [(c - centre) / scale for c in cuts], digits, farthest)


def _line(
    f: Callable[[mpmath.mpf], mpmath.mpf], cuts: Sequence[mpmath.mpf], digits: int, window: mpmath.mpf
) -> mpmath.mpf:
    reach = _reach((f, ONE))
    _check_window(reach, window, digits)
    return _converge(
        lambda level: mpmath.fsum(w * f(z) * _density(z) for z, w in _rule(cuts, ONE, reach, level)),
        digits,
        not cuts,
        _size(f, cuts, reach),
        FINEST_LEVEL,
    )


def _check_window(reach: mpmath.mpf, window: mpmath.mpf, digits: int) -> None:
    """Refuse where kinks of an oscillating function beyond those resolved would count."""
    if reach > window:
        raise QuadratureError(
            f"{digits} digits asked of a function with infinitely many kinks, resolved up to {float(window):.3g} "
            f"standard deviations where {float(reach):.3g} are needed: ask for fewer digits or a smaller variance."
        )


@dataclass(frozen=True)
class _Law:
    """A function with its breakpoints and the standard deviation of its argument."""

    f: Callable[[mpmath.mpf], mpmath.mpf]
    cuts: list[mpmath.mpf]
    deviation: mpmath.mpf

    def size(self, reach: mpmath.mpf) -> mpmath.mpf:
        return _size(lambda z: self.f(self.deviation * z), [c / self.deviation for c in self.cuts], reach)


def kernel(f: Expr, g: Expr, q: Number, r: Number, *, digits: int = 30) -> mpmath.mpf:
    """Return E f(l) g(l*) for centred (l, l*) with covariance [[r, q], [q, 1]], edges r = q^2 included.

    Raises `ParameterError` for q^2 > r, `QuadratureError` (with the digits reached) where successive rules do not
    settle.

    >>> from theory.symbols import x
    >>> mpmath.nprint(kernel(sp.erf(x), sp.erf(x), "0.3", "0.8", digits=15), 12)
    0.137842397237
    """
    with mpmath.workdps(digits + 10):
        overlap, variance = _number(q), _number(r)
        (law, cuts, window), (target, others, last) = _function(f), _function(g)
        left, right = _Law(law, cuts, mpmath.sqrt(variance)), _Law(target, others, ONE)
        gap = variance - overlap**2
        tiny = mpmath.mpf(10) ** (-digits)
        if gap < -tiny:
            raise ParameterError(f"q = {q}, r = {r} given; accepted: q^2 <= r, a covariance matrix.")
        if gap <= tiny * variance / 1000:  # l = q l*, up to the rounding of numbers given to a few digits more
            cuts = [*right.cuts, *([c / overlap for c in left.cuts] if overlap else [])]
            farthest = min(last, window / abs(overlap) if overlap else mpmath.inf)
            return _line(lambda z: left.f(overlap * z) * right.f(z), cuts, digits, farthest)
        reach = _reach((left.f, left.deviation), (right.f, right.deviation))
        _check_window(reach, min(last, window / left.deviation), digits)
        if gap * RIDGE > variance:
            rule = partial(_tensor, left, right, overlap, gap, reach)
        elif right.cuts:
            rule = partial(_conditional, left, right, overlap, gap, reach)
        else:
            rule = partial(_conditional, right, left, overlap, gap, reach)
        return _converge(rule, digits, not (left.cuts or right.cuts), left.size(reach) * right.size(reach))


def _tensor(left: _Law, right: _Law, overlap: mpmath.mpf, gap: mpmath.mpf, reach: mpmath.mpf, level: int) -> mpmath.mpf:
    """Sum over the tensor grid in (l, l*), whose lines are the kinks, against the bivariate density."""

    def weighted(law: _Law, other: _Law) -> Rule:
        inverse = other.deviation**2 / (2 * gap)
        return [
            (z, w * law.f(z) * mpmath.exp(-inverse * z * z)) for z, w in _rule(law.cuts, law.deviation, reach, level)
        ]

    rows, columns, tilt = weighted(left, right), weighted(right, left), overlap / gap
    if right.cuts:
        inner = [mpmath.fsum(g * mpmath.exp(tilt * y * z) for z, g in columns) for y, _ in rows]
    else:
        inner = [_exponential_sum(columns, tilt * y) for y, _ in rows]
    return mpmath.fdot((f for _, f in rows), inner) / (2 * mpmath.pi * mpmath.sqrt(gap))


def _exponential_sum(columns: Rule, rate: mpmath.mpf) -> mpmath.mpf:
    """Return sum_k g_k exp(rate z_k) on a uniform grid, by Horner's rule in exp(rate h)."""
    base, total = mpmath.exp(rate * (columns[1][0] - columns[0][0])), mpmath.mpf(0)
    for _, g in reversed(columns):
        total = total * base + g
    return total * mpmath.exp(rate * columns[0][0])


def _conditional(
    inner: _Law, outer: _Law, overlap: mpmath.mpf, gap: mpmath.mpf, reach: mpmath.mpf, level: int
) -> mpmath.mpf:
    """Integrate the outer function against the inner one's mean given the outer argument, kinks moving with it.

    The inner argument given the outer one is N(slope z, blur^2), z standard; a kink of the inner function is seen
    from outside blurred over blur/slope.
    """
    slope, blur = overlap / outer.deviation, mpmath.sqrt(gap) / outer.deviation
    cuts = [c / outer.deviation for c in outer.cuts]
    if cuts and slope:
        cuts += [c / slope + side * reach * blur / abs(slope) for c in inner.cuts for side in (-1, 0, 1)]
    step = min(mpmath.mpf(0.4) * mpmath.mpf(0.95) ** level, STEP / REFINEMENT**level / blur)
    plain = _uniform(step, reach)

    def mean(centre: mpmath.mpf) -> mpmath.mpf:
        rule = _panels([(c - centre) / blur for c in inner.cuts], reach, level) if inner.cuts else plain
        return mpmath.fsum(w * _density(y) * inner.f(centre + blur * y) for y, w in rule)

    return mpmath.fsum(
        w * _density(z) * outer.f(outer.deviation * z) * mean(slope * z)
        for z, w in _rule(cuts, mpmath.mpf(1), reach, level)
    )
