"""Decimals of many digits, as a user types them: exact rationals inside, named constants c_1, c_2, ... where written.

1.0507009873554805 is 2101401974710961/2000000000000000, and a loss in which it is squared and multiplied by another
such number has ratios of 62 digits, of which nobody reads off where they come from. So what is written is derived once
more with a `Constant` in the place of each such decimal: a number like pi, of which SymPy knows the value, with which
it decides signs and orders, but which it never multiplies out. 1 - c_1/c_2 then stays 1 - c_1/c_2.

A long ratio that comes from no decimal that was typed is written as a decimal of 17 digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy as sp
from mpmath.libmp import from_rational
from sympy import Basic, Expr, Integer, NumberSymbol, Rational

__all__ = ["DECIMAL", "NONE", "Constant", "Constants", "is_long", "valued"]

DECIMAL = re.compile(r"(?<![\w.])(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?")
"""A decimal in a text."""
LONGEST = 12  # digits of a denominator that is printed
SHORT = 6  # significant digits of a decimal that needs no name: its square can be printed


class Constant(NumberSymbol):
    """A positive number that is written by its name.

    >>> c = Constant(1, "1.0507009873554805")
    >>> c, c > 1, sp.sqrt(c**2), sp.expand(c * (c + 1))
    (c_1, True, c_1, c_1 + c_1**2)
    >>> valued(2 * c)
    2101401974710961/1000000000000000
    """

    is_number = True
    is_extended_real = is_real = is_extended_positive = is_positive = True
    is_integer = is_zero = False

    __slots__ = ("decimal", "index", "value")

    index: int
    decimal: str
    value: Rational

    def __new__(cls, index: int, decimal: str) -> Constant:
        """Name a decimal c_index."""
        made = super().__new__(cls)
        made.index, made.decimal = index, decimal
        made.value = _rational(Fraction(decimal))
        return made

    @property
    def name(self) -> str:
        """What it is called in text."""
        return f"c_{self.index}"

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        return self.index, self.decimal

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.index, self.decimal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._hashable_content() == other._hashable_content()

    def __hash__(self) -> int:
        return super().__hash__()

    def _as_mpf_val(self, prec: int) -> Any:
        return from_rational(int(self.value.p), int(self.value.q), prec)

    def approximation_interval(self, number_cls: type) -> tuple[Expr, Expr]:
        """Return integers or ratios between which it lies, for SymPy's floor."""
        below = Integer(int(self.value))
        return (below, below + 1) if number_cls is Integer else (self.value, self.value)

    def _sympystr(self, _printer: object) -> str:
        return self.name

    def _latex(self, _printer: object) -> str:
        return f"c_{{{self.index}}}"


def valued(f: Expr) -> Expr:
    """Return an expression with the values of its constants."""
    return f.xreplace({constant: constant.value for constant in f.atoms(Constant)})


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
    """What the decimals that were typed are written as: the long ones by name, the others, where asked, as typed.

    >>> some = Constants.of("1.0507009873554805*max(x, 0) + 0.1*x + 2.101401974710961")
    >>> some.named, some.typed
    ((c_1,), {Fraction(1, 10): '0.1'})
    >>> some.in_text("1.0507009873554805*x + 2.101401974710961")
    ('_c_1*x + (2*_c_1)', {'_c_1': c_1})
    """

    named: tuple[Constant, ...] = ()
    typed: dict[Fraction, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, *sources: str | Expr) -> Constants:
        """Return those of some texts, or of expressions that come from no text."""
        named: list[Constant] = []
        typed: dict[Fraction, str] = {}
        for decimal in dict.fromkeys(decimal for source in sources for decimal in _decimals(source)):
            number = Fraction(decimal)
            if not _needs_name(number):
                typed[number] = decimal
            elif _multiple(number, named) is None:
                named.append(Constant(len(named) + 1, decimal))
        return cls(tuple(named), typed)

    def in_text(self, text: str) -> tuple[str, dict[str, Expr]]:
        """Return a text with names that nothing else can have for its long decimals, and what these stand for."""
        names: dict[str, Expr] = {f"_{constant.name}": constant for constant in self.named}

        def name(match: re.Match[str]) -> str:
            multiple = _multiple(Fraction(match[0]), self.named)
            if multiple is None:
                return match[0]
            constant, factor = multiple
            return f"_{constant.name}" if factor == 1 else f"({factor}*_{constant.name})"

        return DECIMAL.sub(name, text), names

    def in_expression(self, f: Expr) -> Expr:
        """Return an expression with the constants in the place of numbers."""
        written: dict[Expr, Expr] = {}
        for number in f.atoms(Rational):
            multiple = _multiple(_fraction(number), self.named)
            if multiple is not None:
                written[number] = _rational(multiple[1]) * multiple[0]
        return f.xreplace(written)

    @classmethod
    def within(cls, *expressions: Basic, typed: dict[Fraction, str] | None = None) -> Constants:
        """Return those that stand in some expressions."""
        there = set[Constant]().union(*(f.atoms(Constant) for f in expressions))
        return cls(tuple(sorted(there, key=lambda constant: constant.index)), typed or {})


NONE = Constants()


def _decimals(source: str | Expr) -> Iterator[str]:
    """Yield the decimals of a text, or the numbers of an expression that are long decimals."""
    if isinstance(source, str):
        yield from DECIMAL.findall(source)
        return
    for number in sorted(source.atoms(Rational), key=sp.default_sort_key):
        value = abs(_fraction(number))
        if is_long(value) and _without_tens(value.denominator) == 1:
            yield _as_decimal(value)


def _as_decimal(value: Fraction) -> str:
    """Return all digits of a ratio whose denominator has no other factors than 2 and 5."""
    places = _places(value)
    digits = str(int(value * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def _places(value: Fraction) -> int:
    """Return how many digits a decimal has behind its point."""
    return next(n for n in range(value.denominator.bit_length() + 1) if 10**n % value.denominator == 0)


def _significant(value: Fraction) -> int:
    """Return how many digits a decimal has from the first to the last that is not zero."""
    return len(str(abs(int(value * 10 ** _places(value)))).rstrip("0"))


def _multiple(number: Fraction, named: Iterable[Constant]) -> tuple[Constant, Fraction] | None:
    """Return the constant of which a long number is a short multiple, and the factor."""
    if not _needs_name(number):
        return None
    factors = ((constant, number / _fraction(constant.value)) for constant in named)
    return next(((constant, factor) for constant, factor in factors if _digits(factor) <= SHORT), None)


def _fraction(number: Rational) -> Fraction:
    return Fraction(int(number.p), int(number.q))


def _rational(number: Fraction) -> Rational:
    return Rational(number.numerator, number.denominator)


def _needs_name(number: Fraction) -> bool:
    """Whether a decimal has many digits, as 1.2345678 has and neither 1e-9 nor 1/1024 has."""
    return number.denominator != 1 and min(_digits(number), _significant(number)) > SHORT


def _digits(number: Fraction) -> int:
    return max(len(str(abs(number.numerator))), len(str(number.denominator)))
