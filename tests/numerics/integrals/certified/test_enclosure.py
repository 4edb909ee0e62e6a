"""Enclosures of numbers of any size: what is printed, and in how many bits."""

import math
from fractions import Fraction

import pytest
import sympy as sp
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from numerics.integrals.certified.enclosure import Enclosure, printed
from theory.enclosures.balls import constant, precision

MANTISSAS, POWERS = st.integers(-(2**70), 2**70), st.integers(-4000, 4000)


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


@given(MANTISSAS, POWERS, st.integers(0, 2**20), POWERS)
def test_the_double_lies_within_its_error_of_both_ends(m: int, e: int, radius: int, f: int) -> None:
    with precision(128):
        shown = Enclosure.of(arb(arb((m, e)), arb((radius, f))))
    low, high = m * power(e) - radius * power(f), m * power(e) + radius * power(f)
    assert shown.low <= low <= high <= shown.high
    if shown.error < math.inf:
        value, error = Fraction(shown.value), Fraction(shown.error)
        assert value - error <= low <= high <= value + error
    assert shown.error == math.inf or max(abs(low), abs(high)) < power(1025)


@pytest.mark.parametrize("exponent", [3, -800, 10**6, -(10**9), 10**13])
def test_numbers_of_any_size_are_printed_at_once(exponent: int) -> None:
    """log10 of what is printed is exponent log10(e)."""
    shown = printed(lambda: constant(sp.exp(exponent)), "a power of e")
    logarithm = sp.log(sp.Float(shown.value, 40)) / exponent
    assert abs(logarithm - 1) < 1e-14
    low, high = shown.to_decimals(12)
    assert sp.Float(low, 30) < sp.Float(shown.value, 30) < sp.Float(high, 30)
    assert 0 < shown.error / sp.Float(shown.value) < 1e-13


def test_a_radius_far_below_its_middle() -> None:
    with precision(64):
        shown = Enclosure.of(arb(arb("0.5"), arb((1, -(10**12)))))
    assert (shown.value, shown.low < Fraction(1, 2) < shown.high) == (0.5, True)
    assert shown.error < 1e-300
