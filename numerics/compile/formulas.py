"""Formulas of `theory` in float64: a function that builds an expression becomes one that computes a number.

Each is compiled once a process. log(1 + x) is computed as log1p(x), which keeps its digits for small x, and a branch of
a `Piecewise` is looked at only where its condition holds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache

import sympy as sp
from sympy import Expr
from sympy.codegen.cfunctions import log1p

__all__ = ["compiled"]


@cache
def compiled(formula: Callable[..., Expr]) -> Callable[..., float]:
    """Return a formula of `theory`, a function of SymPy expressions, as one of floats in the same order.

    >>> compiled(lambda rate, eta: sp.log(1 + eta * rate) / eta)(2.0, 1e-12)
    1.9999999999979998
    """
    arguments = [sp.Symbol(name, real=True) for name in inspect.signature(formula).parameters]
    expr = formula(*arguments).replace(_begins_at_one, lambda f: log1p(f.args[0] - 1))
    return sp.lambdify(arguments, expr, "math")


def _begins_at_one(f: Expr) -> bool:
    return isinstance(f, sp.log) and f.args[0].is_Add and sp.S.One in f.args[0].args
