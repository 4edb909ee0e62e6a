r"""Print forms as a person would write them, without searching: a fixed order of cheap rewritings.

`sympy.simplify` explores and takes seconds; derived expressions are rational functions of a few radicals, arcsines
and exponentials. Each of those is named by a dummy, the rational function is brought to lowest terms, and the
shortest of expanded, factored and unchanged form is kept.
"""

from __future__ import annotations

import sympy as sp
from sympy import Dummy, Expr

__all__ = ["tidy"]


def tidy(expr: Expr) -> Expr:
    """Return an equal expression, shorter where lowest terms or a common factor make it so.

    >>> from theory.symbols import mu, q, r
    >>> tidy(9*mu - 9*mu**2)
    9*mu*(1 - mu)
    >>> tidy((1 - 2*r/(2*r + 1)) / sp.sqrt(4*r/(2*r + 1)**2 + 1/(2*r + 1)**2))
    1/sqrt(4*r + 1)
    """
    if expr.is_number or expr.is_Symbol:
        return expr
    expr = _radicals(expr)
    names: dict[Expr, Expr] = {}
    skeleton = _name(expr, names)
    back = {name: node for node, name in names.items()}
    if not skeleton.free_symbols:
        return expr
    return sp.powsimp(_shortest(skeleton).xreplace(back), combine="base")


def _shortest(f: Expr) -> Expr:
    """Factor polynomials with several factors, expand short sums, and keep the shortest form of the rest."""
    symbols = sorted(f.free_symbols, key=str)
    factored = _orient(sp.factor(f))
    if not f.is_polynomial(*symbols):
        return min((factored, f, sp.factor_terms(f), sp.expand(f)), key=_length)
    if len(symbols) == 1 and len(sp.Mul.make_args(factored)) > 2:
        return factored
    poly = sp.Poly(f, *symbols)
    return poly.as_expr() if len(poly.terms()) <= 8 else min((factored, f), key=_length)


def _length(f: Expr) -> int:
    """Operations, and two more for every sum in parentheses."""
    nested = sum(1 for node in sp.preorder_traversal(f) if node.is_Add) - bool(f.is_Add)
    return int(sp.count_ops(f)) + 2 * nested


def _radicals(expr: Expr) -> Expr:
    """Bring radicands and the arguments of functions to lowest terms, innermost first."""
    if not expr.args:
        return expr
    expr = expr.func(*[_radicals(arg) for arg in expr.args])
    if expr.is_Pow and _is_radical(expr):
        base = sp.factor(expr.base)
        return sp.expand_power_base(_orient(base) ** expr.exp)
    if isinstance(expr, sp.exp | sp.erf | sp.asin):
        inner = expr.args[0]
        return expr.func(min((sp.factor(inner), sp.expand(inner), inner), key=_length) if inner.is_Add else inner)
    return expr


def _is_radical(p: Expr) -> bool:
    return bool(p.is_Pow and p.exp.is_Rational and not p.exp.is_Integer)


def _name(expr: Expr, names: dict[Expr, Expr]) -> Expr:
    """Replace radicals, functions and 1/pi by dummies, so that a rational function is left."""
    if expr is sp.pi:
        return 1 / names.setdefault(1 / sp.pi, Dummy("inverse_pi", positive=True))
    if _is_radical(expr):
        root = expr.base ** sp.Rational(1, expr.exp.q)
        return names.setdefault(root, Dummy("root", positive=bool(root.is_positive))) ** expr.exp.p
    if isinstance(expr, sp.Function | sp.exp):
        return names.setdefault(expr, Dummy("node"))
    return expr.func(*[_name(arg, names) for arg in expr.args]) if expr.args else expr


def _orient(expr: Expr) -> Expr:
    """Write -(x - 1) y as (1 - x) y."""
    if not expr.is_Mul:
        return expr
    number, rest = expr.as_coeff_Mul()
    if not number.is_negative:
        return expr
    factors = list(sp.Mul.make_args(rest))
    for i, f in enumerate(factors):
        if f.is_Add and f.as_coeff_Add()[0].is_negative:
            factors[i] = sp.Add(*[-term for term in f.args])
            return sp.Mul(-number, *factors)
    return expr
