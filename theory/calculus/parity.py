r"""Parity, proved or not claimed.

f is even (odd) almost everywhere if its breakpoints lie symmetrically and the branches at c_i and -c_i satisfy
f_i(-x) = +-f_{n-i}(x). That is an identity between two formulas, which is proved: by what SymPy does on substituting
-x, by expanding, or as an identity of rational functions in exponentials. What is not proved is no parity, so that a
function which only looks even where one has looked, max(x - 2, 0) near 0, has none.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Literal, cast

import sympy as sp
from sympy import Expr

from theory.calculus.pieces import Pieces, pieces
from theory.calculus.stable import logistic, softplus, stable
from theory.enclosures.balls import constant, precision
from theory.errors import InputError, NotCertifiedError, UnsupportedExpressionError
from theory.symbols import x

__all__ = ["Parity", "parity"]

Parity = Literal["even", "odd"] | None

SAME = sp.Float("1e-25", 10)  # two breakpoints known to 30 digits, relative
MAX_OPERATIONS = 400  # of what is brought to a common denominator
POINTS = (sp.Rational(1, 3), sp.Rational(7, 5), sp.Rational(-29, 10))
PRECISION = 128  # bits at which a difference is looked at there


@lru_cache(maxsize=1024)
def parity(f: Expr) -> Parity:
    """Return "even" or "odd" where f(-x) = +-f(x) is proved for almost all x, else None.

    >>> parity(sp.Max(x - 2, 0) - sp.Max(-x - 2, 0)), parity(sp.Max(x - 2, 0)), parity(x * sp.tanh(x))
    ('odd', None, 'even')
    """
    signs: tuple[tuple[Literal["even", "odd"], int], ...] = (("even", 1), ("odd", -1))
    for name, sign in signs:
        if _vanishes(f - sign * _reflected(f)):
            return name
    try:
        split = pieces(f)
    except (InputError, UnsupportedExpressionError):
        return None
    if split.window != sp.oo or not _is_symmetric(split):
        return None
    return next((name for name, sign in signs if _has_parity(split, sign)), None)


def _reflected(f: Expr) -> Expr:
    return cast(Expr, f.xreplace({x: -x}))


def _is_symmetric(split: Pieces) -> bool:
    return all(
        sp.simplify(a + b) == 0 if (a + b).free_symbols else abs(sp.N(a + b, 30)) <= SAME * abs(sp.N(a, 30))
        for a, b in zip(split.breakpoints, reversed(split.breakpoints), strict=True)
    )


def _has_parity(split: Pieces, sign: int) -> bool:
    pairs = zip(split.branches, reversed(split.branches), strict=True)
    half = list(pairs)[: len(split.branches) // 2 + 1]
    return all(_vanishes(left - sign * _reflected(right)) for left, right in half)


def _vanishes(f: Expr) -> bool:
    """Whether f is zero identically and that can be proved."""
    if f == 0 or sp.expand(f) == 0:
        return True
    if f.has(sp.Abs, sp.sign, sp.Heaviside, sp.Max, sp.Min, sp.Piecewise):
        return False
    canonical = sp.expand(_one_sided(stable(f, tails=True)))
    return canonical == 0 or _is_rational_zero(f)


def _one_sided(f: Expr) -> Expr:
    """l(-c) -> 1 - l(c) and P(-c) -> P(c) - c for one of c and -c."""

    reflected = f.replace(logistic, lambda c: 1 - logistic(-c) if c.could_extract_minus_sign() else logistic(c))
    return cast(
        Expr, reflected.replace(softplus, lambda c: softplus(-c) + c if c.could_extract_minus_sign() else softplus(c))
    )


def _is_rational_zero(f: Expr) -> bool:
    """Whether f vanishes as a rational function of x and of the exponentials in it."""
    if sp.count_ops(f) > MAX_OPERATIONS or _differs(f):
        return False
    plain = f.replace(sp.tanh, lambda c: (sp.exp(2 * c) - 1) / (sp.exp(2 * c) + 1)).rewrite((sp.sinh, sp.cosh), sp.exp)
    numbered = _by_generators(plain)
    return numbered is not None and sp.fraction(sp.cancel(sp.together(numbered)))[0] == 0


def _differs(f: Expr) -> bool:
    """Whether f is proved to be other than 0 at some point, which spares cancelling what does not cancel."""
    for point in POINTS:
        with suppress(NotCertifiedError), precision(PRECISION):
            if not constant(f.xreplace({x: point})).contains(0):
                return True
    return False


def _by_generators(f: Expr) -> Expr | None:
    """Write exp(a m) as t_m^a, m a monomial, with a common denominator of the numbers a; None where that fails."""
    exponents = {node: sp.expand(node.args[0]).as_coefficients_dict() for node in f.atoms(sp.exp)}
    numbers: dict[Expr, list[sp.Rational]] = {}
    for parts in exponents.values():
        for monomial, a in parts.items():
            numbers.setdefault(monomial, []).append(a)
    if not all(a.is_Rational for values in numbers.values() for a in values):
        return None
    steps = {monomial: sp.ilcm(1, *[a.q for a in values]) for monomial, values in numbers.items()}
    names = {monomial: sp.Dummy(f"t{i}", positive=True) for i, monomial in enumerate(steps)}
    powers = {
        node: sp.Mul(*[names[monomial] ** (a * steps[monomial]) for monomial, a in parts.items()])
        for node, parts in exponents.items()
    }
    return cast(Expr, f.xreplace(powers))
