"""Square roots of numbers: what is taken out of a root, and what stays in it."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

__all__ = ["root_of"]

LONGEST_SPLIT = 10**9  # larger numbers are not split into squares and the rest


def root_of(c: Fraction, k: Fraction, joined: bool) -> tuple[Fraction, Fraction]:
    """Return (p/q, a/b) with c sqrt(k) = (p/q) sqrt(a/b), a and b without squares; of numbers alone 1/sqrt(2)."""
    if not joined:
        simple = k.denominator == 1 and c.denominator == k
        return (c * k, 1 / k) if simple else (c, k)
    whole = c * c * k
    if max(whole.numerator, whole.denominator) > LONGEST_SPLIT:
        return c, k
    (p, above), (below_p, below) = _square_part(whole.numerator), _square_part(whole.denominator)
    return Fraction(p, below_p) * (1 if c > 0 else -1), Fraction(above, below)


def _square_part(n: int) -> tuple[int, int]:
    """Return (p, a) with n = p^2 a, a without squares.

    >>> _square_part(72)
    (6, 2)
    """
    p, a, divisor = 1, n, 2
    while divisor**3 <= a:
        while a % divisor**2 == 0:
            a, p = a // divisor**2, p * divisor
        divisor += 1
    root = isqrt(a)
    if root * root == a:
        return p * root, 1
    while divisor <= root:
        if a % divisor**2 == 0:
            return p * divisor, a // divisor**2
        divisor += 1
    return p, a
