"""The node types of expressions: what may be computed with, and nothing else.

SymPy makes code from an expression by printing it, and prints a function that it does not know by its *name*: an
undefined function may be named by any text, which would then run. So an expression that somebody hands over is looked
at first, node by node, and every type, and every name of a symbol, that is not in the lists here is refused. A function
without a formula is a node of our own (`theory.calculus.undefined`), of which no printer makes code.
"""

from __future__ import annotations

import re
from keyword import iskeyword

import sympy as sp
from sympy import Basic, Expr
from sympy.core.numbers import NumberSymbol
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanAtom

from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.undefined import Undefined
from theory.errors import ParameterError, UnsupportedExpressionError

__all__ = ["CONDITIONS", "ELEMENTARY", "SPECIAL", "check_nodes", "exact"]

ELEMENTARY: tuple[type[Basic], ...] = (
    *(sp.Add, sp.Mul, sp.Pow, sp.Max, sp.Min, sp.Abs, sp.Piecewise),
    *(sp.exp, sp.log, sp.erf, sp.erfc, sp.erfi, sp.sign, sp.Heaviside, Phi2, Phi2Angle),
    *(sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.atan2),
    *(sp.sinh, sp.cosh, sp.tanh, sp.asinh, sp.acosh, sp.atanh),
)
"""Functions and operations that derivations return; every one can be kept on disk (`theory.calculus.cache`)."""

CONDITIONS: tuple[type[Basic], ...] = (
    *(sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan, sp.Equality, sp.Unequality),
    *(sp.And, sp.Or, sp.Not),
)

SPECIAL: tuple[type[Basic], ...] = (
    *(sp.sec, sp.csc, sp.cot, sp.asec, sp.acsc, sp.acot, sp.sinc),
    *(sp.sech, sp.csch, sp.coth, sp.asech, sp.acsch, sp.acoth),
    *(sp.erf2, sp.erfinv, sp.fresnels, sp.fresnelc, sp.Si, sp.Ci, sp.Ei, sp.LambertW),
    *(sp.gamma, sp.loggamma, sp.polygamma, sp.beta, sp.factorial),
    *(sp.besselj, sp.bessely, sp.besseli, sp.besselk, sp.airyai, sp.airybi, sp.airyaiprime, sp.airybiprime),
    *(sp.hermite, sp.legendre, sp.chebyshevt, sp.chebyshevu, sp.laguerre),
)
"""Further functions of SymPy that mpmath or SciPy evaluates: no closed form uses them, quadrature does."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(/[1-9]\d*)?", re.ASCII)
_INNER = frozenset({*ELEMENTARY, *CONDITIONS, *SPECIAL, ExprCondPair})
_LEAVES = (sp.Number, NumberSymbol, BooleanAtom, sp.ComplexRootOf, type(sp.I), type(sp.zoo))


def check_nodes(expr: Basic, name: str = "the expression") -> None:
    """Raise `UnsupportedExpressionError` for a node outside the lists, or a symbol whose name is no identifier.

    >>> check_nodes(sp.tanh(sp.Symbol("x")) ** 2)
    >>> check_nodes(sp.Function("f")(sp.Symbol("x")))
    Traceback (most recent call last):
    theory.errors.UnsupportedExpressionError: the expression contains the undefined function 'f'; accepted are ...
    """
    remaining = [expr]
    while remaining:
        node = remaining.pop()
        if isinstance(node, _LEAVES):
            continue
        if type(node) is Undefined and _is_name(node.name):
            remaining.append(node.argument)
            continue
        if type(node) not in _INNER and not _is_plain_symbol(node):
            raise UnsupportedExpressionError(
                f"{name} contains {_shown(node)}; accepted are numbers, symbols with the name of a variable, and "
                f"{', '.join(sorted(kind.__name__ for kind in (*ELEMENTARY, *SPECIAL)))}: write it with these."
            )
        remaining += node.args


def _is_plain_symbol(node: Basic) -> bool:
    return type(node) in (sp.Symbol, sp.Dummy) and _is_name(node.name)  # type: ignore[attr-defined]


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _shown(node: Basic) -> str:
    if isinstance(node, sp.Symbol):
        return f"a symbol named {node.name!r}"
    undefined = isinstance(node, sp.core.function.AppliedUndef)
    return f"{'the undefined function' if undefined else 'a node of type'} {type(node).__name__!r}"


def _is_number(value: object) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None


def exact(value: float | str | Expr, name: str) -> Expr:
    """Return a number or an expression as an expression; text only if it is a number: SymPy would evaluate any other.

    >>> exact(0.5, "alpha"), exact("1/3", "alpha"), exact(sp.pi, "alpha")
    (0.500000000000000, 1/3, pi)
    """
    try:
        number = sp.sympify(sp.Rational(value) if _is_number(value) else value, strict=True)
        if not isinstance(number, Expr):
            raise TypeError
        return number
    except (sp.SympifyError, AttributeError, TypeError):
        raise ParameterError(
            f"{name} = {value!r} given; accepted: a number, or a SymPy expression; other text is not evaluated."
        ) from None
