"""What a printed form is made of: sums and products that nothing evaluates, each in the order in which it is printed.

Factors stand in the order of the paper (numbers, parameters, slopes of the loss, states, polynomials, roots, functions,
other sums), terms by falling powers of the symbols in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import gcd, lcm

import sympy as sp

from theory.symbols import TAKEN
from theory.typeset.constants import Constant

__all__ = [
    "HALF",
    "ONE",
    "PI",
    "Base",
    "Leaf",
    "Product",
    "Raised",
    "Sum",
    "content",
    "is_monomial",
    "is_negative",
    "is_simple",
    "is_slope",
    "merged",
    "ordered",
    "place",
    "shared",
]

HALF, ONE = Fraction(1, 2), Fraction(1)
SLOPES = ["L_q", "L_r", "J", "M_ss", "M_ls", "M_ll", "N_s", "N_l", "N_4"]
ORDER = ["kappa", "eta", "lambda", "alpha", "Delta", "c", "rho", "mu", "B", "A", "G", *SLOPES]
ORDER += ["q_s", "r", "q", "u", "m", "s", "x", "y"]
RANK = {name: place for place, name in enumerate(ORDER, 1)}
VARIABLES = {"Z", r"\ell", r"\ell^{*}"}  # random; they stand after roots, as in sqrt(r) Z
GENERIC = {
    name: Fraction(*ratio)
    for name, ratio in {
        **{"q": (1, 4), "r": (1, 2), "mu": (1, 3), "rho": (2, 3)},
        **{"u": (1, 5), "m": (1, 6), "s": (1, 7)},
    }.items()
}


@dataclass(frozen=True)
class Leaf:
    """A symbol, a constant or a function, printed by its own rule; `arguments` of a function are forms again."""

    expr: sp.Basic
    arguments: tuple[Product, ...] = ()

    @cached_property
    def key(self) -> tuple:
        """Where it stands in a product: decimals, constants, the named first, symbols as in the paper, functions."""
        f = self.expr
        if isinstance(f, sp.Symbol):
            return (4.5 if f.name in VARIABLES else 2, RANK.get(f.name) or _unranked(f.name), f.name, ())
        if isinstance(f, Constant):
            return (0.4, f.index, "", ())
        if not self.arguments:
            return (0 if f.is_Float else 1 if f.is_NumberSymbol else 5, 0, getattr(f, "sort_text", str(f)), ())
        is_exponential = isinstance(f, sp.exp)
        first = 1 if self.is_constant and is_exponential else 5
        return (first, 1 if is_exponential else 2, type(f).__name__, tuple(arg.key for arg in self.arguments))

    @property
    def is_symbol(self) -> bool:
        """Whether it counts as a letter of a polynomial."""
        return isinstance(self.expr, sp.Symbol | Constant)

    @cached_property
    def is_constant(self) -> bool:
        """Whether no symbol is in it."""
        return not self.expr.free_symbols


def _unranked(name: str) -> float:
    """Parameters of functions stand with those of the model, before the weight's; other letters last."""
    own = name.isalnum() and name not in TAKEN
    return RANK["rho"] - 0.5 if own else len(RANK)


@dataclass(frozen=True)
class Raised:
    """A power whose exponent is no number."""

    base: Product
    exponent: Product

    @property
    def key(self) -> tuple:
        """Where it stands in a product."""
        return (5, 0, self.base.key, self.exponent.key)

    @property
    def is_constant(self) -> bool:
        """Whether no symbol is in it."""
        return self.base.is_constant and self.exponent.is_constant


@dataclass(frozen=True)
class Sum:
    """Terms in the order in which they are printed."""

    terms: tuple[Product, ...]

    @cached_property
    def key(self) -> tuple:
        """Where it stands in a product: polynomials before functions, other sums after all else, the shorter first."""
        return (3 if all(map(is_monomial, self.terms)) else 6, len(self.terms), tuple(term.key for term in self.terms))

    @property
    def is_constant(self) -> bool:
        """Whether no symbol is in it."""
        return all(term.is_constant for term in self.terms)


@dataclass(frozen=True)
class Product:
    """number * base**power * ..., powers rational; a product is a base only under a root."""

    number: Fraction
    factors: tuple[tuple[Base, Fraction], ...] = ()

    @property
    def key(self) -> tuple:
        """Where it stands in a product."""
        return (4, len(self.factors), (self.number, *((base.key, power) for base, power in self.factors)))

    @property
    def is_constant(self) -> bool:
        """Whether no symbol is in it."""
        return all(base.is_constant for base, _ in self.factors)

    @property
    def as_sum(self) -> Sum | None:
        """The sum that this is, if it is nothing else."""
        if self.number == 1 and len(self.factors) == 1 and self.factors[0][1] == 1:
            base = self.factors[0][0]
            return base if isinstance(base, Sum) else None
        return None


Base = Leaf | Raised | Sum | Product
PI = Leaf(sp.pi)


# --- order ---------------------------------------------------------------------------------------------------------


def place(factor: tuple[Base, Fraction]) -> tuple:
    """Return where a factor stands in a product."""
    base, power = factor
    if power.denominator != 1:
        return (0.5 if base.is_constant else 4, base.key)
    return (base.key[0], base.key)


def ordered(terms: Iterable[Product]) -> Sum:
    """Order by powers of the symbols, the highest first; sums begin with a positive term if they have one.

    Polynomials that begin with a negative term and end with a positive one are turned round, as in 1 - m^2; a number
    stands before a function, as in 1 + erf(x).
    """
    given = list(terms)
    polynomial = all(map(is_monomial, given))  # elsewhere named constants are no letters: r - q + c_1 f(q)
    bases = {base for t in given for base, _ in t.factors if isinstance(base, Leaf) and base.is_symbol}
    letters = sorted((base for base in bases if polynomial or not base.is_constant), key=_letter)
    ranked = sorted(given, key=lambda term: _rank(term, letters))
    if not letters and len(ranked) == 2 and not ranked[1].factors and ranked[1].number * ranked[0].number > 0:
        return Sum((ranked[1], ranked[0]))
    first = next((i for i, term in enumerate(ranked) if term.number > 0), 0)
    if first == 0:
        return Sum(tuple(ranked))
    if len(letters) == 1 and ranked[-1].number > 0 and polynomial:
        return Sum(tuple(reversed(ranked)))
    return Sum((ranked[first], *ranked[:first], *ranked[first + 1 :]))


def _letter(base: Base) -> tuple:
    """Slopes of the loss come first in a sum and constants last, else the order of a product."""
    return (not is_slope(base), base.is_constant, base.key)


def _rank(term: Product, letters: Sequence[Base]) -> tuple:
    powers = dict(term.factors)
    others = sorted((base.key, power) for base, power in term.factors if base not in letters)
    return (*(-powers.get(letter, 0) for letter in letters), term.is_constant, not term.factors, len(others), others)


def is_slope(base: Base) -> bool:
    """Whether a letter is a slope or a moment of the loss."""
    return isinstance(base, Leaf) and isinstance(base.expr, sp.Symbol) and base.expr.name in SLOPES


def merged(factors: Iterable[tuple[Base, Fraction]]) -> tuple[tuple[Base, Fraction], ...]:
    """Add the powers of equal bases."""
    powers: dict[Base, Fraction] = {}
    for base, power in factors:
        powers[base] = powers.get(base, Fraction(0)) + power
    return tuple((base, power) for base, power in powers.items() if power)


# --- questions -----------------------------------------------------------------------------------------------------


def content(terms: Sequence[Product]) -> Fraction:
    """Return the greatest number that leaves integers."""
    return Fraction(gcd(*(t.number.numerator for t in terms)), lcm(*(t.number.denominator for t in terms)))


def shared(terms: Sequence[Product]) -> Fraction:
    """Return the number that all terms have in common: their greatest divisor, over their denominator if it is one."""
    common, below = content(terms), {term.number.denominator for term in terms}
    return common if len(below) == 1 else Fraction(common.numerator)


def is_monomial(f: Product) -> bool:
    """Whether a term is a product of whole powers of symbols."""
    return all(isinstance(base, Leaf) and base.is_symbol and power.denominator == 1 for base, power in f.factors)


def is_simple(f: Product) -> bool:
    """Whether a term is a product of whole powers of symbols and functions."""
    return all(isinstance(base, Leaf) and power.denominator == 1 for base, power in f.factors)


def is_negative(f: Sum) -> bool:
    """Whether every term is negative, or a polynomial where states and alignment are small."""
    if all(term.number < 0 for term in f.terms):
        return True
    value = _generic_sum(f)
    return value is not None and value < 0


def _generic(term: Product) -> Fraction | None:
    """Return a polynomial at a generic point, None for what is no polynomial in known symbols."""
    value = term.number
    for base, power in term.factors:
        known = _generic_sum(base) if isinstance(base, Sum) else _generic_symbol(base)
        if known is None or power.denominator != 1 or power < 0:
            return None
        value *= known**power.numerator
    return value


def _generic_symbol(base: Base) -> Fraction | None:
    if not isinstance(base, Leaf) or not base.is_symbol:
        return None
    constant = base.expr.value if isinstance(base.expr, Constant) else None
    return GENERIC.get(base.expr.name) if constant is None else Fraction(int(constant.p), int(constant.q))


def _generic_sum(f: Sum) -> Fraction | None:
    values = [_generic(term) for term in f.terms]
    return None if None in values else sum((v for v in values if v is not None), Fraction(0))
