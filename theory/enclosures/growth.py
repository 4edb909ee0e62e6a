r"""How fast a function may grow, and how slowly: what is left of a Gaussian integral beyond T.

A *bound* is C (1 + x)^n exp(a x + b x^2). `growth` finds, for an expression f in x and all x >= T > 0, bounds U and L
with |f| <= U and |f| >= L, the sign of f where it keeps one, and a range that f does not leave. The side x <= -T is
that of f(-x). Rules go from the leaves up:

    sums      U = (1 + M) U_1 if the sum M of sup U_i/U_1, i > 1, is finite; else C added, maxima of n, a and b
              L = (1 - M) L_1 if the sum M of sup U_i/L_1 over the terms without the sign of the first is below 1
    products  bounds multiply; powers scale the exponents, and a quotient needs L of its denominator
    exp       exact of a polynomial of degree two; exp(high) of a function that does not exceed it
    monotone  tanh, erf, atan, L, asinh, log: the range of the argument gives that of the function
    small     L(g), P(g) <= exp(g) for g < 0;  1/cosh(g) <= 2 exp(-|g|);  erfc(g) <= exp(-g^2) for g > 0

With beta = 1/2 - b > 0 and h(z) = n log(1 + z) + a z - beta z^2, concave for n >= 0,

    int_T^oo C (1 + z)^n exp(a z + b z^2) pdf(z) dz <= C exp(h(T)) / (-h'(T) sqrt(2 pi))    where h'(T) < 0,

and for n < 0 the constant (1 + T)^n stands in place of (1 + z)^n. Exponents and factors are exact numbers, rounded
outwards, so that equal exponents cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, reduce
from typing import cast

import sympy as sp
from flint import arb
from sympy import Expr

from theory.enclosures.balls import constant, precision, real_number
from theory.enclosures.primitives import Csch, Erfc, L, P, Sech, Th, W, prepared
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["Bound", "Growth", "growth", "reflected"]

BITS = 64
ZERO, ONE, INFINITY = arb(0), arb(1), arb.pos_inf()


@dataclass(frozen=True)
class Bound:
    """C (1 + x)^n exp(a x + b x^2), all four exact numbers; C may be infinite."""

    C: arb
    n: arb = ZERO
    a: arb = ZERO
    b: arb = ZERO

    @property
    def above(self) -> Bound:
        """The same, rounded up."""
        return Bound(*(part.upper() for part in self._parts))

    @property
    def below(self) -> Bound:
        """The same, rounded down."""
        return Bound(*(part.lower() for part in self._parts))

    @property
    def _parts(self) -> tuple[arb, arb, arb, arb]:
        return self.C, self.n, self.a, self.b

    def __mul__(self, other: Bound) -> Bound:
        return Bound(self.C * other.C, self.n + other.n, self.a + other.a, self.b + other.b)

    def times(self, factor: arb) -> Bound:
        """Return it times a positive number."""
        return replace(self, C=self.C * factor)

    def __pow__(self, power: arb) -> Bound:
        return Bound(self.C**power, self.n * power, self.a * power, self.b * power)

    def __truediv__(self, other: Bound) -> Bound:
        return self * other**-ONE

    def __call__(self, point: arb) -> arb:
        """Return the value at a point."""
        return self.C * (1 + point) ** self.n * (self.a * point + self.b * point * point).exp()

    def sup(self, T: arb) -> arb:
        """Return what it does not exceed on [T, oo): its value at T where it falls from there on."""
        falls = self.b <= 0 and self.n.max(ZERO) / (1 + T) + self.a + 2 * self.b * T <= 0
        return self(T).upper() if falls else INFINITY

    def inf(self, T: arb) -> arb:
        """Return what it does not fall below on [T, oo): its value at T where it grows from there on."""
        grows = self.b >= 0 and self.n.min(ZERO) / (1 + T) + self.a + 2 * self.b * T >= 0
        return self(T).lower() if grows else ZERO

    def composed(self, shift: arb, scale: arb) -> Bound:
        """Return what bounds f(m + s z) in terms of z >= 0 where it bounds f(x) from above for x = m + s z >= 0; s > 0.

        1 + m + s z is at most (1 + max(m, 0)) max(1, s) (1 + z), and for m >= 0 at least min(1, s) (1 + z).
        """
        C = self.C * (self.a * shift + self.b * shift * shift).exp()
        n, a, b = self.n, self.a * scale + 2 * self.b * shift * scale, self.b * scale**2
        if n >= 0:
            return Bound(C * ((1 + shift.max(ZERO)) * scale.max(ONE)) ** n, n, a, b).above
        return Bound(C * scale.min(ONE) ** n, n, a, b).above if shift >= 0 else Bound(C, ZERO, a, b).above

    def tail(self, T: arb) -> arb:
        """Return a bound on the integral over z > T against the standard normal density; infinite where none is known.

        >>> with precision(64):
        ...     Bound(arb(1)).tail(arb(8)), Bound(arb(1), b=arb(1)).tail(arb(8))
        ([6.3153...e-16 +/- ...], [+/- inf])
        """
        n, C = (self.n, self.C) if self.n >= 0 else (ZERO, self.C * (1 + T) ** self.n)
        beta = arb(0.5) - self.b
        falls = 2 * beta * T - self.a - n / (1 + T)
        if not (beta > 0 and falls > 0):
            return INFINITY
        height = (self.a * T - beta * T**2).exp() * (1 + T) ** n
        return (C * height / (falls * (2 * arb.pi()).sqrt())).upper()

    @staticmethod
    def total(bounds: Sequence[Bound], T: arb) -> Bound:
        """Return what bounds a sum of functions from above on [T, oo)."""
        for i, first in enumerate(bounds):
            others = sum(((bound / first).above.sup(T) for bound in (*bounds[:i], *bounds[i + 1 :])), ZERO)
            if first.C > 0 and others < INFINITY:
                return first.times(1 + others).above
        C = sum((bound.C for bound in bounds), ZERO)
        n, a, b = (reduce(arb.max, parts) for parts in zip(*(bound._parts[1:] for bound in bounds), strict=True))
        return Bound(C, n, a, b).above


@dataclass(frozen=True)
class Growth:
    """What is known of f on [T, oo): L <= |f| <= U, low <= f <= high, and a sign that it keeps (0 where none is known).

    A positive sign says f >= 0; with `lower` f > 0.
    """

    sign: int
    upper: Bound
    lower: Bound | None
    low: arb
    high: arb

    @property
    def is_definite(self) -> bool:
        """Whether f has a sign and no zero."""
        return self.sign != 0 and self.lower is not None


def growth(f: Expr, T: Fraction | int) -> Growth:
    """Return what is known of an expression in x for all x >= T > 0.

    >>> tanh = growth(sp.tanh(x) - sp.Rational(1, 2), 2)
    >>> tanh.sign, tanh.low, tanh.high
    (1, [0.46402... +/- ...], 0.5000...)
    >>> growth(x**2 * sp.exp(3 * x), 2).upper
    Bound(C=1.00..., n=2.00..., a=3.00..., b=0)

    Raises `NotCertifiedError` where no rule applies, maybe for this T only.
    """
    with precision(BITS):
        return _growth(prepared(f), Fraction(T))


def reflected(f: Expr) -> Expr:
    """Return f(-x).

    >>> reflected(sp.Max(x, 0) * x)
    -x*Max(0, -x)
    """
    return f.xreplace({x: -x})


@lru_cache(maxsize=4096)
def _growth(node: Expr, T: Fraction) -> Growth:
    start = real_number(T)
    if not node.has(x):
        value = constant(node)
        low, high = value.lower(), value.upper()
        size = Bound(abs(value))
        return _known(start, 0, size.above, size.below, low, high)
    if node == x:
        return _known(start, 1, Bound(ONE, ONE), Bound(start / (1 + start), ONE).below, start.lower())
    if node.is_polynomial(x):
        return _polynomial([constant(c) for c in reversed(sp.Poly(node, x).all_coeffs())], start)
    rule = _RULES.get(node.func)
    if rule is None:
        raise _unknown(node, T)
    return rule(node, T)


def _unknown(node: Expr, T: Fraction) -> NotCertifiedError:
    return NotCertifiedError(f"not certified: no bound on the growth of {node} beyond {T} is known.")


def _known(T: arb, sign: int, upper: Bound, lower: Bound | None, low: arb = -INFINITY, high: arb = INFINITY) -> Growth:
    """Return a growth in which sign, bounds and range agree."""
    if lower is not None and not lower.C > 0:
        lower = None
    most, least = upper.sup(T), ZERO if lower is None else lower.inf(T)
    low = low.max(least if sign > 0 else -most).lower()
    high = high.min(-least if sign < 0 else most).upper()
    sign = sign or (1 if low >= 0 else -1 if high <= 0 else 0)
    nearest = low if sign > 0 else -high
    if lower is None and sign and nearest > 0:
        lower = Bound(nearest)
    return Growth(sign, upper, lower, low, high)


def _polynomial(c: list[arb], T: arb) -> Growth:
    """sum c_i x^i, whose leading term is at least x^n (|c_n| - sum_{i<n} |c_i| T^(i-n)) in absolute value."""
    n, leading = len(c) - 1, c[-1]
    sign = 1 if leading > 0 else -1 if leading < 0 else 0
    left = abs(leading)
    if not all(sign * each >= 0 for each in c):
        left -= sum((abs(each) * T ** (i - n) for i, each in enumerate(c[:-1])), ZERO)
    upper = Bound(sum(map(abs, c), ZERO), arb(n)).above
    if not (sign and left > 0):
        return _known(T, 0, upper, None)
    return _known(T, sign, upper, Bound(left * (T / (1 + T)) ** n, arb(n)).below)


def _sum(node: Expr, T: Fraction) -> Growth:
    start, terms = real_number(T), [_growth(cast(Expr, term), T) for term in node.args]
    upper = Bound.total([term.upper for term in terms], start)
    low, high = sum((term.low for term in terms), ZERO), sum((term.high for term in terms), ZERO)
    for first in terms:
        if first.is_definite and first.lower is not None:
            against = [term.upper for term in terms if term.sign != first.sign]
            lost = sum(((bound / first.lower).above.sup(start) for bound in against), ZERO)
            if lost < 1:
                return _known(start, first.sign, upper, first.lower.times(1 - lost).below, low, high)
    return _known(start, 0, upper, None, low, high)


def _product(node: Expr, T: Fraction) -> Growth:
    factors = [_growth(cast(Expr, factor), T) for factor in node.args]
    sign = reduce(int.__mul__, (factor.sign for factor in factors))
    upper = reduce(Bound.__mul__, (factor.upper for factor in factors)).above
    lowers = [factor.lower for factor in factors if factor.lower is not None]
    lower = reduce(Bound.__mul__, lowers).below if len(lowers) == len(factors) else None
    return _known(real_number(T), sign, upper, lower)


def _power(node: Expr, T: Fraction) -> Growth:
    base, power = cast(sp.Pow, node).as_base_exp()
    if power.has(x) and (base.has(x) or constant(base) > 0):
        return _growth(prepared(cast(Expr, sp.exp(power * sp.log(base)))), T)
    inner = _growth(base, T)
    if power.has(x) or not (power.is_Integer or inner.sign > 0):
        raise _unknown(node, T)
    n = constant(power)
    if not n > 0 and inner.lower is None:
        raise _unknown(node, T)
    sign = inner.sign if power.is_odd else 1
    most = inner.upper**n
    least = None if inner.lower is None else inner.lower**n
    upper, lower = (most, least) if n > 0 else (least, most)
    assert upper is not None
    return _known(real_number(T), sign, upper.above, None if lower is None else lower.below)


def _exponential(node: Expr, T: Fraction) -> Growth:
    g, start = cast(Expr, node.args[0]), real_number(T)
    if g.is_polynomial(x) and sp.degree(g, x) <= 2:
        poly = sp.Poly(g, x)
        c, a, b = (constant(cast(Expr, poly.coeff_monomial(x**i))) for i in range(3))
        exact = Bound(c.exp(), ZERO, a, b)
        return _known(start, 1, exact.above, exact.below)
    inner = _growth(g, T)
    upper = Bound(inner.high.exp()) if inner.high < INFINITY else None
    lower = Bound(inner.low.exp()) if inner.low > -INFINITY else None
    rate = inner.upper
    if rate.a <= 0 and rate.b <= 0 and rate.n <= 2:
        a, b = (rate.C, ZERO) if rate.n <= 1 else (2 * rate.C, rate.C)
        upper, lower = upper or Bound(rate.C.exp(), ZERO, a, b), lower or Bound((-rate.C).exp(), ZERO, -a, -b)
    if upper is None:
        raise _unknown(node, T)
    return _known(start, 1, upper.above, None if lower is None else lower.below)


def _exp(g: Expr, T: Fraction) -> Growth:
    return _growth(prepared(cast(Expr, sp.exp(g))), T)


def _inner(node: Expr, T: Fraction) -> tuple[Expr, Growth]:
    g = cast(Expr, node.args[0])
    return g, _growth(g, T)


def _monotone(f: Callable[[arb], arb], first: Callable[[], arb], last: Callable[[], arb]) -> Callable:
    """An increasing function with its limits at -oo and oo."""

    def rule(node: Expr, T: Fraction) -> Growth:
        _, inner = _inner(node, T)
        low = f(inner.low).lower() if inner.low > -INFINITY else first().lower()
        high = f(inner.high).upper() if inner.high < INFINITY else last().upper()
        return _known(real_number(T), 0, Bound(abs(low).max(abs(high))), None, low, high)

    return rule


def _logarithmic(bound: Bound) -> Bound:
    """|log| of a bound: (|log C| + |n| + |a| + |b|) (1 + x)^k."""
    degree = 2 if bound.b != 0 else 1 if bound.a != 0 or bound.n != 0 else 0
    return Bound(abs(bound.C.log()) + abs(bound.n) + abs(bound.a) + abs(bound.b), arb(degree)).above


def _logarithm(node: Expr, T: Fraction) -> Growth:
    _, inner = _inner(node, T)
    if inner.sign <= 0 or inner.lower is None:
        raise _unknown(node, T)
    start = real_number(T)
    sides = [_logarithmic(inner.upper), _logarithmic(inner.lower)]
    upper = Bound(reduce(arb.max, (side.C for side in sides)), reduce(arb.max, (side.n for side in sides)))
    low = inner.low.log().lower() if inner.low > 0 else -INFINITY
    high = inner.high.log().upper() if inner.high < INFINITY else INFINITY
    return _known(start, 0, upper, None, low, high)


def _asinh(node: Expr, T: Fraction) -> Growth:
    _, inner = _inner(node, T)
    rate = inner.upper
    if not (rate.n <= 1 and rate.a <= 0 and rate.b <= 0):  # else |asinh g| <= |g|
        rate = _logarithmic(Bound(1 + 2 * rate.C, rate.n.max(ZERO), rate.a.max(ZERO), rate.b.max(ZERO)))
    low = inner.low.asinh().lower() if inner.low > -INFINITY else -INFINITY
    high = inner.high.asinh().upper() if inner.high < INFINITY else INFINITY
    return _known(real_number(T), inner.sign, rate, None, low, high)


def _logistic(node: Expr, T: Fraction) -> Growth:
    g, inner = _inner(node, T)
    if inner.sign >= 0:
        return _monotone(lambda c: 1 / (1 + (-c).exp()), lambda: ZERO, lambda: ONE)(node, T)
    decay = _exp(g, T)
    lower = None if decay.lower is None else decay.lower.times(arb(0.5)).below
    return _known(real_number(T), 1, decay.upper, lower)


def _softplus(node: Expr, T: Fraction) -> Growth:
    g, inner = _inner(node, T)
    start = real_number(T)
    if inner.sign < 0:
        decay = _exp(g, T)
        lower = None if decay.lower is None else decay.lower.times(arb.const_log2()).below
        return _known(start, 1, decay.upper, lower)
    upper = Bound.total([inner.upper, Bound(arb.const_log2().upper())], start)
    return _known(start, 1, upper, inner.lower if inner.sign else None)


def _complementary(node: Expr, T: Fraction) -> Growth:
    """exp(-g^2)/(sqrt(pi) (1 + g)) <= erfc(g) <= exp(-g^2) for g >= 0."""
    g, inner = _inner(node, T)
    start = real_number(T)
    if inner.sign <= 0:
        high = inner.low.erfc().upper() if inner.low > -INFINITY else arb(2)
        low = inner.high.erfc().lower() if inner.high < INFINITY else ZERO
        return _known(start, 1, Bound(high), None, low, high)
    decay = _exp(-(g**2), T)
    if decay.lower is None:
        return _known(start, 1, decay.upper, None)
    slower = Bound.total([inner.upper, Bound(ONE)], start).times(arb.pi().sqrt())
    return _known(start, 1, decay.upper, (decay.lower / slower).below)


def _hyperbolic(node: Expr, T: Fraction) -> Growth:
    """exp(|g|)/2 <= cosh(g) <= exp(|g|);  |sinh(g)| = exp(|g|) (1 - exp(-2 |g|))/2;  and their reciprocals."""
    g, inner = _inner(node, T)
    start, kind = real_number(T), node.func
    if inner.sign == 0:
        if kind is Csch:
            raise _unknown(node, T)
        if kind is Sech:
            return _known(start, 1, Bound(ONE), None)
        upper = Bound.total([_exp(g, T).upper, _exp(-g, T).upper], start)
        return _known(start, 1 if kind is sp.cosh else 0, upper, None)
    nearest = inner.low if inner.sign > 0 else -inner.high
    rest = (1 - (-2 * nearest).exp()).lower()
    grows = kind in (sp.cosh, sp.sinh)
    wave = _exp(inner.sign * g if grows else -inner.sign * g, T)
    most, least = {
        sp.cosh: (ONE, arb(0.5)),
        sp.sinh: (arb(0.5), rest / 2),
        Sech: (arb(2), ONE),
        Csch: (2 / rest, arb(2)),
    }[kind]
    if not most < INFINITY:
        raise _unknown(node, T)
    lower = None if wave.lower is None else wave.lower.times(least).below
    return _known(start, 1 if kind in (sp.cosh, Sech) else inner.sign, wave.upper.times(most).above, lower)


def _imaginary_error(node: Expr, T: Fraction) -> Growth:
    """|g| <= sqrt(pi)/2 |erfi(g)| <= |g| exp(g^2)."""
    g, inner = _inner(node, T)
    factor = 2 / arb.pi().sqrt()
    upper = (inner.upper * _exp(g**2, T).upper).times(factor).above
    lower = None if inner.lower is None else inner.lower.times(factor).below
    return _known(real_number(T), inner.sign, upper, lower)


def _within(size: Callable[[], arb]) -> Callable[[Expr, Fraction], Growth]:
    """Functions whose absolute values are bounded whatever their argument."""

    def rule(node: Expr, T: Fraction) -> Growth:
        return _known(real_number(T), 0, Bound(size().upper()), None)

    return rule


def _half_pi() -> arb:
    return arb.pi() / 2


_RULES: dict[type, Callable[[Expr, Fraction], Growth]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.exp: _exponential,
    sp.log: _logarithm,
    sp.asinh: _asinh,
    sp.sinh: _hyperbolic,
    sp.cosh: _hyperbolic,
    sp.erfi: _imaginary_error,
    sp.erf: _monotone(arb.erf, lambda: -ONE, lambda: ONE),
    sp.atan: _monotone(arb.atan, lambda: -_half_pi(), _half_pi),
    sp.sin: _within(lambda: ONE),
    sp.cos: _within(lambda: ONE),
    sp.asin: _within(_half_pi),
    W: _within(lambda: ONE),
    Th: _monotone(arb.tanh, lambda: -ONE, lambda: ONE),
    L: _logistic,
    P: _softplus,
    Erfc: _complementary,
    Sech: _hyperbolic,
    Csch: _hyperbolic,
}
