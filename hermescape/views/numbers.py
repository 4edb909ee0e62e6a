"""Numbers of any number of digits, as JSON holds them."""

from __future__ import annotations

import sympy as sp

from numerics.integrals.quadrature import Real

__all__ = ["plain"]


def plain(value: Real | None) -> float | str | None:
    """Return a float; a number of many digits as text."""
    if value is None:
        return None
    return str(value) if isinstance(value, sp.Float) else float(value)
