"""Decimals of many digits, as a user types them: exact rationals inside, named constants c_1, c_2, ... where printed.

1.0507009873554805 is 2101401974710961/2000000000000000, and a loss in which it is squared and multiplied by another
such number has ratios of 62 digits. Of an expression with such ratios every sum is divided by one of its numbers, so
that the numbers left are short or products of powers of what was typed; those are written with the names. A ratio that
is neither is written as a decimal of 17 digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import product

import sympy as sp

from theory.typeset.forms import ONE, Leaf, Product, Sum

__all__ = ["NONE", "Constants", "is_long"]

DECIMAL = re.compile(r"(?<![\w.])(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?")
LONGEST = 12  # digits of a denominator that is printed
SHORT = 6  # digits of numerator and denominator beside named constants
HIGHEST = 4  # power of a named constant
MOST = 3  # constants in one product
MOST_TRIED = 6  # numbers of a sum by which it is divided for a try


def is_long(number: Fraction) -> bool:
    """Whether a ratio comes from a long decimal, or from one below the line, and is not printed as it is.

    >>> is_long(Fraction("1.0507009873554805") ** 2 / 3), is_long(Fraction(1, 3**40))
    (True, False)
    """
    if len(str(number.denominator)) <= LONGEST:
        return False
    above, below = (_without_tens(abs(n)) for n in (number.numerator, number.denominator))
    return below < 10**SHORT or (above < 10**SHORT and len(str(abs(number.numerator))) > LONGEST)


def _without_tens(n: int) -> int:
    """Return n without its factors 2 and 5, by which alone a decimal is divided."""
    for prime in (5, 2):
        while n and n % prime == 0:
            n //= prime
    return n


@dataclass(frozen=True)
class Constants:
    """What the decimals of a text are printed as: the long ones by name, the others, where asked, as typed.

    >>> Constants.of("1.0507009873554805*max(x, 0) + 0.1*x")
    Constants(named=(('c_1', '1.0507009873554805'),), typed={Fraction(1, 10): '0.1'})
    """

    named: tuple[tuple[str, str], ...] = ()
    typed: dict[Fraction, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *texts: str) -> Constants:
        """Return those of some texts."""
        decimals = dict.fromkeys(decimal for text in texts for decimal in DECIMAL.findall(text))
        long = {Fraction(decimal): decimal for decimal in decimals if _digits(Fraction(decimal)) > LONGEST}
        short = {Fraction(decimal): decimal for decimal in decimals if _digits(Fraction(decimal)) <= LONGEST}
        return cls(tuple((f"c_{i}", decimal) for i, decimal in enumerate(long.values(), 1)), short)

    @property
    def long_only(self) -> Constants:
        """The same with short decimals written as ratios, as is right in what is derived."""
        return Constants(self.named)

    def writes_as_decimal(self, number: Fraction) -> bool:
        """Whether a ratio is too long to be printed; beside named constants every long one comes from them."""
        return is_long(number) or (bool(self.named) and len(str(number.denominator)) > LONGEST)

    def applied(self, f: Product) -> Product:
        """Return a product that is printed: long numbers written with names, where that is possible."""
        if not self.named or len(str(f.number.denominator)) <= LONGEST:
            return f
        powers, rest = self._monomial(f.number)
        letters = tuple(
            (Leaf(sp.Symbol(name)), Fraction(power))
            for (name, _), power in zip(self.named, powers, strict=True)
            if power
        )
        return Product(rest, (*letters, *f.factors))

    @cached_property
    def _trials(self) -> list[tuple[int, ...]]:
        """Powers of the first named constants, small ones and positive ones first."""
        some = range(-HIGHEST, HIGHEST + 1)
        return sorted(product(some, repeat=min(len(self.named), MOST)), key=_size)

    def _monomial(self, number: Fraction) -> tuple[tuple[int, ...], Fraction]:
        """Return the powers of the named constants by which a number is short, and what is left of it."""
        values = [Fraction(decimal) for _, decimal in self.named[:MOST]]
        for powers in self._trials:
            rest = number
            for value, power in zip(values, powers, strict=True):
                rest /= value**power
            if _digits(rest) <= SHORT:
                return (*powers, *[0] * (len(self.named) - len(values))), rest
        return (0,) * len(self.named), number

    def shortened(self, f: Product) -> Product:
        """Return an equal form in which sums have numbers as short as can be, if a ratio in it is long."""
        return self._shortened(f) if any(map(self.writes_as_decimal, _numbers(f))) else f

    def _shortened(self, f: Product) -> Product:
        number, factors = f.number, []
        for base, power in f.factors:
            if isinstance(base, Sum) and power.denominator == 1:
                scale, shorter = self._divided(Sum(tuple(map(self._shortened, base.terms))), number)
                number *= Fraction(scale**power.numerator)
                factors.append((shorter, power))
            else:
                factors.append((base, power))
        return Product(number, tuple(factors))

    def _divided(self, f: Sum, outside: Fraction) -> tuple[Fraction, Sum]:
        """Return (d, f/d) that leave the shortest numbers, inside and in `outside` * d."""
        numbers = list(dict.fromkeys(abs(term.number) for term in f.terms))
        if max(map(_digits, numbers)) <= LONGEST:
            return ONE, f

        def length(scale: Fraction) -> int:
            return sum(self._length(abs(term.number) / scale) for term in f.terms) + self._length(abs(outside) * scale)

        scale = min(dict.fromkeys(n / m for n in numbers[:MOST_TRIED] for m in self._monomials), key=length)
        return scale, Sum(tuple(Product(term.number / scale, term.factors) for term in f.terms))

    @cached_property
    def _monomials(self) -> list[Fraction]:
        """Products of at most two named constants."""
        values = [ONE, *(Fraction(decimal) for _, decimal in self.named[:MOST])]
        return list(dict.fromkeys(a * b for a in values for b in values))

    def _length(self, number: Fraction) -> int:
        if number not in self._lengths:
            powers, rest = self._monomial(number) if _digits(number) > SHORT else ((), number)
            self._lengths[number] = _digits(rest) + _size(powers)
        return self._lengths[number]

    @cached_property
    def _lengths(self) -> dict[Fraction, int]:
        return {}


NONE = Constants()


def _size(powers: tuple[int, ...]) -> int:
    return sum(power if power > 0 else -3 * power for power in powers)


def _numbers(f: Product) -> Iterable[Fraction]:
    yield f.number
    for base, _ in f.factors:
        for part in base.terms if isinstance(base, Sum) else [base] if isinstance(base, Product) else []:
            yield from _numbers(part)


def _digits(number: Fraction) -> int:
    return max(len(str(abs(number.numerator))), len(str(number.denominator)))
