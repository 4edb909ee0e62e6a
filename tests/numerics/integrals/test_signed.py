"""Signs of numbers: proved however small, else with an error."""

import pytest
import sympy as sp

from numerics.integrals.signed import TINY, signed
from theory.network.derivation import derive
from theory.symbols import mu

b = sp.Symbol("b", real=True)


@pytest.mark.parametrize(
    ("expr", "at", "expected"),
    [
        (sp.exp(-1 / mu) - sp.exp(-1 / mu - 1), 1e-9, TINY),  # 10^-434294482
        (sp.exp(-1 / mu - 1) - sp.exp(-1 / mu), 1e-9, -TINY),
        ((1 + mu) ** 2 - 1 - 2 * mu, 2.0**-60, 2.0**-120),  # 0 in doubles
        ((1 + mu) ** 2 - 1 - 2 * mu - mu**2, 0.3, 0.0),  # no sign
    ],
)
def test_signs_are_proved(expr: sp.Expr, at: float, expected: float) -> None:
    assert signed((mu,), expr)(at) == (expected, 0.0)


def test_what_is_integrated_has_an_error() -> None:
    drive = derive("atan(x)").escape.A
    number, error = signed((mu,), drive)(0.5)
    assert 0 < error < 1e-10 < number
