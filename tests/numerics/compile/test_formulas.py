"""Formulas of escape-time laws: the same numbers as the symbols, at small steps and at their limits."""

import mpmath
import pytest
import sympy as sp

from numerics.compile.formulas import compiled
from numerics.law.through_flow import stretching
from theory.search import law

FORMULAS = {
    law.search_time: (0.7, 0.1),
    law.spread: (0.3, 0.2, 1.5, 0.7, 0.1),
    law.prefactor: (0.7, 0.3, -0.4, 0.6),
    law.shift: (0.7, 0.01, 0.6),
    law.spread_alone: (0.7, 0.2, 1.5, 0.1),
    law.saddle_rate: (4.0, 0.2, 1.5),
    law.saddle_time: (4.0, 0.9, 0.2, 1.5, 0.1),
    law.saddle_spread: (4.0, 0.9, 0.2, 0.3, 1.5, 0.1),
    law.turning_rate: (-1.2, 3.0, 0.2, 1.5),
    law.level: (-1.2, 0.2, 1.5, 0.1),
    law.spread_driven: (0.2, 5.0),
    law.growth: (-1.2, 0.3),
}


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_compiled_numbers_are_those_of_the_symbols(formula) -> None:
    values = FORMULAS[formula]
    exact = formula(*[sp.Float(repr(value), 40) for value in values])
    assert compiled(formula)(*values) == pytest.approx(float(exact), rel=1e-14)


def test_small_steps_keep_their_digits_and_have_a_limit() -> None:
    """tau = eta/log(1 + eta lambda) at eta lambda = 7e-13, where 1 + eta lambda has three digits of it."""
    with mpmath.workdps(40):
        exact = mpmath.mpf("1e-12") / mpmath.log1p(mpmath.mpf("7e-13"))
    assert compiled(law.search_time)(0.7, 1e-12) == pytest.approx(float(exact), rel=1e-15)
    assert compiled(law.search_time)(0.7, 0.0) == 1 / 0.7
    assert compiled(law.saddle_time)(4.0, 1.0, 0.2, 1.5, 0.0) == pytest.approx(1 / (4 - 0.15), rel=1e-15)
    assert compiled(law.saddle_time)(4.0, 1.0, 0.2, 1.5, 1e-6) == pytest.approx(1 / (4 - 0.15), rel=1e-5)
    assert stretching(0.7, 0.0) == 1.0


def test_one_threshold_for_a_slope_that_counts_as_zero() -> None:
    """|alpha A| <= 1e-9 alpha^2 |B|, for exact numbers and floats alike, whatever the sign of B."""
    for kind in (float, sp.Rational):
        below, above = (kind(value) ** 2 for value in ("9e-10", "11e-10"))
        assert law.counts_as_critical(kind(-1), below)
        assert not law.counts_as_critical(kind(1), above)
