r"""The normal form in which expressions are printed: how a person orders, groups and joins what SymPy keeps apart.

SymPy evaluates as it builds: sqrt(r/(2 pi)) comes apart into sqrt(2) sqrt(r)/(2 sqrt(pi)), (1 - mu)/2 into 1/2 - mu/2.
So an expression is read, once, into products and sums of its own, which nothing evaluates, and small rules are applied
to them, in the order in which they are listed: `PRODUCT_RULES` to every product, `SUM_RULES` to every sum, from the
inside out. No rule multiplies out or factors; the cost is that of a walk. What is computed never passes through here.

Every rule keeps the value wherever the radicands are positive, that is wherever the expression is real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import lcm, prod

import sympy as sp

from theory.typeset.forms import (
    HALF,
    ONE,
    PI,
    Base,
    Leaf,
    Product,
    Raised,
    Sum,
    content,
    is_monomial,
    is_negative,
    is_simple,
    is_slope,
    merged,
    ordered,
    place,
    shared,
)
from theory.typeset.roots import root_of

__all__ = ["absolute", "normal"]

MOST_APART = 4  # ratio of the denominators of terms over pi that are put together
LONGEST_TOGETHER = 4  # terms of a sum that is printed as a number times the rest


@lru_cache(maxsize=8192)
def normal(expr: sp.Basic) -> Product:
    """Return the printed form of a SymPy expression.

    >>> from theory.symbols import r
    >>> form = normal(sp.sqrt(2) * sp.sqrt(r) / (2 * sp.sqrt(sp.pi)))
    >>> form.number, len(form.factors), form.factors[0][0].number
    (Fraction(1, 1), 1, Fraction(1, 2))
    """
    if expr.is_Rational:
        return Product(Fraction(int(expr.p), int(expr.q)))
    if expr.is_Float and expr < 0:
        return Product(-ONE, ((Leaf(-expr), ONE),))
    if expr.is_Add:
        return _sum([normal(term) for term in expr.args])
    if expr.is_Mul:
        return _product([normal(factor) for factor in expr.args])
    if expr.is_Pow and not isinstance(expr, sp.exp):
        return _power(expr)
    inner = expr.args if all(isinstance(arg, sp.Expr) for arg in expr.args) else ()
    return Product(ONE, ((Leaf(expr, tuple(map(normal, inner))), ONE),))


def absolute(f: Product) -> Product:
    """Return f or -f, the one that is printed between bars: |1 - mu| for |mu - 1|."""
    inner = f.as_sum
    if inner is not None:
        return Product(ONE, ((_scaled(inner, -ONE), ONE),)) if is_negative(inner) else f
    return Product(abs(f.number), f.factors)


def _power(expr: sp.Basic) -> Product:
    base, exponent = normal(expr.args[0]), expr.args[1]
    if not exponent.is_Rational:
        return Product(ONE, ((Raised(base, normal(exponent)), ONE),))
    power = Fraction(int(exponent.p), int(exponent.q))
    if power.denominator == 1 and (base.number or power > 0):
        return _product([Product(_raised(base.number, power), tuple((f, p * power) for f, p in base.factors))])
    if base.number == 1 and len(base.factors) == 1 and base.factors[0][1] == 1:
        return _product([Product(ONE, ((base.factors[0][0], power),))])
    return _product([Product(ONE, ((base, power),))])


def _raised(number: Fraction, power: Fraction) -> Fraction:
    """Return number**power, the power whole."""
    return Fraction(number**power.numerator)


def _product(parts: Sequence[Product]) -> Product:
    """Multiply, and apply the rules of products."""
    number = prod((part.number for part in parts), start=ONE)
    if number == 0:
        return Product(Fraction(0))
    result = Product(number, merged(factor for part in parts for factor in part.factors))
    if number != 1 and (inner := _spread_out(result)):
        return _sum([_times(term, number) for term in inner.terms])
    for rule in PRODUCT_RULES:
        result = rule(result)
    return Product(result.number, tuple(sorted(result.factors, key=place)))


def _spread_out(f: Product) -> Sum | None:
    """Return the sum that is multiplied by a number and nothing else, if it is long or has fractions itself."""
    base, power = f.factors[0] if len(f.factors) == 1 else (PI, ONE)
    if not isinstance(base, Sum) or power != 1:
        return None
    return base if len(base.terms) > LONGEST_TOGETHER or any(t.number.denominator != 1 for t in base.terms) else None


# --- products ------------------------------------------------------------------------------------------------------


def content_out(f: Product) -> Product:
    """Write 4 (r - q^2) for 2 (2 r - 2 q^2), and sqrt(3 (2 r + 1)) for sqrt(6 r + 3)."""
    if f.as_sum is not None:
        return f
    crowded = sum(isinstance(base, Sum) and abs(power) == HALF for base, power in f.factors) > 1
    number, factors = f.number, []
    for base, power in f.factors:
        divisor = shared if abs(f.number) == 1 and power == 1 else content
        common = divisor(base.terms) if isinstance(base, Sum) else ONE
        if common == 1 or (power.denominator != 1 and abs(power) != HALF):
            factors.append((base, power))
            continue
        outside, inside = (common, ONE) if power.denominator == 1 else root_of(ONE, common, joined=True)
        if crowded and power.denominator != 1:
            common, inside = outside**2, ONE
        number *= _raised(outside, power if power.denominator == 1 else 2 * power)
        assert isinstance(base, Sum)
        factors.append((_scaled(base, 1 / common), power))
        factors += [(Product(inside), power)] if inside != 1 else []
    return Product(number, tuple(factors))


def _scaled(f: Sum, scale: Fraction) -> Sum:
    """Multiply; a group such as (1 - mu)/2 that loses its number is taken apart."""
    terms = [_times(term, scale) for term in f.terms]
    groups = [term.as_sum for term in terms]
    if scale > 0 and not any(groups):
        return Sum(tuple(terms))
    return ordered(
        [part for term, group in zip(terms, groups, strict=True) for part in (group.terms if group else [term])]
    )


def oriented(f: Product) -> Product:
    """Write -(1 - m) for m - 1, and -(a + b) for -a - b: factors are positive where states and alignment are small."""
    number, factors = f.number, []
    for base, power in f.factors:
        turned = isinstance(base, Sum) and power.denominator == 1 and f.as_sum is None and is_negative(base)
        number *= -1 if turned and power % 2 else 1
        factors.append((_scaled(base, -ONE) if isinstance(base, Sum) and turned else base, power))
    return Product(number, tuple(factors))


def conjugates_joined(f: Product) -> Product:
    """Write 1 - m^2 for (1 - m)(1 + m)."""
    for (a, power), (b, other) in combinations(f.factors, 2):
        if power == other and isinstance(a, Sum) and isinstance(b, Sum) and (square := _difference_of_squares(a, b)):
            rest = [factor for factor in f.factors if factor[0] not in (a, b)]
            return conjugates_joined(Product(f.number, merged([*rest, (square, power)])))
    return f


def _difference_of_squares(a: Sum, b: Sum) -> Sum | None:
    """Return a^2 - b^2 of a - b and a + b, both of two simple terms."""
    if len(a.terms) != 2 or len(b.terms) != 2:
        return None
    signed = {Product(abs(term.number), term.factors): term.number > 0 for term in a.terms}
    other = {Product(abs(term.number), term.factors): term.number > 0 for term in b.terms}
    if signed.keys() != other.keys() or len(signed) != 2 or not all(map(is_simple, signed)):
        return None
    if sum(signed[term] != other[term] for term in signed) != 1:
        return None
    return ordered(
        Product((1 if signed[term] == other[term] else -1) * term.number**2, tuple((b, 2 * p) for b, p in term.factors))
        for term in signed
    )


def roots_joined(f: Product) -> Product:
    """Write sqrt(r/(2 pi)) for sqrt(2) sqrt(r)/(2 sqrt(pi)): one root, with at most one sum in it."""
    roots = [(base, power) for base, power in f.factors if abs(power) == HALF and not _has_negative_number(base)]
    if not roots:
        return f
    inside = [(base if isinstance(base, Product) else Product(ONE, ((base, ONE),)), power) for base, power in roots]
    crowded = sum(_sums(base) for base, _ in inside) > 1
    apart = [root for root, (base, _) in zip(roots, inside, strict=True) if crowded and _sums(base)]
    rest = [factor for factor in f.factors if factor not in roots or factor in apart]
    joined = [pair for root, pair in zip(roots, inside, strict=True) if root not in apart]
    number = prod((_raised(base.number, 2 * power) for base, power in joined), start=ONE)
    radicand = merged((factor, 2 * power * exponent) for base, power in joined for factor, exponent in base.factors)
    if apart and not radicand and number != 1:
        return Product(f.number, tuple(_into_a_sum(number, apart, rest)))
    outside, inner = root_of(f.number, number, bool(radicand))
    return Product(outside, (*rest, *_as_root(inner, radicand)))


def _into_a_sum(
    number: Fraction, roots: Sequence[tuple[Base, Fraction]], factors: Sequence[tuple[Base, Fraction]]
) -> list[tuple[Base, Fraction]]:
    """Multiply a sum under one of the roots by a number whose root would stand beside them."""
    above = number.denominator == 1
    base, power = next((root for root in roots if (root[1] > 0) == above), roots[0])
    scale = number if power > 0 else 1 / number
    assert isinstance(base, Sum)
    return [(_scaled(base, scale) if factor == (base, power) else factor[0], factor[1]) for factor in factors]


def _has_negative_number(base: Base) -> bool:
    return isinstance(base, Product) and base.number < 0


def _sums(f: Product) -> int:
    return sum(isinstance(base, Sum) for base, _ in f.factors)


def _as_root(number: Fraction, factors: tuple[tuple[Base, Fraction], ...]) -> list[tuple[Base, Fraction]]:
    """Return sqrt(number * factors) as a factor, below the line where all of it is."""
    if number == 1 and not factors:
        return []
    below = number.numerator == 1 and all(power < 0 for _, power in factors)
    radicand = Product(1 / number, tuple((b, -p) for b, p in factors)) if below else Product(number, factors)
    single = radicand.number == 1 and len(radicand.factors) == 1 and radicand.factors[0][1] == 1
    base = radicand.factors[0][0] if single else _product([radicand])
    return [(base, -HALF if below else HALF)]


PRODUCT_RULES: tuple[Callable[[Product], Product], ...] = (
    content_out,
    oriented,
    conjugates_joined,
    roots_joined,
)
"""What is done to a product, in this order."""


# --- sums ----------------------------------------------------------------------------------------------------------


def _sum(given: Sequence[Product]) -> Product:
    """Add, and apply the rules of sums."""
    terms = [part for term in given for part in _spread(term)]
    number = ONE
    for rule in SUM_RULES:
        outside, terms = rule(terms)
        number *= outside
    if len(terms) == 1:
        return _product([Product(number), terms[0]])
    return _product([Product(number, ((ordered(terms), ONE),))])


def _spread(term: Product) -> list[Product]:
    """Return the terms of c (a + b)/pi, which are grouped anew, whoever has written them together."""
    others = [(base, power) for base, power in term.factors if not isinstance(base, Sum)]
    sums = [(base, power) for base, power in term.factors if isinstance(base, Sum)]
    if len(sums) != 1 or sums[0][1] != 1 or any(base != PI or power != -1 for base, power in others):
        return [term]
    inner = sums[0][0]
    assert isinstance(inner, Sum)
    return [_product([Product(term.number, tuple(others)), part]) for part in inner.terms]


def over_pi(terms: list[Product]) -> tuple[Fraction, list[Product]]:
    """Write (a + 2 b)/(4 pi) for a/(4 pi) + b/(2 pi), beside terms that have no pi."""
    shown = [term for term in terms if (PI, -ONE) in term.factors]
    while len(shown) > 1 and (least := min(t.number.denominator for t in shown)) * MOST_APART < lcm(
        *(t.number.denominator for t in shown)
    ):
        widest = max(t.number.denominator for t in shown)
        shown = [t for t in shown if t.number.denominator != widest or widest == least]
    if len(shown) < 2:
        return ONE, terms
    common = content(shown)
    inner = [_times(t, 1 / common, (PI, -ONE)) for t in shown]
    group = _product([Product(common, ((ordered(inner), ONE), (PI, -ONE)))])
    return ONE, [*(term for term in terms if term not in shown), group]


def _times(term: Product, number: Fraction, without: tuple[Base, Fraction] | None = None) -> Product:
    """Multiply a finished product by a number, a factor left out."""
    scaled = Product(number * term.number, tuple(factor for factor in term.factors if factor != without))
    is_final = all(power.denominator == 1 and not isinstance(base, Sum) for base, power in scaled.factors)
    return scaled if is_final else _product([scaled])


def over_a_number(terms: list[Product]) -> tuple[Fraction, list[Product]]:
    """Write (1 - mu)/2 for 1/2 - mu/2: the one denominator of a short sum, or, beside functions, of a polynomial."""
    common = content(terms)
    if 1 < len(terms) <= LONGEST_TOGETHER and _is_over(terms, common.denominator):
        return common, [_times(term, 1 / common) for term in terms]
    polynomial = [term for term in terms if is_monomial(term)]
    common, letters = content(polynomial), {base for term in polynomial for base, _ in term.factors}
    if len(polynomial) in (0, 1, len(terms)) or len(letters) != 1 or not _is_over(polynomial, common.denominator):
        return ONE, terms
    rest = [term for term in terms if term not in polynomial]
    inner = ordered(_times(term, 1 / common) for term in polynomial)
    return ONE, [*rest, _product([Product(common, ((inner, ONE),))])]


def _is_over(terms: Sequence[Product], denominator: int) -> bool:
    """Whether all terms have this denominator and no other."""
    one = denominator != 1 and all(term.number.denominator == denominator for term in terms)
    return one and all(power > 0 for term in terms for _, power in term.factors)


def by_slopes(terms: list[Product]) -> tuple[Fraction, list[Product]]:
    """Write L_q (1 - m^2) + 2 L_r (mu - m s): what every slope of the loss is multiplied by stands together."""
    groups: dict[tuple[Base, Fraction], list[Product]] = {}
    for term in terms:
        slopes = [(base, power) for base, power in term.factors if is_slope(base)]
        if len(slopes) != 1 or slopes[0][1] != 1:
            return ONE, terms
        groups.setdefault(slopes[0], []).append(term)
    if len(groups) == len(terms):
        return ONE, terms
    return ONE, [_together(slope, group) for slope, group in groups.items()]


def _together(slope: tuple[Base, Fraction], terms: list[Product]) -> Product:
    """Return slope * (...), with the number that leaves integers outside."""
    common = content(terms)
    inner = _sum([_times(t, 1 / common, slope) for t in terms])
    return _product([Product(common, (slope,)), inner])


def by_constants(terms: list[Product]) -> tuple[Fraction, list[Product]]:
    """Write c_1^2 (r - 2 q + 1)/2: what named constants are multiplied by in a polynomial stands together."""
    groups: dict[tuple[tuple[Base, Fraction], ...], list[Product]] = {}
    for term in filter(is_monomial, terms):
        constants = tuple(factor for factor in term.factors if factor[0].is_constant)
        groups.setdefault(constants, []).append(term)
    together = {constants: group for constants, group in groups.items() if constants and len(group) > 1}
    if not together:
        return ONE, terms
    grouped = {id(term) for group in together.values() for term in group}
    rest = [term for term in terms if id(term) not in grouped]
    return ONE, [*rest, *(_over_constants(*each) for each in together.items())]


def _over_constants(constants: tuple[tuple[Base, Fraction], ...], terms: Sequence[Product]) -> Product:
    """Return constants * (...), with the number that leaves integers outside."""
    common = content(terms)
    inner = _sum([Product(t.number / common, tuple(f for f in t.factors if f not in constants)) for t in terms])
    return _product([Product(common, constants), inner])


SUM_RULES: tuple[Callable[[list[Product]], tuple[Fraction, list[Product]]], ...] = (
    by_slopes,
    by_constants,
    over_pi,
    over_a_number,
)
"""What is done to a sum, in this order: each returns a number outside and the terms inside."""
