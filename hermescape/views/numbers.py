"""Numbers of any number of digits, as JSON holds them, and their errors, as people read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sympy as sp

from theory.shown import upwards

if TYPE_CHECKING:
    from numerics.integrals.quadrature import Real

__all__ = ["above", "error_of", "known", "plain"]


def plain(value: Real | None) -> float | str | None:
    """Return a float; a number of many digits as text."""
    if value is None:
        return None
    return str(value) if isinstance(value, sp.Float) else float(value)


def above(error: Real, shown: float = 0.0, exact: sp.Expr | None = None) -> float:
    """Return an error as a double that is no smaller; with a number, of the double that is shown in its place.

    >>> above(sp.Float("1e-400")), above(0.0), above(0, 0.1, sp.Rational(1, 10))
    (5e-324, 0.0, 5.551115123125783e-18)
    """
    whole = sp.Rational(error) + (0 if exact is None else abs(sp.Rational(shown) - exact))
    near = float(whole.evalf(20))
    return near if whole.is_Rational and sp.Rational(near) >= whole else math.nextafter(near, math.inf)


def known(value: Real, error: Real, digits: int) -> str:
    """Return a number to so many digits, and its error where that moves one of them by more than a unit.

    >>> known(0.123456789, 1e-17, 8), known(0.123456789, 2e-6, 8), known(0.0, 0.0, 8)
    ('0.12345679', '0.12345679 ± 2.0e-6', '0')
    """
    text = str(sp.Float(value, digits)) if isinstance(value, sp.Float) else f"{float(value):.{digits}g}"
    is_settled = 2 * sp.Float(error) <= abs(sp.Float(value)) * sp.Float(10) ** -digits
    return text if is_settled else f"{text} ± {upwards(error)}"


def error_of(error: Real, *, certified: bool) -> str:
    """Return what is said of an error: `<=` where it is proved, `~` where it is an estimate.

    >>> error_of(1.2301e-17, certified=True), error_of(3e-13, certified=False)
    ('<= 1.3e-17', '~ 3.0e-13')
    """
    return f"{'<=' if certified else '~'} {upwards(error)}"
