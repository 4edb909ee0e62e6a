r"""Where the search time of aligned LoRA is stationary in a parameter of a family, and its limits at infinity.

The rate solves lambda^2 = alpha^2 (B lambda + A^2) with A and B functions of the parameter p. With d lambda/dp = 0,
eliminating lambda leaves what `theory.search.critical` has for mu,

    4 A A'^2 + 2 alpha^2 A' B B' - alpha^2 A B'^2 = 0,     ' = d/dp,

a polynomial in p where A and B are. Its roots contain every stationary point of tau, and some of the other eigenvalue.
As p -> +-oo, with A ~ a p^j and B ~ b p^k, tau -> 0 unless the rate stays bounded: where j = k = 0, and where B -> -oo
so that lambda ~ A^2/|B|, tau -> |b|/a^2 for k = 2 j, and tau -> oo for k > 2 j.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Poly, S, Symbol

from theory.language.parameters import Parameter
from theory.search.law import growth
from theory.search.window import rational_in, roots_between

__all__ = ["condition", "limit_of_tau", "stationary_values", "tau_of"]

DIGITS = 15


def condition(drive: Expr, bend: Expr, square: Expr, p: Symbol) -> Expr:
    """Return what vanishes where the search time is stationary in p."""
    up, bent = drive.diff(p), bend.diff(p)
    return 4 * drive * up**2 + square * (2 * up * bend * bent - drive * bent**2)


def stationary_values(drive: Expr, bend: Expr, square: Expr, part: Parameter) -> list[Expr] | None:
    """Return candidates for the stationary points of tau inside an interval, exactly.

    None where A or B is no polynomial with rational coefficients.

    >>> from theory.language.parameters import declared
    >>> part = declared("a")[0]
    >>> stationary_values(1 + part.symbol**2, -(1 + part.symbol**2), S.One, part)
    [0]
    """
    p = part.symbol
    if rational_in(drive, p) is None or rational_in(bend, p) is None or not square.is_Rational:
        return None
    return roots_between(Poly(sp.expand(condition(drive, bend, square, p)), p), part)


def tau_of(drive: Expr, bend: Expr, square: Expr) -> Expr:
    """Return 1/lambda for numbers A and B: exact where these and alpha^2 are rational, else to 15 digits.

    >>> tau_of(S.One, -S.One, S.One), tau_of(S.Zero, -S.One, S.One)
    (1/2 + sqrt(5)/2, oo)
    """
    is_rational = all(f.is_Rational for f in (drive, bend, square))
    across, bent = square * drive**2, square * bend
    if not is_rational:  # nothing cancels below
        across, bent = across.evalf(2 * DIGITS), bent.evalf(2 * DIGITS)
    if across == 0:
        return 1 / bent if bent > 0 else S.Infinity
    tau = 1 / growth(bent, across) if bent > 0 else growth(-bent, across) / across
    return sp.radsimp(sp.expand(tau)) if is_rational else tau.evalf(DIGITS)


def limit_of_tau(drive: Expr, bend: Expr, square: Expr, p: Symbol, side: int) -> Expr:
    """Return the limit of tau as p -> side * oo, for polynomials A and B.

    >>> p = Symbol("p", real=True)
    >>> [limit_of_tau(a, b, S.One, p, 1) for a, b in ((p, -(p**2)), (p, -(p**3)), (p, -p), (S.One, p))]
    [1, oo, 0, 0]
    """
    (j, a), (k, b) = (_leading(f, p, side) for f in (drive, bend))
    if j <= 0 and k <= 0:
        return tau_of(a, b, square)
    if b < 0 and k > j:
        return S.Zero if k < 2 * j else S.Infinity if k > 2 * j else sp.sympify(-b / a**2)
    return S.Zero


def _leading(f: Expr, p: Symbol, side: int) -> tuple[int, Expr]:
    """Return degree and leading coefficient of f(side * p); 0, 0 of nothing."""
    poly = Poly(f.subs(p, side * p), p)
    return (0, S.Zero) if poly.is_zero else (poly.degree(), poly.LC())
