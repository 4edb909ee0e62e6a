"""Gaussian expectations of functions written by hand, to any number of digits, by mpmath alone.

An oracle that shares no line with what it judges: nothing of theory, numerics, hermescape or SymPy is imported. A
function is a list of smooth branches between given cuts; derivatives are those of jets (value, first, second), never
symbolic. Integrals are sums of Gauss-Legendre rules over panels that end at every cut and shrink geometrically towards
every narrow feature that is given, each bisected until two orders agree.

`Aligned`, `Pair` and the rest of this module return every number twice, by formulas that differ: derivatives on the
student or by parts on the teacher, l* given l or l given l*, sums over Hermite modes, exact rationals.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import factorial
from typing import Any

from mpmath import mp, mpf

Number = int | Fraction | mpf
Branch = Callable[["Jet"], "Jet"]
LOW, HIGH = 48, 72  # orders of the two rules of a panel
REACH = 26  # |z| beyond which a normal density times anything here is below 1e-100 of the integral
FIXED = 800  # bits behind the point in the recurrence of Hermite functions
DEEPEST = 2000


def number(given: Number | Callable[[], mpf]) -> mpf:
    """Return a number at the working precision; doubles are refused, since 0.3 is none."""
    if callable(given):
        return given()
    if isinstance(given, Fraction):
        return mpf(given.numerator) / given.denominator
    if isinstance(given, int | mpf):
        return mpf(given)
    raise TypeError(given)


@dataclass(frozen=True, slots=True)
class Jet:
    """A value with its first and second derivative."""

    v: mpf
    d: mpf
    e: mpf

    def __add__(self, other: Jet | Number) -> Jet:
        if isinstance(other, Jet):
            return Jet(self.v + other.v, self.d + other.d, self.e + other.e)
        return Jet(self.v + number(other), self.d, self.e)

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return Jet(-self.v, -self.d, -self.e)

    def __sub__(self, other: Jet | Number) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Number) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | Number) -> Jet:
        if isinstance(other, Jet):
            return Jet(
                self.v * other.v,
                self.d * other.v + self.v * other.d,
                self.e * other.v + 2 * self.d * other.d + self.v * other.e,
            )
        factor = number(other)
        return Jet(self.v * factor, self.d * factor, self.e * factor)

    __rmul__ = __mul__

    def through(self, f: mpf, first: mpf, second: mpf) -> Jet:
        """Return f of this jet, from f and its derivatives at the value."""
        return Jet(f, first * self.d, second * self.d**2 + first * self.e)

    def inverse(self) -> Jet:
        one = 1 / self.v
        return self.through(one, -(one**2), 2 * one**3)

    def __truediv__(self, other: Jet | Number) -> Jet:
        return self * (other.inverse() if isinstance(other, Jet) else 1 / number(other))

    def __rtruediv__(self, other: Number) -> Jet:
        return self.inverse() * other

    def __pow__(self, power: Number) -> Jet:
        """Return a power; of a negative value only where it is a whole one; at 0 leave out infinite slopes."""
        p = number(power)
        if self.v == 0 and p < 2 and not isinstance(power, int):
            return self * 0
        if isinstance(power, int) and power < 3:
            return {0: self * 0 + 1, 1: self, 2: self * self}[power]
        return self.through(self.v**p, p * self.v ** (p - 1), p * (p - 1) * self.v ** (p - 2))


def variable(value: mpf) -> Jet:
    return Jet(value, mpf(1), mpf(0))


def exp(a: Jet) -> Jet:
    f = mp.exp(a.v)
    return a.through(f, f, f)


def log(a: Jet) -> Jet:
    return a.through(mp.log(a.v), 1 / a.v, -1 / a.v**2)


def sqrt(a: Jet) -> Jet:
    return a ** Fraction(1, 2)


def sin(a: Jet) -> Jet:
    s, c = mp.sin(a.v), mp.cos(a.v)
    return a.through(s, c, -s)


def cos(a: Jet) -> Jet:
    s, c = mp.sin(a.v), mp.cos(a.v)
    return a.through(c, -s, -c)


def tanh(a: Jet) -> Jet:
    t, c = mp.tanh(a.v), 1 / mp.cosh(a.v) ** 2
    return a.through(t, c, -2 * t * c)


def sech(a: Jet) -> Jet:
    t, c = mp.tanh(a.v), 1 / mp.cosh(a.v)
    return a.through(c, -c * t, c * (1 - 2 * c**2))


def logistic(a: Jet) -> Jet:
    """1/(1 + exp(-a)), whose complement has no cancellation."""
    up, down = 1 / (1 + mp.exp(-a.v)), 1 / (1 + mp.exp(a.v))
    return a.through(up, up * down, up * down * (down - up))


def softplus(a: Jet) -> Jet:
    """log(1 + exp(a))."""
    up, down = 1 / (1 + mp.exp(-a.v)), 1 / (1 + mp.exp(a.v))
    return a.through(max(a.v, mpf(0)) + mp.log1p(mp.exp(-abs(a.v))), up, up * down)


def erf(a: Jet) -> Jet:
    first = 2 / mp.sqrt(mp.pi) * mp.exp(-(a.v**2))
    return a.through(mp.erf(a.v), first, -2 * a.v * first)


def density(a: Jet) -> Jet:
    """The standard normal density."""
    return exp(a * a * Fraction(-1, 2)) * (1 / mp.sqrt(2 * mp.pi))


def below(a: Jet) -> Jet:
    """The probability of Z < a, without cancellation for a < 0."""
    first = mp.exp(-(a.v**2) / 2) / mp.sqrt(2 * mp.pi)
    return a.through(mp.erfc(-a.v / mp.sqrt(2)) / 2, first, -a.v * first)


def polynomial(coefficients: Sequence[Number], a: Jet) -> Jet:
    """Return sum_i c_i a^i by Horner's rule."""
    total = a * 0
    for c in reversed(coefficients):
        total = total * a + c
    return total


# --- functions by hand ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """P(x) exp(-k (x - c)^2) between two ends (None: infinite), whose Gaussian smoothing is elementary."""

    coefficients: tuple[Number, ...]
    low: Number | Callable[[], mpf] | None = None
    high: Number | Callable[[], mpf] | None = None
    k: Number = 0
    c: Number = 0

    def smoothed(self, a: Jet, variance: mpf) -> Jet:
        """Return E f(a + sqrt(variance) Z): complete the square, then truncated moments by their recurrence."""
        k, c = number(self.k), number(self.c)
        wide = 1 + 2 * k * variance
        weight = exp((a - c) * (a - c) * (-k / wide)) * (1 / mp.sqrt(wide))
        mean, narrow = (a + 2 * k * variance * c) * (1 / wide), variance / wide
        size = mp.sqrt(narrow)
        ends = [
            None if end is None else ((number(end) - mean) * (1 / size), number(end)) for end in (self.low, self.high)
        ]
        low, high = (None if end is None else end[0] for end in ends)
        moments = [_between(low, high, mean)]
        edges = [None if end is None else (density(end[0]) * size, end[1]) for end in ends]
        for n in range(1, len(self.coefficients)):
            edge = sum(
                (
                    d * (sign * e ** (n - 1))
                    for sign, known in zip((1, -1), edges, strict=True)
                    if known
                    for d, e in [known]
                ),
                mean * 0,
            )
            lower = moments[n - 2] * ((n - 1) * narrow) if n > 1 else mean * 0
            moments.append(mean * moments[n - 1] + lower + edge)
        return weight * sum((m * c for m, c in zip(moments, self.coefficients, strict=True)), mean * 0)


def _between(low: Jet | None, high: Jet | None, like: Jet) -> Jet:
    """Return the probability of low < Z < high."""
    if low is None:
        return like * 0 + 1 if high is None else below(high)
    if high is None:
        return below(-low)
    return below(-low) - below(-high) if low.v > 0 else below(high) - below(low)


Smoothing = Callable[[Jet, mpf], Jet]


@dataclass(frozen=True)
class Hand:
    """A function by hand.

    Attributes:
        text: what a user types.
        branches: one more than there are cuts, each smooth where it holds.
        cuts: where branches meet.
        narrow: (place, scale) of narrow features within the branches.
        smoothed: E f(a + sqrt(D) Z) in closed form, where there is one.
        widths: (place, scale) of the narrow features that its smoothing has besides those of the cuts.
        exact: the coefficients of a polynomial.
    """

    text: str
    branches: tuple[Branch, ...]
    cuts: tuple[Number | Callable[[], mpf], ...] = ()
    narrow: tuple[tuple[Number, Number], ...] = ()
    smoothed: Smoothing | None = None
    exact: tuple[Fraction, ...] | None = None

    def places(self) -> list[mpf]:
        return [number(cut) for cut in self.cuts]

    def branch(self, near: mpf) -> Branch:
        """Return the branch that holds at a place that is no cut."""
        return self.branches[bisect(self.places(), near)] if self.cuts else self.branches[0]

    def jumps(self) -> list[tuple[mpf, mpf, mpf, mpf]]:
        """Return (place, jump, jump of the slope, value half way) at each cut."""
        found = []
        for place, (left, right) in zip(self.places(), pairwise(self.branches), strict=True):
            before, after = left(variable(place)), right(variable(place))
            found.append((place, after.v - before.v, after.d - before.d, (after.v + before.v) / 2))
        return found

    @property
    def has_jump(self) -> bool:
        return any(abs(jump) > mpf(10) ** (8 - mp.dps) * (1 + abs(half)) for _, jump, _, half in self.jumps())


def smooth(
    text: str, f: Branch, narrow: Sequence[tuple[Number, Number]] = (), smoothed: Smoothing | None = None
) -> Hand:
    """Return a function of one branch."""
    return Hand(text, (f,), (), tuple(narrow), smoothed)


def pieces(text: str, cuts: Sequence[Number | Callable[[], mpf]], rows: Sequence[Sequence[Number]]) -> Hand:
    """Return a piecewise polynomial, by the coefficients of each piece."""
    ends = (None, *cuts, None)
    terms = [Term(tuple(row), low, high) for row, (low, high) in zip(rows, pairwise(ends), strict=True) if any(row)]

    def branch(row: Sequence[Number]) -> Branch:
        return lambda a: polynomial(row, a)

    exact = tuple(Fraction(c) for c in rows[0]) if not cuts else None
    return Hand(text, tuple(map(branch, rows)), tuple(cuts), (), smoothing_of(*terms), exact)


def smoothing_of(*parts: Term | Smoothing) -> Smoothing:
    """Return the sum of smoothings."""

    def total(a: Jet, variance: mpf) -> Jet:
        return sum((p.smoothed(a, variance) if isinstance(p, Term) else p(a, variance) for p in parts), a * 0)

    return total


def hermite(n: int) -> tuple[Fraction, ...]:
    """Return the coefficients of He_n by He_{n+1} = x He_n - n He_{n-1}."""
    before, now = [Fraction(0)], [Fraction(1)]
    for k in range(n):
        up = [Fraction(0), *now]
        for i, c in enumerate(before):
            up[i] -= k * c
        before, now = now, up
    return tuple(now)


# --- integrals ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def rule(order: int, precision: int) -> tuple[tuple[mpf, mpf], ...]:
    """Return nodes and weights of Gauss and Legendre, by Newton's method on the recurrence."""
    with mp.workprec(precision + 20):
        found = []
        for i in range(1, order + 1):
            x = mp.cos(mp.pi * (i - mpf(1) / 4) / (order + mpf(1) / 2))
            slope, step = mpf(1), mpf(1)
            while abs(step) > mpf(2) ** (-precision // 2 - 8):
                before, now = mpf(1), x
                for k in range(1, order):
                    before, now = now, ((2 * k + 1) * x * now - k * before) / (k + 1)
                slope = order * (x * now - before) / (x * x - 1)
                step = now / slope
                x -= step
            before, now = mpf(1), x
            for k in range(1, order):
                before, now = now, ((2 * k + 1) * x * now - k * before) / (k + 1)
            slope = order * (x * now - before) / (x * x - 1)
            found.append((+x, 2 / ((1 - x * x) * slope**2)))
    return tuple(found)


Panel = tuple[mpf, mpf]


def panels(
    cuts: Sequence[mpf] = (),
    narrow: Sequence[tuple[mpf, mpf]] = (),
    reach: tuple[mpf, mpf] | None = None,
    step: int = 2,
) -> list[Panel]:
    """Return panels of the line: a grid, the cuts, and a geometric sequence on both sides of every narrow feature."""
    low, high = reach or (mpf(-REACH), mpf(REACH))
    far = max([mpf(0), *cuts, *(c for c, _ in narrow)], key=abs)
    if reach is None and abs(far) > 4:  # integrals that are tails
        low, high = min(low, far - 22), max(high, far + 22)
    points = {mpf(k) for k in range(int(mp.floor(low)), int(mp.ceil(high)) + 1, step)} | {low, high, *cuts}
    for centre, scale in narrow:
        size = scale
        points.add(centre)
        while size < 2:
            points |= {centre - size, centre + size}
            size *= 2
    inside = sorted(p for p in points if low <= p <= high)
    kept = [inside[0]]
    for p in inside[1:]:
        if p - kept[-1] > mpf(10) ** -25:
            kept.append(p)
    return list(pairwise(kept))


@dataclass(frozen=True)
class Integral:
    """Several integrals of one pass: values, and how far two rules differ."""

    values: list[mpf]
    errors: list[mpf]


Integrand = Callable[[mpf], Callable[[mpf], list[mpf]]]
"""Of a place within a panel: the integrand of that panel, whose branches are chosen."""


def _sum(f: Callable[[mpf], list[mpf]], panel: Panel, order: int) -> tuple[list[mpf], list[mpf]]:
    half, middle = (panel[1] - panel[0]) / 2, (panel[1] + panel[0]) / 2
    rows = [[w * half * y for y in f(middle + half * x)] for x, w in rule(order, mp.prec)]
    columns = list(zip(*rows, strict=True))
    return [mp.fsum(c) for c in columns], [mp.fsum(c, absolute=True) for c in columns]


def integrate(f: Integrand, over: Sequence[Panel], digits: int) -> Integral:
    """Integrate over the panels until two orders agree on each to so many digits of the integral of the modulus."""
    first = [(panel, _sum(f((panel[0] + panel[1]) / 2), panel, HIGH)) for panel in over]
    scale = [mp.fsum(c) for c in zip(*(sizes for _, (_, sizes) in first), strict=True)]
    small = [mpf(10) ** -digits * s for s in scale]
    parts: list[list[mpf]] = []
    errors: list[list[mpf]] = []
    waiting, done = list(first), 0
    while waiting:
        panel, (high, sizes) = waiting.pop()
        middle = (panel[0] + panel[1]) / 2
        if all(size < limit / 1000 for size, limit in zip(sizes, small, strict=True)):
            parts.append(high)
            errors.append(sizes)
            continue
        low, _ = _sum(f(middle), panel, LOW)
        gaps = [abs(h - g) for h, g in zip(high, low, strict=True)]
        done += 1
        if done > DEEPEST:
            raise ArithmeticError(f"no agreement near {mp.nstr(middle, 10)}")
        if all(gap <= limit for gap, limit in zip(gaps, small, strict=True)):
            parts.append(high)
            errors.append(gaps)
            continue
        halves = ((panel[0], middle), (middle, panel[1]))
        waiting += [(half, _sum(f((half[0] + half[1]) / 2), half, HIGH)) for half in halves]
    return Integral([mp.fsum(c) for c in zip(*parts, strict=True)], [mp.fsum(c) for c in zip(*errors, strict=True)])


def pdf(z: mpf) -> mpf:
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def _lines(f: Hand, scale: mpf) -> tuple[list[mpf], list[tuple[mpf, mpf]]]:
    """Return the cuts and narrow features of f(scale z)."""
    return [c / scale for c in f.places()], [(number(c) / scale, number(s) / abs(scale)) for c, s in f.narrow]


def _own(f: Hand, scale: mpf) -> list[Panel]:
    return panels(*_lines(f, scale))


# --- of one function ------------------------------------------------------------------------------------------------


def normalised(k: int, z: mpf) -> list[mpf]:
    """Return h_0, ..., h_k at z, h_k = He_k / sqrt(k!)."""
    values = [mpf(1), z]
    for j in range(1, k):
        values.append((z * values[j] - mp.sqrt(j) * values[j - 1]) / mp.sqrt(j + 1))
    return values[: k + 1]


def coefficients(f: Hand, orders: Sequence[int], variance: Fraction, digits: int) -> list[tuple[mpf, mpf, mpf]]:
    """Return (value, the same by parts, error) of sigma_k^[r] = E_r[He_k^[r] f] for each order.

    By parts: E f(s Z) He_k(Z) = s E f'(s Z) He_{k-1}(Z), and E f(s Z) = f(0) + int (P(Z > z) f' over z > 0, minus
    P(Z < z) f' over z < 0), each with the jumps.
    """
    scale = mp.sqrt(number(variance))
    top = max(orders)

    def at(middle: mpf) -> Callable[[mpf], list[mpf]]:
        branch = f.branch(scale * middle)

        def row(z: mpf) -> list[mpf]:
            jet, h, weight = branch(variable(scale * z)), normalised(top, z), pdf(z)
            side = below(variable(-abs(z))).v * (1 if middle > 0 else -1)
            return [
                *(h[k] * jet.v * weight for k in orders),
                *(scale * jet.d * (h[k - 1] * weight if k else side) for k in orders),
            ]

        return row

    cuts, narrow = _lines(f, scale)
    found = integrate(at, panels([*cuts, mpf(0)], narrow), digits)
    rows = []
    for i, k in enumerate(orders):
        factor = mp.sqrt(mp.factorial(k) * number(variance) ** k)
        other = found.values[len(orders) + i]
        if k:
            for place, jump, _, _ in f.jumps():
                other += jump * normalised(k - 1, place / scale)[k - 1] * pdf(place / scale)
            other /= mp.sqrt(k)
        else:
            for place, jump, _, half in f.jumps():
                z = place / scale
                other += jump * below(variable(-abs(z))).v * ((z > 0) - (z < 0)) + (half if z == 0 else 0)
            other += f.branch(mpf(0))(variable(mpf(0))).v if mpf(0) not in cuts else 0
        rows.append((factor * found.values[i], factor * other, factor * found.errors[i]))
    return rows


def squared(f: Hand) -> Hand:
    """Return f^2."""

    def own(branch: Branch) -> Branch:
        def value(a: Jet) -> Jet:
            at = branch(a)
            return at * at

        return value

    exact = None if f.exact is None else tuple(_times(f.exact, f.exact))
    return Hand(f"({f.text})**2", tuple(map(own, f.branches)), f.cuts, f.narrow, None, exact)


# --- a student along the teacher ------------------------------------------------------------------------------------


def tau_of(gradient: mpf, bend: mpf) -> mpf:
    """Return 1/lambda, lambda = (B + sqrt(B^2 + 4 G^2))/2, without cancellation."""
    root = mp.sqrt(bend**2 + 4 * gradient**2)
    return 2 / (bend + root) if bend > 0 else (root - bend) / (2 * gradient**2)


def aligned(f: Hand, phi: Hand, mu: Fraction, digits: int) -> list[tuple[mpf, mpf, mpf]]:
    """Return A and B at w0 = mu w*, each with the same by parts and an error.

    A = E[Z s'(mu Z) (phi(Z) - s(mu Z))], B = -E s'(mu Z)^2 + E[(phi(Z) - s(mu Z)) s''(mu Z)], with the point masses of
    s' and s''. By parts: E[Z s'(mu Z) phi] = -E-like int s(mu z) (z phi pdf)'/mu, E[s''(mu Z) phi] = int s(mu z) (phi
    pdf)''/mu^2, and the student's own terms by E (s^2)(mu Z) (Z^2 - 1).
    """
    m = number(mu)
    jumping = f.has_jump

    def at(middle: mpf) -> Callable[[mpf], list[mpf]]:
        own, link = f.branch(m * middle), phi.branch(middle)

        def row(z: mpf) -> list[mpf]:
            s, jet, weight = own(variable(m * z)), link(variable(z)), density(variable(z))
            inner, square = jet * weight, s.v**2 * (z * z - 1) * weight.v
            gap = (jet.v - s.v) * weight.v
            bend = (s.e * gap - s.d**2 * weight.v) if not jumping else s.e * inner.v - square / (2 * m * m)
            return [
                z * s.d * gap,
                bend,
                -s.v * (inner.v + z * inner.d) / m - square / (2 * m),
                s.v * inner.e / m**2 - square / (2 * m * m),
            ]

        return row

    (own_cuts, own_narrow), (link_cuts, link_narrow) = _lines(f, m), _lines(phi, mpf(1))
    found = integrate(at, panels([*own_cuts, *link_cuts], [*own_narrow, *link_narrow]), digits)
    drive, bend, other_drive, other_bend = found.values
    for place, jump, kink, half in f.jumps():
        z = place / m
        jet = _beside(phi, z)
        drive += jump * z * pdf(z) / m * (jet.v - half)
        bend += kink * (jet.v - (0 if jumping else half)) * pdf(z) / m
        if jumping:
            bend -= jump * (jet.d - z * jet.v) * pdf(z) / m**2
    for z, jump, kink, _ in phi.jumps():
        s = _beside(f, m * z)
        other_drive -= s.v * jump * z * pdf(z) / m
        other_bend += (s.v * (kink - z * jump) - m * s.d * jump) * pdf(z) / m**2
    return [(drive, other_drive, found.errors[0]), (bend, other_bend, found.errors[1])]


def _beside(f: Hand, place: mpf) -> Jet:
    """Return the mean of the jets on both sides of a place, which may be a cut."""
    step = mpf(10) ** -20
    left, right = (f.branch(place + side * step)(variable(place)) for side in (-1, 1))
    return (left + right) * Fraction(1, 2)


# --- of two functions -----------------------------------------------------------------------------------------------

Three = tuple[mpf, mpf, mpf]
"""K, L_q and E s''(l) phi(l*)"""


def nested(f: Hand, phi: Hand, q: Fraction, r: Fraction, digits: int) -> tuple[Three, Three]:
    """Return K = E s(l) phi(l*), L_q and E s''(l) phi(l*), and their errors, with l smoothed given l* = z.

    S(a) = E s(a + sqrt(D) Z), D = r - q^2: K = int phi pdf S(q z), E s''phi = int phi pdf S''(q z), and by parts
    E s'phi' = int phi pdf (z S'(q z) - q S''(q z)).
    """
    assert f.smoothed is not None
    smoothed, c, spread = f.smoothed, number(q), number(r) - number(q) ** 2

    def at(middle: mpf) -> Callable[[mpf], list[mpf]]:
        link = phi.branch(middle)

        def row(z: mpf) -> list[mpf]:
            s, outer = smoothed(variable(c * z), spread), link(variable(z)).v * pdf(z)
            return [outer * s.v, -outer * (z * s.d - c * s.e), outer * s.e]

        return row

    cuts, narrow = _lines(phi, mpf(1))
    found = integrate(at, panels(cuts, [*narrow, *_blurred(f, c, spread)]), digits)
    return tuple(found.values), tuple(found.errors)


def swapped(f: Hand, phi: Hand, q: Fraction, r: Fraction, digits: int) -> tuple[Three, Three]:
    """Return the same with l* smoothed given l = sqrt(r) z: P(a) = E phi(a + sqrt(1 - q^2/r) Z) at a = q z/sqrt(r).

    E s''phi = int s (pdf P)''/r, E s'phi' = -int s (pdf P')'/sqrt(r), the primes of pdf P in z.
    """
    assert phi.smoothed is not None
    smoothed, root = phi.smoothed, mp.sqrt(number(r))
    c, spread = number(q) / root, 1 - number(q) ** 2 / number(r)

    def at(middle: mpf) -> Callable[[mpf], list[mpf]]:
        own = f.branch(root * middle)

        def row(z: mpf) -> list[mpf]:
            s, link = own(variable(root * z)).v, smoothed(variable(c * z), spread)
            weight = density(variable(z))
            product = weight * Jet(link.v, c * link.d, c * c * link.e)
            return [s * product.v, s * (weight.d * link.d + weight.v * link.e * c) / root, s * product.e / root**2]

        return row

    cuts, narrow = _lines(f, root)
    found = integrate(at, panels(cuts, [*narrow, *_blurred(phi, c, spread)]), digits)
    return tuple(found.values), tuple(found.errors)


def _blurred(f: Hand, c: mpf, spread: mpf) -> list[tuple[mpf, mpf]]:
    """Return the narrow features of S(c z)."""
    if not c:
        return []
    size = mp.sqrt(spread)
    features = [(place, size) for place in f.places()] + [(number(p), mp.hypot(number(s), size)) for p, s in f.narrow]
    return [(place / c, width / abs(c)) for place, width in features if width < abs(c) * 2]


def modes(f: Hand, scale: mpf, count: int, order: int, halved: bool) -> list[mpf]:
    """Return c_k = E f(scale Z) h_k(Z), k < count, by one rule for all of them.

    The recurrence runs on integers, 2^-800 their unit: |h_k(z)| <= exp(z^2/4) there, so that its rounding stays small.
    """
    over = panels(*_lines(f, scale), step=1)
    if halved:
        over = [half for a, b in over for half in ((a, (a + b) / 2), ((a + b) / 2, b))]
    nodes: list[int] = []
    now: list[int] = []
    with mp.workprec(FIXED + 40):
        unit = mpf(2) ** FIXED
    for a, b in over:
        half, middle = (b - a) / 2, (a + b) / 2
        branch = f.branch(scale * middle)
        for x, w in rule(order, mp.prec):
            z = middle + half * x
            nodes.append(int(z * unit))
            now.append(int(w * half * branch(variable(scale * z)).v * pdf(z) * unit))
    before = [0] * len(now)
    found = []
    for k in range(count):
        found.append(mpf(sum(now)) / unit)
        with mp.workprec(FIXED + 40):
            up, back = int(unit / mp.sqrt(k + 1)), int(unit * mp.sqrt(mpf(k) / (k + 1)))
        before, now = (
            now,
            [((((z * p) >> FIXED) * up) - back * b) >> FIXED for z, p, b in zip(nodes, now, before, strict=True)],
        )
    return found


def mehler(f: Hand, phi: Hand, q: Fraction, r: Fraction, digits: int) -> tuple[Three, Three]:
    """Return K, L_q and E s''phi as sums over Hermite modes, and how far two rules and the last terms lie apart."""
    root = mp.sqrt(number(r))
    ratio = number(q) / root
    count = int(mp.ceil(digits * mp.log(10) / -mp.log(abs(ratio)))) + 60
    rows = []
    for order, halved in ((HIGH, False), (LOW, True)):
        own = _modes(f, root, count + 2, order, halved)
        link = _modes(phi, mpf(1), count + 2, order, halved)
        terms = [
            [own[k] * link[k] * ratio**k for k in range(count)],
            [-k * own[k] * link[k] * ratio ** (k - 1) / root for k in range(1, count)],
            [mp.sqrt((k + 1) * (k + 2)) * own[k + 2] * link[k] * ratio**k / root**2 for k in range(count)],
        ]
        rows.append([(mp.fsum(t), mp.fsum(t[-40:], absolute=True)) for t in terms])
    values = tuple(value for value, _ in rows[0])
    errors = tuple(abs(v - w) + tail for (v, tail), (w, _) in zip(*rows, strict=True))
    return values, errors


_KNOWN: dict[Any, list[mpf]] = {}


def _modes(f: Hand, scale: mpf, count: int, order: int, halved: bool) -> list[mpf]:
    key = (f.text, mp.nstr(scale, 30), order, halved, mp.prec)
    if len(_KNOWN.get(key, [])) < count:
        _KNOWN[key] = modes(f, scale, count, order, halved)
    return _KNOWN[key]


def at_edge(f: Hand, phi: Hand, q: Fraction, digits: int) -> tuple[mpf, mpf, mpf]:
    """Return K = E s(q Z) phi(Z), where q^2 = r, twice: as it is, and by parts as `coefficients` does."""
    scale = number(q)

    def at(middle: mpf) -> Callable[[mpf], list[mpf]]:
        own, link = f.branch(scale * middle), phi.branch(middle)

        def row(z: mpf) -> list[mpf]:
            s, jet = own(variable(scale * z)), link(variable(z))
            side = below(variable(-abs(z))).v * (1 if middle > 0 else -1)
            return [s.v * jet.v * pdf(z), (scale * s.d * jet.v + s.v * jet.d) * side]

        return row

    (own_cuts, own_narrow), (link_cuts, link_narrow) = _lines(f, scale), _lines(phi, mpf(1))
    over = panels([mpf(0), *own_cuts, *link_cuts], [*own_narrow, *link_narrow])
    found = integrate(at, over, digits)
    other = found.values[1]
    middle = [f.branch(s * scale)(variable(mpf(0))).v * phi.branch(s)(variable(mpf(0))).v for s in _sides()]
    other += sum(middle) / 2
    for z in sorted({*own_cuts, *link_cuts}):
        step = mpf(10) ** -20
        ends = [
            f.branch(scale * (z + side))(variable(scale * z)).v * phi.branch(z + side)(variable(z)).v
            for side in (-step, step)
        ]
        other += (ends[1] - ends[0]) * below(variable(-abs(z))).v * ((z > 0) - (z < 0))
    return found.values[0], other, found.errors[0]


def _sides() -> tuple[mpf, mpf]:
    return -(mpf(10) ** -20), mpf(10) ** -20


# --- polynomials, exactly -------------------------------------------------------------------------------------------


def _times(p: Sequence[Fraction], s: Sequence[Fraction]) -> list[Fraction]:
    product = [Fraction(0)] * (len(p) + len(s) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(s):
            product[i + j] += a * b
    return product


def _slope(p: Sequence[Fraction], times: int = 1) -> list[Fraction]:
    for _ in range(times):
        p = [i * c for i, c in enumerate(p)][1:] or [Fraction(0)]
    return list(p)


def _mean(p: Sequence[Fraction], variance: Fraction = Fraction(1)) -> Fraction:
    """Return E p(sqrt(r) Z), E Z^(2n) = (2n)!/(2^n n!)."""
    return sum(
        (c * Fraction(factorial(i), 2 ** (i // 2) * factorial(i // 2)) * variance ** (i // 2))
        for i, c in enumerate(p)
        if i % 2 == 0
    ) + Fraction(0)


def _scaled(p: Sequence[Fraction], mu: Fraction) -> list[Fraction]:
    return [c * mu**i for i, c in enumerate(p)]


def _minus(p: Sequence[Fraction], s: Sequence[Fraction]) -> list[Fraction]:
    size = max(len(p), len(s))
    return [(p[i] if i < len(p) else Fraction(0)) - (s[i] if i < len(s) else Fraction(0)) for i in range(size)]


def exact_coefficient(p: Sequence[Fraction], k: int, variance: Fraction) -> Fraction:
    """Return sigma_k^[r] = r^k E_r p^(k)."""
    return variance**k * _mean(_slope(p, k), variance)


def exact_aligned(p: Sequence[Fraction], link: Sequence[Fraction], mu: Fraction) -> tuple[Fraction, Fraction]:
    """Return A and B."""
    first, second = _scaled(_slope(p), mu), _scaled(_slope(p, 2), mu)
    gap = _minus(link, _scaled(p, mu))
    drive = _mean([Fraction(0), *_times(first, gap)])
    return drive, _mean(_times(second, gap)) - _mean(_times(first, first))


def exact_pair(
    p: Sequence[Fraction], link: Sequence[Fraction], q: Fraction, r: Fraction
) -> tuple[Fraction, Fraction, Fraction]:
    """Return K, L_q and E s''phi: sums of E_r p^(k) E link^(k) q^k/k!."""
    total = [Fraction(0)] * 3
    for i, first, second in ((0, 0, 0), (1, 1, 1), (2, 2, 0)):
        for k in range(max(len(p), len(link))):
            own, own_link = _mean(_slope(p, k + first), r), _mean(_slope(link, k + second))
            total[i] += own * own_link * q**k / factorial(k)
    return total[0], -total[1], total[2]
