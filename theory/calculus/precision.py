r"""Numbers that keep their digits: closed forms written so that evaluation needs no more precision than it returns.

For large z the difference 1 - erf(z) = erfc(z) is exp(-z^2)/(z sqrt(pi)) of two numbers of order one, and evaluating it
to a digit takes z^2/2.3 of them.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr, S

__all__ = ["resolved"]

SATURATED = 2  # |z| beyond which erf(z) is written by erfc


def resolved(expr: Expr) -> Expr:
    """Return the expression with erf(z) = sign(z) (1 - erfc(|z|)) at numbers |z| > 2, constants collected.

    >>> resolved(1 - sp.erf(250)), resolved((1 - sp.erf(250)) / 3).evalf(5)
    (erfc(250), 2.9597e-27147)
    """
    tails = {f: _tail(f.args[0]) for f in expr.atoms(sp.erf) if _is_saturated(f.args[0])}
    return sp.expand(expr.xreplace(tails), deep=False, power_base=False, power_exp=False) if tails else expr


def _is_saturated(z: Expr) -> bool:
    return not z.free_symbols and bool(z.is_real) and bool(abs(z.evalf(5)) > SATURATED)


def _tail(z: Expr) -> Expr:
    side = S.One if z.evalf(5) > 0 else S.NegativeOne
    return side * (1 - sp.erfc(side * z))
