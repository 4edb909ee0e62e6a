"""Sums with numbers as short as can be, where a ratio of long integers is left that no named constant stands for."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from theory.typeset.constants import LONGEST, is_long
from theory.typeset.forms import ONE, Product, Sum

__all__ = ["shortened"]

MOST_TRIED = 6  # numbers of a sum by which it is divided for a try


def shortened(f: Product) -> Product:
    """Return an equal form, every sum in it divided by one of its numbers, if a ratio in it is long."""
    return _shortened(f) if any(map(is_long, _numbers(f))) else f


def _shortened(f: Product) -> Product:
    number, factors = f.number, []
    for base, power in f.factors:
        if isinstance(base, Sum) and power.denominator == 1:
            scale, shorter = _divided(Sum(tuple(map(_shortened, base.terms))), number)
            number *= Fraction(scale**power.numerator)
            factors.append((shorter, power))
        else:
            factors.append((base, power))
    return Product(number, tuple(factors))


def _divided(f: Sum, outside: Fraction) -> tuple[Fraction, Sum]:
    """Return (d, f/d) that leave the shortest numbers, inside and in `outside` * d."""
    numbers = list(dict.fromkeys(abs(term.number) for term in f.terms))
    if max(map(_digits, numbers)) <= LONGEST:
        return ONE, f

    def length(scale: Fraction) -> int:
        return sum(_digits(term.number / scale) for term in f.terms) + _digits(outside * scale)

    scale = min((ONE, *numbers[:MOST_TRIED]), key=length)
    return scale, Sum(tuple(Product(term.number / scale, term.factors) for term in f.terms))


def _numbers(f: Product) -> Iterable[Fraction]:
    yield f.number
    for base, _ in f.factors:
        for part in base.terms if isinstance(base, Sum) else [base] if isinstance(base, Product) else []:
            yield from _numbers(part)


def _digits(number: Fraction) -> int:
    return max(len(str(abs(number.numerator))), len(str(number.denominator)))
