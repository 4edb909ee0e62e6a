"""Numbers of any number of digits, as JSON holds them, and their errors, as people read them."""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

import sympy as sp

if TYPE_CHECKING:
    from numerics.integrals.quadrature import Real

__all__ = ["above", "error_of", "plain", "upwards"]


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


def upwards(error: Real) -> str:
    """Return a bound to two digits, rounded up.

    >>> upwards(1.2301e-17), upwards(0.0)
    ('1.3e-17', '0')
    """
    context = Context(prec=2, rounding=ROUND_CEILING, Emin=MIN_EMIN, Emax=MAX_EMAX)
    return f"{context.create_decimal(Decimal(str(error))):.1e}" if error else "0"


def error_of(error: Real, *, certified: bool) -> str:
    """Return what is said of an error: `<=` where it is proved, `~` where it is an estimate.

    >>> error_of(1.2301e-17, certified=True), error_of(3e-13, certified=False)
    ('<= 1.3e-17', '~ 3.0e-13')
    """
    return f"{'<=' if certified else '~'} {upwards(error)}"
