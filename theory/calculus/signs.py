r"""Signs that a derivation has to know: of numbers, and of expressions in the parameters of a family.

Resolving a switch asks in which order breakpoints lie and which branch is the larger. Where the parameters of a family
leave that open, the answer depends on the place. Inside `at(point)` it is given for a point, and the sign is noted as a
*condition*: on every other point that fulfils the same conditions all questions have the same answers, so that what is
derived is the same formula. A sign that is the same wherever the assumptions of the symbols hold is no condition. It is
proved by SymPy's assumptions, factor by factor; where these do not decide, by values at generic points over the whole
domain and beside the zeros that it has as one parameter moves away from these, which is evidence and no proof.

A `Piecewise` in increasing breakpoints, which is what resolved switches become, keeps the order: its breakpoints are
taken to lie as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from random import Random
from types import MappingProxyType

import sympy as sp
from mpmath.libmp import NoConvergence
from sympy import Expr, Piecewise, S, Symbol

from theory.errors import InputError
from theory.symbols import x

__all__ = [
    "Notes",
    "OpenSignError",
    "at",
    "decided",
    "is_beyond_a_double",
    "is_family",
    "is_noting",
    "order_facts",
    "sign_at",
    "sign_of",
    "witnesses",
]

INCREASING: dict[type, tuple[Callable[[Expr], Expr], Expr, Expr]] = {
    sp.exp: (sp.log, S.Zero, sp.oo),
    sp.log: (sp.exp, -sp.oo, sp.oo),
    sp.tanh: (sp.atanh, -S.One, S.One),
    sp.atan: (sp.tan, -sp.pi / 2, sp.pi / 2),
    sp.sinh: (sp.asinh, -sp.oo, sp.oo),
    sp.asinh: (sp.sinh, -sp.oo, sp.oo),
}
"""Increasing functions: their inverses, and the bounds between which they stay."""
ODD = (sp.erf, sp.tanh, sp.atan, sp.sinh, sp.asinh)
"""Increasing functions that have the sign of their argument."""
WITNESSES = 24
DIGITS = 30
NOTHING = sp.Float("1e-24")
MOVED = 6  # witnesses from which one parameter moves
STEEPEST = 8  # degree of what is looked at beside its zeros, at this distance
BESIDE = sp.Rational(1, 10**9)


class OpenSignError(InputError):
    """A sign on which a derivation depends is left open by the parameters.

    Attributes:
        quantity: what may have either sign.
    """

    def __init__(self, quantity: Expr) -> None:
        self.quantity = quantity
        super().__init__(
            f"the sign of {quantity} depends on the parameters; accepted: functions of which it does not, a smaller "
            "domain, or values of the parameters."
        )


@dataclass
class Notes:
    """A point, and the conditions that were decided by it: expressions that are positive there."""

    point: Mapping[Symbol, Expr]
    positive: list[Expr] = field(default_factory=list)

    def decide(self, f: Expr) -> int:
        """Return the sign of f at the point, and note it."""
        side = sign_at(f, self.point)
        if not side:
            raise OpenSignError(f)
        condition = side * f
        if condition not in self.positive:
            self.positive.append(condition)
        return side


_NOTES: ContextVar[Notes | None] = ContextVar("notes", default=None)
_FACTS: ContextVar[tuple[Expr, ...]] = ContextVar("facts", default=())


@contextmanager
def at(point: Mapping[Symbol, Expr]) -> Iterator[Notes]:
    """Decide open signs by a point, and note them."""
    notes = Notes(point)
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


@contextmanager
def order_facts(expr: Expr) -> Iterator[None]:
    """Take the breakpoints of every resolved `Piecewise` in an expression to lie in increasing order."""
    facts = [sp.factor(high - low) for chain in _chains(expr) for i, low in enumerate(chain) for high in chain[i + 1 :]]
    facts += [f for f in _FACTS.get() if f not in facts]
    token = _FACTS.set(tuple(facts))
    try:
        yield
    finally:
        _FACTS.reset(token)


def _chains(expr: Expr) -> Iterator[tuple[Expr, ...]]:
    for node in expr.atoms(Piecewise):
        bounds = [bound for _, cond in node.args if (bound := _upper_bound(cond)) is not None]
        if len(bounds) == len(node.args) - 1 and any(bound.free_symbols for bound in bounds):
            yield tuple(bounds)


def _upper_bound(cond: sp.Basic) -> Expr | None:
    """Return c of the condition x < c, which SymPy may write c > x, or b < -x where c is -b."""
    if not isinstance(cond, sp.StrictLessThan | sp.StrictGreaterThan):
        return None
    bound = cond.gts - cond.lts + x
    return None if bound.has(x) else bound


def is_family(*exprs: Expr) -> bool:
    """Whether numbers are not enough: an expression has symbols other than x."""
    return any(expr.free_symbols - {x} for expr in exprs)


def is_noting() -> bool:
    """Whether open signs are being decided by a point."""
    return _NOTES.get() is not None


def sign_of(f: Expr) -> int:
    """Return the sign of an expression without x; raises `OpenSignError` where its parameters leave it open.

    >>> b = Symbol("b", positive=True)
    >>> sign_of(-b / 2), sign_of(sp.sqrt(2) - 2)
    (-1, -1)
    """
    if not f.free_symbols:
        sign = sign_at(f)
        if sign is None:
            raise TypeError(f"{f} is no real number")
        return sign
    facts = _facts()
    f = _reduced(f)
    known = _proved(f, facts)
    if known is not None:
        return known
    signs = {sign_at(f, point) for point in witnesses(_symbols(f, facts), facts)}
    if len(signs) == 1 and None not in signs and not (is_noting() and _turns(f, facts)):
        return signs.pop()  # type: ignore[return-value]
    return decided(f)


@lru_cache(maxsize=1024)
def _turns(f: Expr, facts: tuple[Expr, ...]) -> bool:
    """Whether f changes sign, while the facts hold, as one parameter moves away from a witness: where f is rational.

    >>> b, c = Symbol("b", positive=True), Symbol("c", real=True)
    >>> _turns(c - 1 / b, ()), _turns(c - 1 / b, (-c,)), _turns(c**2 - b * c + b**2, ())
    (True, False, False)
    """
    factors = [factor.as_base_exp()[0] for factor in sp.Mul.make_args(sp.factor(f))]
    return any(
        all(sign_at(fact, side) == 1 for fact in facts for side in sides)
        and {sign_at(f, side) for side in sides} == {1, -1}
        for point in witnesses(_symbols(f, facts), facts)[:MOVED]
        for symbol in _symbols(f, ())
        for factor in factors
        for sides in _beside_zeros(factor, symbol, point)
    )


def _beside_zeros(f: Expr, symbol: Symbol, point: Mapping[Symbol, Expr]) -> Iterator[list[Mapping[Symbol, Expr]]]:
    """Yield two points beside each zero that f, if a polynomial in one symbol, has where the others are a point's."""
    line = f.xreplace({other: value for other, value in point.items() if other != symbol})
    if not (line.is_polynomial(symbol) and 0 < sp.degree(line, symbol) <= STEEPEST):
        return
    zeros: list[Expr] = []
    with suppress(NoConvergence):  # two zeros next to each other
        zeros = sp.Poly(line.evalf(DIGITS), symbol).nroots(DIGITS)
    for zero in zeros:
        ends = [sp.re(zero) + side * BESIDE * (1 + abs(zero)) for side in (-1, 1)]
        if not any(end < 0 if symbol.is_nonnegative else end > 0 if symbol.is_nonpositive else False for end in ends):
            yield [{**point, symbol: end} for end in ends]


def _facts() -> tuple[Expr, ...]:
    notes = _NOTES.get()
    return (*_FACTS.get(), *(() if notes is None else notes.positive))


def decided(f: Expr) -> int:
    """Return the sign of an expression, proved by assumptions or decided by the point at which signs are noted.

    Raises `OpenSignError` where neither does.

    >>> b, c = sp.symbols("b c", positive=True)
    >>> with at({b: sp.S(1), c: sp.S(2)}) as notes:
    ...     print(decided(b + c), decided(b - c), notes.positive)
    1 -1 [-b + c]
    """
    notes, facts = _NOTES.get(), _facts()
    f = _reduced(f)
    known = _proved(f, facts) if f.free_symbols else sign_at(f)
    if known is not None:
        return known
    if notes is None or not f.free_symbols:
        raise OpenSignError(f)
    return notes.decide(_simplest(f, facts))


def without_monotone(f: Expr, *symbols: Symbol) -> Expr | None:
    """Return h - g^-1(c), of the sign of g(h) - c where g increases, and h_1 - h_2 for g(h_1) - g(h_2).

    The sign itself where g(h) is never c, and h for an odd g(h); None where f is no such difference.

    >>> b = Symbol("b", positive=True)
    >>> without_monotone(sp.atan(x) - b / (1 + b), x), without_monotone(2 * x**3 + 2 * b, x)
    (x - tan(b/(b + 1)), b**(1/3) + x)
    >>> without_monotone(sp.exp(x) + b, x), without_monotone(x + sp.exp(x), x)
    (1, None)
    >>> without_monotone(-b * sp.erf(2 * x), x), without_monotone(sp.tanh(x) ** 3, x)
    (-2*x, tanh(x))
    """
    terms = [term.as_independent(*symbols, as_Add=False) for term in sp.Add.make_args(f)]
    if len(terms) == 2:
        (outer, one), (inverse, other) = (_applied(*term) for term in terms)
        if outer == -inverse and one.func == other.func and one.func in (*INCREASING, sp.erf):
            return sign_of(outer) * (one.args[0] - other.args[0])
    constant, rest = f.as_independent(*symbols, as_Add=True)
    outer, inner = rest.as_independent(*symbols, as_Add=False)
    is_odd = inner.is_Pow and inner.exp.is_Integer and inner.exp > 0 and inner.exp % 2
    if constant == 0 and (is_odd or inner.func in ODD):
        return sign_of(outer) * inner.args[0]
    if not is_odd and inner.func not in INCREASING:
        return None
    level = -constant / outer
    if is_odd:
        side = sign_of(level)
        return sign_of(outer) * (inner.base - side * (side * level) ** (1 / inner.exp))
    inverse, low, high = INCREASING[inner.func]
    for gap, side in ((level - low, 1), (high - level, -1)):
        if gap.is_infinite is not True and sign_of(gap) <= 0:
            return side * sign_of(outer) * S.One
    return sign_of(outer) * (inner.args[0] - inverse(level))


def _applied(outer: Expr, inner: Expr) -> tuple[Expr, Expr]:
    """Return a factor and a function, that of a number included."""
    if inner != 1:
        return outer, inner
    functions = [factor for factor in sp.Mul.make_args(outer) if factor.func in (*INCREASING, sp.erf)]
    return (outer / functions[0], functions[0]) if len(functions) == 1 else (outer, inner)


def _reduced(f: Expr) -> Expr:
    """Return what has the same sign with fewer functions."""
    symbols = tuple(f.free_symbols)
    while symbols and (simpler := without_monotone(f, *symbols)) is not None:
        f = simpler
    return f


def _proved(f: Expr, facts: Sequence[Expr]) -> int | None:
    """Return the sign that assumptions and facts, which are positive, give factor by factor."""
    for form in (f, sp.factor(f)):
        sign = 1
        for factor in sp.Mul.make_args(form):
            if factor.is_zero:
                return 0
            if factor.is_positive:
                continue
            if factor.is_negative:
                sign = -sign
                continue
            if factor in facts:
                continue
            if -factor in facts:
                sign = -sign
                continue
            break
        else:
            return sign
    return None


def _simplest(f: Expr, facts: Sequence[Expr]) -> Expr:
    """Return f without the factors whose sign is known, divided by its positive content."""
    kept, side = [], 1
    for factor in sp.Mul.make_args(sp.factor(f)):
        known = _proved(factor, facts)
        if known is None:
            kept.append(_reduced(factor))
        else:
            side *= known
    return side * sp.Mul(*kept)


def sign_at(f: Expr, point: Mapping[Symbol, Expr] = MappingProxyType({})) -> int | None:
    """Return the sign of an expression at a point, of a rational number exactly; None where it is no real number.

    >>> b = Symbol("b", real=True)
    >>> sign_at(b**2 - 2, {b: sp.sqrt(2)}), sign_at(sp.Rational(-1, 10**40)), sign_at(sp.log(b), {b: -sp.S.One})
    (0, -1, None)
    """
    value = f.xreplace(dict(point))
    if not value.is_Rational:
        if any(is_beyond_a_double(power.args[0]) for power in value.atoms(sp.exp)):  # of a length that fits nowhere
            return None
        value = sp.N(value, DIGITS)
    if not (value.is_number and value.is_extended_real):
        return None
    if value.is_Float and abs(value) < NOTHING:
        return 0
    return int(sp.sign(value))


def is_beyond_a_double(number: Expr) -> bool:
    """Whether exponentials make a number larger than any double, in themselves or in it.

    >>> is_beyond_a_double(sp.exp(sp.exp(9))), is_beyond_a_double(sp.exp(9)), is_beyond_a_double(sp.Integer(10) ** 400)
    (True, False, False)
    """
    if not number.has(sp.exp) or not number.is_number:
        return False
    try:
        return not math.isfinite(abs(sp.lambdify((), number, "math")()))
    except OverflowError:
        return True
    except (ValueError, TypeError, ZeroDivisionError, NameError):  # of functions that `math` has not, or not there
        return False


def _symbols(f: Expr, facts: Iterable[Expr]) -> tuple[Symbol, ...]:
    held = f.free_symbols.union(*(fact.free_symbols for fact in facts))
    return tuple(sorted((s for s in held if isinstance(s, Symbol)), key=sp.default_sort_key))


@lru_cache(maxsize=256)
def witnesses(symbols: tuple[Symbol, ...], facts: tuple[Expr, ...] = ()) -> tuple[Mapping[Symbol, Expr], ...]:
    """Return generic points at which the assumptions of the symbols hold, and facts that are positive; always the same.

    Raises `OpenSignError` where facts contradict each other.
    """
    random, chosen = Random(1), []
    for _ in range(400 * WITNESSES):
        point = {symbol: _generic(symbol, random) for symbol in symbols}
        if all(sign_at(fact, point) == 1 for fact in facts):
            chosen.append(point)
        if len(chosen) == WITNESSES:
            return tuple(chosen)
    if not chosen:
        raise OpenSignError(facts[0] if facts else sp.S.Zero)
    return tuple(chosen)


def _generic(symbol: Symbol, random: Random) -> Expr:
    size = sp.Rational(*Fraction(10.0 ** random.uniform(-2, 1.5)).limit_denominator(10**6).as_integer_ratio())
    size += sp.Rational(1, 999983)
    if symbol.is_nonnegative:
        return size
    if symbol.is_nonpositive:
        return -size
    return size if random.random() < 0.5 else -size
