"""Numbers of any number of digits, as JSON holds them, and their errors, as people read them."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

import sympy as sp

if TYPE_CHECKING:
    from numerics.integrals.quadrature import Real

__all__ = ["error_of", "plain", "upwards"]


def plain(value: Real | None) -> float | str | None:
    """Return a float; a number of many digits as text."""
    if value is None:
        return None
    return str(value) if isinstance(value, sp.Float) else float(value)


def upwards(error: Real) -> str:
    """Return a bound to two digits, rounded up.

    >>> upwards(1.2301e-17), upwards(0.0)
    ('1.3e-17', '0')
    """
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal(Decimal(str(error))):.1e}" if error else "0"


def error_of(error: Real, *, certified: bool) -> str:
    """Return what is said of an error: `<=` where it is proved, `~` where it is an estimate.

    >>> error_of(1.2301e-17, certified=True), error_of(3e-13, certified=False)
    ('<= 1.3e-17', '~ 3.0e-13')
    """
    return f"{'<=' if certified else '~'} {upwards(error)}"
