r"""The mpmath oracle: Gaussian expectations by quadrature to any number of digits.

It knows no closed form and shares no rule with the derivation, so that tests may set one against the other. It is
slow and meant to be. Smooth functions meet the trapezoidal rule, others Gauss-Legendre panels between their kinks, and
every rule is refined until two successive ones agree. In two dimensions that is one tensor grid in (l, l*) against the
bivariate density, or, where r - q^2 is so small that the density is a ridge, an integral over l of conditional means.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise
from operator import mul

import mpmath
import sympy as sp
from sympy import Expr

from theory.calculus.pieces import pieces
from theory.calculus.removable import evaluator
from theory.errors import ParameterError, QuadratureError

__all__ = ["drive", "in_tails", "kernel", "mean"]

Number = Expr | float | str
Function = Callable[[mpmath.mpf], mpmath.mpf]
Rule = list[tuple[mpmath.mpf, mpmath.mpf]]

STEP = mpmath.mpf(1) / 2
REFINEMENT = mpmath.mpf(3) / 2
SMOOTH_LEVELS = 13  # steps down to 1/2 / 1.5^12 = 0.0039
HALVINGS = 11  # in one dimension, steps down to 1/2 / 2^10 = 0.0005 for functions with poles near the real line
PANEL_LEVELS = 7  # 64 panels between two cuts
MOST_POINTS, MOST_PAIRS, MOST_CONDITIONED = 3 * 10**4, 3 * 10**6, 4 * 10**5  # of a rule: seconds
ONE = mpmath.mpf(1)
PROBES = tuple(mpmath.mpf(k) / 2 + mpmath.mpf(1) / 7 for k in range(-10, 10))
FARTHEST = 1000  # standard deviations: what is large there counts as not integrable
FAR = 6  # standard deviations: functions that begin beyond have digits relative to their mean
CANCELLED = (100, 1000, 10_000)  # digits that a function such as 1 - tanh(z)^2 may lose far out
RIDGE = 8  # below r/8, r - q^2 makes the density a ridge


@dataclass(frozen=True)
class _Law:
    """A function with its breakpoints, where these end to be known, and the standard deviation of its argument."""

    branches: tuple[Function | None, ...]
    cuts: list[mpmath.mpf]
    window: mpmath.mpf
    deviation: mpmath.mpf

    @classmethod
    def of(cls, expr: Expr, deviation: mpmath.mpf) -> _Law:
        split = pieces(expr)
        branches = (None if branch == 0 else evaluator(branch) for branch in split.branches)
        window = mpmath.mpf(float(split.window))
        return cls(tuple(branches), [_number(c) for c in split.breakpoints], window, deviation)

    def _branch(self, z: mpmath.mpf) -> Function | None:
        return self.branches[bisect_left(self.cuts, z)]

    def f(self, z: mpmath.mpf) -> mpmath.mpf:
        """Return the function at z."""
        branch = self._branch(z)
        return mpmath.mpf(0) if branch is None else branch(z)

    def is_silent(self, z: mpmath.mpf) -> bool:
        """Whether the function vanishes on the piece that z lies in."""
        return self._branch(z) is None

    def size(self, reach: mpmath.mpf) -> mpmath.mpf:
        """Return sqrt(E f^2), roughly."""
        return _size(lambda z: self.f(self.deviation * z), [c / self.deviation for c in self.cuts], reach)


def _number(value: Number) -> mpmath.mpf:
    digits = mpmath.mp.dps + 5
    return mpmath.mpmathify(sp.sympify(value).evalf(digits)) if isinstance(value, Expr) else mpmath.mpf(value)


def _reach(*laws: tuple[Callable[[mpmath.mpf], mpmath.mpf], mpmath.mpf]) -> mpmath.mpf:
    """Return where exp(-z^2/2) f(s z) has fallen below the working precision for the product of all (f, s) given.

    That is beside its largest value, where that is below 1.
    """
    base = reach = mpmath.sqrt(2 * mpmath.mp.dps * mpmath.log(10)) + 1
    for f, scale in laws:
        peak = max(abs(f(scale * z)) * _density(z) for z in PROBES)
        floor, far = mpmath.mpf(10) ** -mpmath.mp.dps * min(1, peak or 1), base
        while max(abs(f(side * scale * far)) for side in (-1, 1)) * _density(far) > floor:
            far += 1
            if far > FARTHEST:
                raise QuadratureError(
                    f"the integrand is still large {FARTHEST} standard deviations out; accepted are functions that the "
                    "Gaussian integrates: use a smaller variance."
                )
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
    return _between(_ends(cuts, reach), level)


def _ends(cuts: Sequence[mpmath.mpf], reach: mpmath.mpf) -> list[mpmath.mpf]:
    return [-reach, *sorted({c for c in cuts if -reach < c < reach}), reach]


def _between(ends: Sequence[mpmath.mpf], level: int) -> Rule:
    nodes = _legendre(mpmath.mp.prec)
    return [(middle + half * z, half * w) for middle, half in _middles(ends, level) for z, w in nodes]


def _middles(ends: Sequence[mpmath.mpf], level: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Return the middle and the half-width of each panel, 2^level of them between two ends."""
    halves = [(a, (b - a) / 2 ** (level + 1)) for a, b in pairwise(ends)]
    return [(a + (2 * k + 1) * half, half) for a, half in halves for k in range(2**level)]


@lru_cache(maxsize=16)
def _legendre(precision: int) -> Rule:
    """Return the 48 nodes and weights of a panel on [-1, 1], in order, at the working precision in bits."""
    return sorted(mpmath.calculus.quadrature.GaussLegendre(mpmath.mp).calc_nodes(5, precision))


def _converge(
    integrate: Callable[[int], mpmath.mpf],
    digits: int,
    smooth: bool,
    unit: mpmath.mpf,
    levels: int = SMOOTH_LEVELS,
) -> mpmath.mpf:
    """Refine until two rules agree to so many digits, relative to min(1, unit) plus the modulus of the value."""
    unit = min(ONE, unit)
    value, change = integrate(0), mpmath.inf
    for level in range(1, levels if smooth else PANEL_LEVELS):
        try:
            finer = integrate(level)
        except _TooLongError:
            break
        change = abs(finer - value) / (unit + abs(finer)) if finer != value else mpmath.mpf(0)
        value = finer
        if change <= mpmath.mpf(10) ** -digits:
            return value
    reached = max(0, int(-mpmath.log10(change))) if change < 1 else 0
    raise QuadratureError(
        f"{digits} digits asked of an integral whose successive rules agree to {reached}: ask for at most {reached}.",
        reached,
        (value, change * (unit + abs(value))),
    )


class _TooLongError(Exception):
    """A finer rule would take more evaluations than its bound."""


def _check_length(points: int, most: int) -> None:
    if points > most:
        raise _TooLongError


def _size(f: Function, cuts: Sequence[mpmath.mpf], reach: mpmath.mpf) -> mpmath.mpf:
    """Return sqrt(E f(Z)^2), roughly."""
    return mpmath.sqrt(mpmath.fsum(w * f(z) ** 2 * _density(z) for z, w in _rule(cuts, ONE, reach, 0)))


def _check_window(reach: mpmath.mpf, window: mpmath.mpf, digits: int) -> None:
    """Refuse where kinks of an oscillating function beyond those resolved would count."""
    if reach > window:
        raise QuadratureError(
            f"{digits} digits asked of a function with infinitely many kinks, resolved up to {float(window):.3g} "
            f"standard deviations where {float(reach):.3g} are needed: ask for fewer digits or a smaller variance."
        )


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
        centre, scale = _number(mean), mpmath.sqrt(_number(variance))
        law = _Law.of(f, scale)
        return law.f(centre) if scale == 0 else _integrate(_shifted(law, centre), digits)


def drive(
    own: Expr, slope: Expr, teacher: Expr, mu: Number, *, digits: int = 30, most: int | None = None
) -> mpmath.mpf:
    """Return A = E[Z sigma'(mu Z) (phi(Z) - own(mu Z))], one integral, so that where A is small nothing cancels.

    `own` is sigma, or 0 of the correlation loss; `slope` is sigma', `most` bounds the points of a rule.

    >>> from theory.symbols import x
    >>> mpmath.nprint(drive(sp.erf(x), 2 * sp.exp(-(x**2)) / sp.sqrt(sp.pi), sp.erf(x), "0.5", digits=20), 15)
    0.153611337251537
    """
    with mpmath.workdps(digits + 10):
        scale = _number(mu)
        sigma, bend, phi = _Law.of(own, scale), _Law.of(slope, scale), _Law.of(teacher, ONE)

        def silent(z: mpmath.mpf) -> bool:
            return bend.is_silent(scale * z) or (sigma.is_silent(scale * z) and phi.is_silent(z))

        cuts = sorted({*(c / scale for c in (*sigma.cuts, *bend.cuts)), *phi.cuts})
        window = min(sigma.window / scale, phi.window)
        line = _Line(lambda z: z * bend.f(scale * z) * (phi.f(z) - sigma.f(scale * z)), cuts, silent, window)
        return _integrate(line, digits, most or MOST_POINTS)


def _shifted(law: _Law, centre: mpmath.mpf) -> _Line:
    """Return f(M + s z) as a function of z."""
    scale = law.deviation
    cuts = [(c - centre) / scale for c in law.cuts]
    window = min(abs(side * law.window - centre) / scale for side in (-1, 1))
    return _Line(lambda z: law.f(centre + scale * z), cuts, lambda z: law.is_silent(centre + scale * z), window)


@dataclass(frozen=True)
class _Line:
    """A function of a standard normal variable: its breakpoints, where it vanishes, how far breakpoints are known."""

    f: Function
    cuts: list[mpmath.mpf]
    is_silent: Callable[[mpmath.mpf], bool]
    window: mpmath.mpf

    @property
    def support(self) -> mpmath.mpf:
        """How far from 0 the function begins; 0 where it does not vanish around 0."""
        inner = sorted({mpmath.mpf(0), *(abs(c) for c in self.cuts)})
        for a, b in pairwise([*inner, inner[-1] + 1]):
            if not all(self.is_silent(side * (a + b) / 2) for side in (-1, 1)):
                return a
        return mpmath.mpf(0)

    def tails(self) -> list[mpmath.mpf] | None:
        """Return panel edges in a Gaussian's tails: what is outside of them is below the working precision.

        None where the function is not zero all over the bulk. On a tail exp(-z^2/2) falls off like exp(-h z), h the
        distance of the support; panels follow it, so that a value of any size has all its digits.
        """
        near = self.support
        if near < FAR:
            return None
        floor = mpmath.mp.dps * mpmath.log(10)
        reach = mpmath.sqrt(near**2 + 2 * floor) - near
        for side in (-1, 1):
            while self._height(side * (near + reach), near) > -floor and reach < 3 * near:
                reach *= mpmath.mpf(5) / 4
        ends = {side * z for side in (-1, 1) for z in (near, near + reach / 4, near + reach)}
        return sorted({*ends, *(c for c in self.cuts if near <= abs(c) < near + reach)})

    def _height(self, z: mpmath.mpf, near: mpmath.mpf) -> mpmath.mpf:
        """log |f(z)| of the integrand against its density at the beginning of the support."""
        value = abs(self.f(z))
        return (near**2 - z * z) / 2 + mpmath.log(value) if value else -mpmath.inf

    def rule(self, edges: list[mpmath.mpf] | None, reach: mpmath.mpf, level: int) -> Rule:
        """Return (node, weight) pairs: in the tails between `edges`, else on the whole line."""
        if edges is None:
            return _rule(self.cuts, ONE, reach, level)
        ends = sorted({*edges, *(c for c in self.cuts if edges[0] < c < edges[-1])})
        return [(z, w) for z, w in _between(ends, level) if not self.is_silent(z)]


def _integrate(line: _Line, digits: int, most: int = MOST_POINTS) -> mpmath.mpf:
    edges, reach = line.tails(), _reach((line.f, ONE))
    _check_window(reach if edges is None else edges[-1], line.window, digits)

    def total(level: int, precision: int) -> mpmath.mpf:
        nodes = line.rule(edges, reach, level)
        if level:
            _check_length(len(nodes), most)
        with mpmath.workdps(precision):
            return mpmath.fsum(w * line.f(z) * _density(z) for z, w in nodes)

    base = mpmath.mp.dps
    if edges is None:
        size = _size(line.f, line.cuts, reach)
        if line.cuts:
            return _converge(partial(total, precision=base), digits, False, size)
        return _converge(_Halving(line.f, reach, most), digits, True, size, HALVINGS)
    failure = QuadratureError(f"{digits} digits asked of an integral whose function cancels more: ask for fewer.", 0)
    rough = None
    for precision in (base, *(base + extra for extra in CANCELLED)):
        before, rough = rough, total(1, precision)
        if before is not None and abs(rough - before) <= abs(rough) * mpmath.mpf(10) ** -digits:
            break  # not lost to cancellation
        try:
            value = _converge(partial(total, precision=precision), digits, False, mpmath.mpf(0))
        except QuadratureError as error:
            failure = error
            continue
        if value:
            return value
    raise failure


@dataclass
class _Halving:
    """The trapezoidal rule on the whole line, whose every level keeps the points of the one before it."""

    f: Function
    reach: mpmath.mpf
    most: int
    total: mpmath.mpf = field(default_factory=mpmath.mpf)

    def __call__(self, level: int) -> mpmath.mpf:
        """Return the rule of step 1/2 / 2^level; levels are asked for in order."""
        step = STEP / 2**level
        count = int(self.reach / step) + 1
        if level:
            _check_length(2 * count + 1, self.most)
        new = (k * step for k in range(-count, count + 1) if k % 2 or not level)
        self.total += mpmath.fsum(self.f(z) * _density(z) for z in new)
        return step * self.total


def in_tails(f: Expr, mean: Number, variance: Number) -> bool:
    """Whether f(M + sqrt(v) Z) vanishes all over the bulk, so that its mean here has relative digits, not absolute.

    >>> from theory.symbols import x
    >>> in_tails(sp.Max(x - 1, 0), 0, sp.Rational(1, 100)), in_tails(sp.Max(x - 1, 0), 0, 1)
    (True, False)
    """
    centre, scale = _number(mean), mpmath.sqrt(_number(variance))
    return scale > 0 and _shifted(_Law.of(f, scale), centre).support >= FAR


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
        left, right = _Law.of(f, mpmath.sqrt(variance)), _Law.of(g, ONE)
        gap = variance - overlap**2
        tiny = mpmath.mpf(10) ** (-digits)
        if gap < -tiny * max(1, variance):
            raise ParameterError(f"q = {q}, r = {r} given; accepted: q^2 <= r, a covariance matrix.")
        if gap <= tiny * variance / 1000:  # l = q l*, up to the rounding of numbers given to a few digits more
            cuts = [*right.cuts, *([c / overlap for c in left.cuts] if overlap else [])]
            return _integrate(
                _Line(
                    lambda z: left.f(overlap * z) * right.f(z),
                    cuts,
                    lambda z: left.is_silent(overlap * z) or right.is_silent(z),
                    min(right.window, left.window / abs(overlap) if overlap else mpmath.inf),
                ),
                digits,
            )
        reach = _reach((left.f, left.deviation), (right.f, right.deviation))
        _check_window(reach, min(right.window, left.window / left.deviation), digits)
        far = [_shifted(law, mpmath.mpf(0)).tails() is not None for law in (left, right)]
        if sum(far) == 1:
            outer, inner = (left, right) if far[0] else (right, left)
            return _converge(partial(_conditional, inner, outer, overlap, gap, reach), digits, False, mpmath.mpf(0))
        unit = left.size(reach) * right.size(reach)
        if gap * RIDGE > variance and not (left.cuts or right.cuts):
            rule = partial(_lattice, left, right, overlap, gap, reach, unit)
        elif gap * RIDGE > variance:
            rule = partial(_tensor, *((left, right) if right.cuts else (right, left)), overlap, gap, reach)
        elif right.cuts:
            rule = partial(_conditional, left, right, overlap, gap, reach)
        else:
            rule = partial(_conditional, right, left, overlap, gap, reach)
        return _converge(rule, digits, not (left.cuts or right.cuts), unit)


def _lattice(
    left: _Law,
    right: _Law,
    overlap: mpmath.mpf,
    gap: mpmath.mpf,
    reach: mpmath.mpf,
    unit: mpmath.mpf,
    level: int,
) -> mpmath.mpf:
    """Sum over one grid in both standardised arguments, for smooth functions.

    With correlation c, a^2 - 2 |c| a b + b^2 = (1 - |c|) (a^2 + b^2) + |c| (a - b)^2: beside a factor of each argument
    the density depends on the difference of two indices. No factor exceeds 1 by itself, so that integers hold them all.
    """
    step = STEP / REFINEMENT**level
    count = int(reach / step) + 1
    if level:
        _check_length((2 * count + 1) ** 2, MOST_PAIRS)
    variance = left.deviation**2
    narrow, c = gap / variance, abs(overlap) / left.deviation
    points = [k * step for k in range(-count, count + 1)]
    wide = [mpmath.exp(-a * a / (2 * (1 + c))) for a in points]
    rows = [left.f(left.deviation * a) * w for a, w in zip(points, wide, strict=True)]
    columns = [right.f(a if overlap > 0 else -a) * w for a, w in zip(points, wide, strict=True)]
    half = [mpmath.exp(-c * (k * step) ** 2 / (2 * narrow)) for k in range(2 * count + 1)]
    floor = max(min(ONE, unit), mpmath.ldexp(1, -mpmath.mp.prec))
    most = [max(map(abs, values)) for values in (rows, columns)]
    bits = mpmath.mp.prec + 8 + max(0, mpmath.mag(most[0] * most[1] * len(points) ** 2 / floor))
    first, second, bell = (_integers(values, bits) for values in (rows, columns, [*reversed(half), *half[1:]]))
    total = sum(f * sum(map(mul, second, bell[-len(points) - j :][: len(points)])) for j, f in enumerate(first) if f)
    return mpmath.ldexp(total, -3 * bits) * step**2 / (2 * mpmath.pi * mpmath.sqrt(narrow))


def _integers(values: Sequence[mpmath.mpf], bits: int) -> list[int]:
    """Return the values in units of 2^-bits."""
    return [mpmath.libmp.to_fixed(value._mpf_, bits) for value in values]


def _tensor(
    rows: _Law, columns: _Law, overlap: mpmath.mpf, gap: mpmath.mpf, reach: mpmath.mpf, level: int
) -> mpmath.mpf:
    """Sum over the tensor grid in (l, l*), whose lines are the kinks, against the bivariate density.

    In a row the exponential of a node is that of its panel's middle times that of its place in a panel of this width.
    """
    tilt, steep = overlap / gap, [law.deviation**2 / (2 * gap) for law in (columns, rows)]
    lines = _rule(rows.cuts, rows.deviation, reach, level)
    middles = _middles(_ends(columns.cuts, columns.deviation * reach), level)
    nodes = _legendre(mpmath.mp.prec)
    if level:
        _check_length(len(lines) * len(middles) * len(nodes), MOST_PAIRS)
    panels: dict[mpmath.mpf, list[tuple[mpmath.mpf, list[mpmath.mpf]]]] = {}
    for middle, half in middles:
        there = [(middle + half * z, half * w) for z, w in nodes]
        heights = [w * columns.f(z) * mpmath.exp(-steep[1] * z * z) for z, w in there]
        if any(heights):
            panels.setdefault(half, []).append((middle, heights))

    def row(rate: mpmath.mpf) -> mpmath.mpf:
        parts = []
        for half, group in panels.items():
            upper = [mpmath.exp(rate * half * z) for z, _ in nodes[len(nodes) // 2 :]]
            waves = [*(1 / wave for wave in reversed(upper)), *upper]
            parts += [mpmath.exp(rate * middle) * mpmath.fdot(heights, waves) for middle, heights in group]
        return mpmath.fsum(parts)

    heights = ((y, w * rows.f(y) * mpmath.exp(-steep[0] * y * y)) for y, w in lines)
    total = mpmath.fsum(height * row(tilt * y) for y, height in heights if height)
    return total / (2 * mpmath.pi * mpmath.sqrt(gap))


def _conditional(
    inner: _Law, outer: _Law, overlap: mpmath.mpf, gap: mpmath.mpf, reach: mpmath.mpf, level: int
) -> mpmath.mpf:
    """Integrate the outer function against the inner one's mean given the outer argument, kinks moving with it.

    The inner argument given the outer one is N(slope z, blur^2), z standard; a kink of the inner function is seen
    from outside blurred over blur/slope.
    """
    slope, blur = overlap / outer.deviation, mpmath.sqrt(gap) / outer.deviation
    line = _shifted(outer, mpmath.mpf(0))
    cuts = [c / outer.deviation for c in outer.cuts]
    if cuts and slope:
        cuts += [c / slope + side * reach * blur / abs(slope) for c in inner.cuts for side in (-1, 0, 1)]
    step = min(mpmath.mpf(0.4) * mpmath.mpf(0.95) ** level, STEP / REFINEMENT**level / blur)
    plain = _uniform(step, reach)
    around = replace(line, cuts=cuts).rule(line.tails(), reach, level)
    if level:
        across = len(_legendre(mpmath.mp.prec)) * 2**level * (len(inner.cuts) + 1) if inner.cuts else len(plain)
        _check_length(len(around) * across, MOST_CONDITIONED)

    def mean(centre: mpmath.mpf) -> mpmath.mpf:
        rule = _panels([(c - centre) / blur for c in inner.cuts], reach, level) if inner.cuts else plain
        return mpmath.fsum(w * _density(y) * inner.f(centre + blur * y) for y, w in rule)

    return mpmath.fsum(w * _density(z) * outer.f(outer.deviation * z) * mean(slope * z) for z, w in around)
