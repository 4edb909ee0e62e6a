r"""Where a function with parameters is positive for every x: proved around a point of the parameters.

Three ways, of which the first that succeeds counts.

*Polynomials* in one function t(x) whose range T is an interval (x itself, tanh(x) in (-1, 1), exp(x) > 0; sines and
cosines of one argument by the tangent of its half). T is mapped onto the line, by t = a + s^2 or (a + b s^2)/(1 + s^2),
and what is left is a polynomial f(s) with coefficients in the parameters. The number of its real roots changes only
where its discriminant or its leading coefficient vanishes. With one parameter these are points, and between two of them
the roots are counted, by Sturm's theorem, at one rational place. With several the count is the signature of Hermite's
form, which follows from the signs of its leading minors (Frobenius): the condition is those signs on which it depends.

*Bounds* of other functions: `theory.calculus.ranges`.

*Values*: where neither decides, a negative value at one x is a proof too, that the function is not positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise, product
from math import prod

import sympy as sp
from sympy import QQ, ZZ, Expr, Poly, Rational, S, Symbol

from theory.calculus.ranges import Range, range_of
from theory.calculus.signs import OpenSignError, at, decided, sign_at
from theory.symbols import x

__all__ = ["NotPositiveError", "positive"]

LOOKED_AT = tuple(Rational(n, 6) for n in (0, 2, -2, 6, -6, 15, -15, 42, -42, 180, -180))  # of x
MOST_DEGREE = 6  # of a polynomial with several parameters
MOST_OPERATIONS = 300
MOST_FACTORS = 5  # of the minors, whose signs are tried in all combinations
DIGITS = 50
s, base = sp.Dummy("s", real=True), sp.Dummy("t", positive=True)
Point = Mapping[Symbol, Expr]


class NotPositiveError(ValueError):
    """A function is proved to be negative somewhere."""


def positive(f: Expr, point: Point, *, strictly: bool = True) -> tuple[Expr, ...]:
    """Return what has to be positive in the parameters for f > 0 at every x, or f >= 0; the point fulfils it.

    Raises `NotPositiveError` where f is negative somewhere at the point, and `OpenSignError` where that is not decided.

    >>> b, c = sp.symbols("b c", real=True)
    >>> positive(x**4 + b * x**2 + 1, {b: S.Zero}), positive(c + b * sp.tanh(x), {b: S.One, c: S(2)})
    ((b + 2,), (b + c, -b + c))
    """
    for way in (_by_wide_range, _by_range, _by_bounds):
        with at(point) as notes, suppress(OpenSignError):
            if way(f, point, strictly):
                return tuple(notes.positive)
    if any(sign_at(f, {**point, x: place}) == -1 for place in LOOKED_AT):
        raise NotPositiveError(f)
    raise OpenSignError(f)


def _by_wide_range(f: Expr, point: Point, strictly: bool) -> bool:
    """Whether f is positive even if the function in it took every value that it has anywhere, exp those above 0."""
    if not f.has(x):
        raise OpenSignError(f)
    form, is_from_zero, _ = _in_one_function(f, lambda t: range_of(t.func(x) if len(t.args) == 1 else t))
    return _is_positive(form, point, strictly, is_from_zero)


def _by_range(f: Expr, point: Point, strictly: bool) -> bool:
    """Whether f is positive, one function in it taking the values that it takes; raises where it is not."""
    form, is_from_zero, is_sharp = _in_one_function(f, range_of)
    result = _is_positive(form, point, strictly, is_from_zero)
    if not result and is_sharp:
        raise NotPositiveError(f)
    return result


def _by_bounds(f: Expr, _point: Point, strictly: bool) -> bool:
    """Whether f has bounds that show it."""
    result = range_of(f)
    return result.is_positive or (not strictly and result.side > 0)


# --- polynomials in one function ----------------------------------------------------------------------------------


def _is_positive(f: Expr, point: Point, strictly: bool, is_from_zero: bool) -> bool:
    """Whether a rational function of s, or of s > 0, is positive at the point; notes what decides that."""
    sign = 1
    for factor, power, is_below in _factors(f):
        if factor == s and is_from_zero:
            continue
        if not factor.has(s):
            sign *= decided(factor) ** power
        elif power % 2 or strictly or is_below:
            side = _definite(factor, point, strictly or is_below)
            if not side:
                return False
            sign *= side**power
    return sign > 0


@lru_cache(maxsize=256)
def _factors(f: Expr) -> list[tuple[Expr, int, bool]]:
    """Return the factors of a rational function of s, their powers, and which stand below.

    Raises `OpenSignError` where f is none.
    """
    above, below = (sp.expand(part) for part in sp.fraction(sp.together(f)))
    if sp.count_ops(above) + sp.count_ops(below) > MOST_OPERATIONS:
        raise OpenSignError(f)
    result = []
    for part, is_below in ((above, False), (below, True)):
        number, factors = sp.factor_list(part)
        result += [(number, 1, is_below), *((factor, power, is_below) for factor, power in factors)]
    if any(factor.has(x) or not factor.is_polynomial(s) for factor, _, _ in result):
        raise OpenSignError(f)
    return result


def _in_one_function(f: Expr, ranged: Callable[[Expr], Range]) -> tuple[Expr, bool, bool]:
    """Write f in s; `ranged` says which values the function in it takes.

    Besides whether s > 0 is meant, and whether f takes all the values for these s: its range is known sharply.
    """
    if not f.has(x) or f.is_rational_function(x):
        return f.xreplace({x: s}), False, True
    inner = _functions(f)
    if all(isinstance(node, sp.sin | sp.cos) for node in inner) and len(waves := {node.args[0] for node in inner}) == 1:
        turns = {sp.sin: 2 * s / (1 + s**2), sp.cos: (1 - s**2) / (1 + s**2)}
        return f.xreplace({node: turns[node.func] for node in inner}), False, _is_sharp(sp.sin(*waves))
    if len(inner) > 1:
        f = f.rewrite((sp.sinh, sp.cosh, sp.tanh), sp.exp)
        inner = _functions(f)
        exponents = [node.args[0] for node in inner if isinstance(node, sp.exp)]
        ratios = [sp.cancel(exponent / exponents[0]) for exponent in exponents]
        if len(ratios) < len(inner) or not all(ratio.is_Rational for ratio in ratios):
            raise OpenSignError(f)
        step = Rational(1, sp.ilcm(1, *(ratio.q for ratio in ratios)))
        f = f.xreplace({node: base ** int(ratio / step) for node, ratio in zip(inner, ratios, strict=True)})
        name, function = base, sp.exp(exponents[0] * step)
    else:
        name = function = inner[0]
    result = ranged(function)
    is_from_zero = result != Range() and not result.reached[result.low == -sp.oo]
    return f.xreplace({name: _onto(result)}), is_from_zero, _is_sharp(function)


def _is_sharp(f: Expr) -> bool:
    """Whether the bounds of a function are its best: x stands in it once, and a wave or a step has the whole line."""
    inner = (node.args[0] for node in f.atoms(sp.sin, sp.cos, sp.sign, sp.Heaviside))
    return f.count(x) == 1 and all(arg.is_polynomial(x) and sp.degree(arg, x) == 1 for arg in inner)


def _functions(f: Expr) -> list[Expr]:
    """Return the largest parts of f with x that are no sums, products or powers."""
    if not f.has(x):
        return []
    if isinstance(f, sp.Add | sp.Mul) or (f.is_Pow and f.exp.is_Integer):
        return list(dict.fromkeys(node for arg in f.args for node in _functions(arg)))
    return [f]


def _onto(result: Range) -> Expr:
    """Return t(s) that takes the values of a range, and perhaps its ends."""
    if result == Range():
        return s
    if result.high == sp.oo:
        return result.low + s**2
    if result.low == -sp.oo:
        return result.high - s**2
    return (result.low + result.high * s**2) / (1 + s**2)


# --- definite polynomials -----------------------------------------------------------------------------------------


def _definite(f: Expr, point: Point, strictly: bool) -> int:
    """Return the sign of an irreducible polynomial in s that has no real roots at the point, 0 where it has some."""
    poly = Poly(f, s)
    own = sorted(poly.free_symbols_in_domain, key=lambda symbol: symbol.name)
    rational = Poly(f, s, *own)
    is_rational = rational.domain in (QQ, ZZ)
    if is_rational and len(own) <= 1:
        return _between_roots(poly, own[0], point, strictly) if own else _sign_without_roots(poly)
    if poly.degree() % 2:
        decided(poly.LC())
        return 0
    if poly.degree() == 2:
        a, b, c = poly.all_coeffs()
        return decided(a) * (decided(sp.factor(4 * a * c - b**2)) > 0)
    if not is_rational or poly.degree() > MOST_DEGREE:
        raise OpenSignError(f)
    return decided(poly.LC()) if _signs_without_roots(poly, own, point) else 0


def _sign_without_roots(poly: Poly) -> int:
    """Return the sign of a polynomial with rational coefficients, 0 where it has real roots."""
    return 0 if poly.is_zero or poly.count_roots() else int(sp.sign(poly.eval(0)))


def _between_roots(poly: Poly, p: Symbol, point: Point, strictly: bool) -> int:
    """`_definite` for one parameter: note the interval of it in which the polynomial has no real roots."""
    borders = _borders(poly, p)
    ends = [-sp.oo, *borders, sp.oo]
    if point[p] in borders:
        raise OpenSignError(poly.as_expr())
    here = sum(bool(end < point[p]) for end in ends) - 1

    def sign(place: Expr) -> int:
        return _sign_without_roots(Poly(poly.as_expr().subs(p, place), s))

    def is_open(border: Expr) -> bool:
        return not border.is_infinite and (not strictly or (border.is_Rational and sign(border) != 0))

    result = sign(_inside(ends[here], ends[here + 1]))
    low, high = here, here + 1
    while result and is_open(ends[low]) and sign(_inside(ends[low - 1], ends[low])):
        low -= 1
    while result and is_open(ends[high]) and sign(_inside(ends[high], ends[high + 1])):
        high += 1
    for end in (ends[low], ends[high]):
        if not end.is_infinite:
            alone = set(borders[end].real_roots()) <= {ends[low], ends[high]}
            decided(borders[end].as_expr() if alone else p - end)
    return result


@lru_cache(maxsize=256)
def _borders(poly: Poly, p: Symbol) -> dict[Expr, Poly]:
    """Return where the number of real roots may change, ascending, and the factor that vanishes there."""
    factors = [factor for factor, _ in Poly(poly.LC() * poly.discriminant(), p).factor_list()[1]]
    borders = {root: factor for factor in factors for root in factor.real_roots()}
    return {root: borders[root] for root in sorted(borders, key=lambda root: root.evalf(DIGITS))}


def _inside(low: Expr, high: Expr) -> Rational:
    """Return a rational number between two ends."""
    if low.is_infinite or high.is_infinite:
        return S.Zero if low == -high else sp.floor(high) - 1 if low.is_infinite else sp.ceiling(low) + 1
    return Rational(str(((low + high) / 2).evalf(DIGITS)))


def _signs_without_roots(poly: Poly, own: Sequence[Symbol], point: Point) -> bool:
    """Whether a polynomial in several parameters has no real roots at the point; notes the signs that say so."""
    minors = _minors(poly, *own)
    leading = [factor for factor, _ in sp.factor_list(poly.LC(), *own)[1]]
    factors = dict.fromkeys([*(factor for _, result in minors for factor, _ in result), *leading])
    known = {factor: sign_at(factor, point) or 0 for factor in factors}
    if 0 in known.values():
        raise OpenSignError(poly.as_expr())

    def signature(signs: Mapping[Expr, int]) -> int:
        return _signature(
            [int(sp.sign(number)) * prod(signs[f] ** power for f, power in result) for number, result in minors]
        )

    if signature(known):
        return False
    free = list[Expr]()
    for factor in sorted((f for f in factors if f not in leading), key=sp.count_ops, reverse=True)[:MOST_FACTORS]:
        tried = [*free, factor]
        combinations = product((-1, 0, 1), repeat=len(tried))
        if not any(signature({**known, **dict(zip(tried, signs, strict=True))}) for signs in combinations):
            free.append(factor)
    for factor in factors:
        if factor not in free:
            decided(factor)
    return True


@lru_cache(maxsize=256)
def _minors(poly: Poly, *own: Symbol) -> list[tuple[Expr, list[tuple[Expr, int]]]]:
    """Return the leading minors of Hermite's form, as numbers and factors.

    Its entries are the sums of powers of the roots, here with powers of the leading coefficient as factors; the last
    minor is, up to these, the discriminant.
    """
    n, (a, *rest) = poly.degree(), poly.all_coeffs()
    sums: list[Expr] = [sp.Integer(n)]
    for k in range(1, 2 * n - 1):
        terms = [rest[i - 1] * a ** (i - 1) * (sums[k - i] if i < k else k) for i in range(1, min(k, n) + 1)]
        sums.append(sp.expand(-sp.Add(*terms)))
    minors = (sp.Matrix(size, size, lambda i, j: sums[i + j]).det(method="berkowitz") for size in range(1, n + 1))
    return [sp.factor_list(sp.expand(minor), *own) for minor in minors]


def _signature(minors: Sequence[int]) -> int:
    """Return the signature of Hermite's form from the signs of its leading minors, by Frobenius' rule.

    >>> _signature([1, 1, 1]), _signature([1, 0, 0, 1])  # three real roots; x**4 + 1
    (3, 0)
    """
    signs = [1, *minors]
    while not signs[-1]:
        signs.pop()
    last = 0
    for i, sign in enumerate(signs):
        if sign:
            last = i
        else:
            signs[i] = signs[last] * (-1) ** ((i - last) * (i - last - 1) // 2)
    return sum(1 if one == other else -1 for one, other in pairwise(signs))
